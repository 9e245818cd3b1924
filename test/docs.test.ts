import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import path from "node:path";
import { format, resolveConfig } from "prettier";
import { documents, withTables } from "../scripts/docs.ts";

const root = new URL("../", import.meta.url).pathname;

async function markdown(): Promise<string[]> {
  const docs = (await readdir(path.join(root, "docs"), { recursive: true })).filter((file) =>
    file.endsWith(".md"),
  );
  return [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "examples/admin/README.md",
    "charts/targetvpc/README.md",
    "manifests/README.md",
    ...docs.map((file) => `docs/${file}`),
  ];
}

describe("docs", () => {
  for (const document of documents)
    it(`${document} has the tables that the code has (npm run docs)`, async () => {
      const text = await readFile(path.join(root, document), "utf8");
      const options = await resolveConfig(path.join(root, document));
      assert.equal(text, await format(withTables(text), { ...options, parser: "markdown" }));
    });

  it("link only to files that are there", async () => {
    const missing: string[] = [];
    for (const document of await markdown()) {
      const text = await readFile(path.join(root, document), "utf8");
      for (const [, target = ""] of text.matchAll(/\]\(([^)#]+)[^)]*\)/g)) {
        if (/^https?:/.test(target)) continue;
        const file = path.join(root, path.dirname(document), target);
        await readFile(file)
          .catch(() => readdir(file))
          .catch(() => missing.push(`${document}: ${target}`));
      }
    }
    assert.deepEqual(missing, []);
  });

  it("keep the README short", async () => {
    const lines = (await readFile(path.join(root, "README.md"), "utf8")).split("\n").length;
    assert.ok(lines <= 150, `${lines} lines`);
  });
});
