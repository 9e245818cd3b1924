import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import path from "node:path";

const root = new URL("../src/", import.meta.url).pathname;
/** Folders every stage may use. Stages never import each other; the files directly in src join them. */
const shared = new Set(["core", "base"]);
/** Looks at the surroundings of every stage, so it joins them as the files in src do; only `cli.ts` knows of it. */
const joiner = "doctor";
/** Packages that may appear in one place only. */
const fences: Readonly<Record<string, string>> = {
  "@kubernetes/client-node": "kubernetes/",
  ioredis: "store/redis/",
  koa: "api/",
  "@koa/router": "api/",
  nodemailer: "notify/email.ts",
  mustache: "notify/template.ts",
  "prom-client": "telemetry/",
  systeminformation: "collect/systeminformation.ts",
  yaml: "config/",
  "jsonc-parser": "config/",
};
/** What only one file may touch, because everything else gets it injected. */
const globals: readonly (readonly [RegExp, readonly string[]])[] = [
  [/\bDate\.now\(/, ["base/clock.ts"]],
  [/\bperformance\.now\(/, ["base/clock.ts"]],
  [/(?<!\.)\bsetTimeout\(|(?<!\.)\bsetInterval\(/, ["base/clock.ts"]],
  [/\bprocess\.env\b/, ["main.ts"]],
  [/\bMath\.random\b/, ["cli.ts", "store/redis/options.ts"]],
  [/\bconsole\./, []],
];

function mayImport(from: string, to: string): boolean {
  if (to === joiner) return from === joiner || from === "cli.ts";
  if (from === to || from === joiner || from.endsWith(".ts")) return true;
  return from === "core" ? false : to === "core" || (shared.has(to) && !shared.has(from));
}

interface Source {
  readonly file: string;
  readonly text: string;
}

async function sources(): Promise<readonly Source[]> {
  const files = (await readdir(root, { recursive: true })).filter((file) => file.endsWith(".ts"));
  return Promise.all(
    files.map(async (file) => ({ file, text: await readFile(path.join(root, file), "utf8") })),
  );
}

function imports(text: string): string[] {
  return [...text.matchAll(/\b(?:from\s+|import\s*\(?\s*)"([^"\n]+)"/g)].map(
    ([, target = ""]) => target,
  );
}

function packageOf(target: string): string {
  return target
    .split("/")
    .slice(0, target.startsWith("@") ? 2 : 1)
    .join("/");
}

describe("architecture", () => {
  it("keeps every import inside its arrow", async () => {
    const broken: string[] = [];
    let seen = 0;
    for (const { file, text } of await sources())
      for (const target of imports(text)) {
        if (!target.startsWith(".")) continue;
        seen += 1;
        const [to = ""] = path.join(path.dirname(file), target).split(path.sep);
        const [from = ""] = file.split(path.sep);
        if (!mayImport(from, to)) broken.push(`${file} -> ${to}`);
      }
    assert.deepEqual(broken, []);
    assert.ok(seen > 200, `only ${seen} imports found: does the pattern still fit?`);
  });

  it("keeps every package behind its fence", async () => {
    const broken: string[] = [];
    const found = new Set<string>();
    for (const { file, text } of await sources())
      for (const target of imports(text)) {
        const place = fences[packageOf(target)];
        if (place === undefined) continue;
        found.add(packageOf(target));
        if (!file.startsWith(place)) broken.push(`${file} -> ${target}`);
      }
    assert.deepEqual(broken, []);
    assert.ok(found.has("koa") && found.has("ioredis"));
  });

  it("uses every dependency it declares, and declares every one it uses", async () => {
    const manifest = JSON.parse(
      await readFile(new URL("../package.json", import.meta.url), "utf8"),
    ) as { dependencies: Record<string, string> };
    const used = new Set<string>();
    for (const { text } of await sources())
      for (const target of imports(text))
        if (!target.startsWith(".") && !target.startsWith("node:")) used.add(packageOf(target));
    assert.deepEqual([...used].sort(), Object.keys(manifest.dependencies).sort());
    for (const version of Object.values(manifest.dependencies))
      assert.match(version, /^\d+\.\d+\.\d+$/);
  });

  it("takes clock, chance and environment from where they are injected", async () => {
    const broken: string[] = [];
    for (const { file, text } of await sources()) {
      const code = text.replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "");
      for (const [pattern, places] of globals)
        if (pattern.test(code) && !places.includes(file)) broken.push(`${file}: ${pattern.source}`);
    }
    assert.deepEqual(broken, []);
  });
});
