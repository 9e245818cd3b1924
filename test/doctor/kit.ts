import assert from "node:assert/strict";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import http from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import type { Finding } from "../../src/doctor/contract.ts";
import { runAgent, type AgentOptions } from "../support/agent.ts";

const files: Readonly<Record<string, string>> = {
  stat: "cpu  10 0 10 1000 0 0 0 0 0 0\ncpu0 10 0 10 1000 0 0 0 0 0 0\nctxt 1\nbtime 1700000000\nprocesses 5\n",
  meminfo:
    "MemTotal: 1000 kB\nMemFree: 500 kB\nMemAvailable: 700 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n",
  loadavg: "0.10 0.20 0.30 1/100 4242\n",
  "1/mountinfo": "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n",
  "1/net/dev": "Inter-|   Receive\n face |bytes\n  eth0: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n",
  "1/comm": "systemd\n",
  "2/comm": "kthreadd\n",
  "4242/comm": "node\n",
  "77/stat": "77 (redis) S 1 77 77 0 -1 4194560 1 0 0 0 1 1 0 0 20 0 1 0 1 1 1\n",
  "77/cgroup": "0::/system.slice/redis.service\n",
};

/** A host's /proc with one filesystem and nothing wrong, whatever the machine of the test has mounted. */
export async function writeProc(dir: string): Promise<string> {
  const proc = path.join(dir, "proc");
  for (const [file, text] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(proc, file)), { recursive: true });
    await writeFile(path.join(proc, file), text);
  }
  await symlink("4242", path.join(proc, "self"));
  return proc;
}

export interface Diagnosed {
  readonly code: number | null;
  readonly output: string;
  readonly seconds: number;
  /** The finding of a name; fails when there is none. */
  of(name: string): Finding;
  /** What is not fine, as `status name`. */
  readonly troubles: readonly string[];
}

/** Runs `targetvpc doctor --json` as a process. */
export async function doctor(
  options: AgentOptions,
  more: readonly string[] = [],
): Promise<Diagnosed> {
  const beganMs = performance.now();
  const { code, output } = await runAgent({ ...options, args: ["doctor", "--json", ...more] });
  const findings = output.startsWith("[") ? (JSON.parse(output) as Finding[]) : [];
  return {
    code,
    output,
    seconds: (performance.now() - beganMs) / 1_000,
    of: (name) => {
      const found = findings.find((one) => one.name === name);
      assert.ok(found, `${name} in ${output}`);
      return found;
    },
    troubles: findings
      .filter(({ status }) => status === "warning" || status === "failed")
      .map(({ status, name }) => `${status} ${name}`),
  };
}

export type Answer = (path: string, body: unknown) => { status?: number; body: unknown } | "hang";

/** An API server that answers what a test says, and keeps who asked. */
export async function startApiServer(answer: Answer): Promise<{
  readonly url: string;
  readonly tokens: Set<string>;
  readonly reviews: Record<string, unknown>[];
  close(): Promise<void>;
}> {
  const tokens = new Set<string>();
  const reviews: Record<string, unknown>[] = [];
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      tokens.add(request.headers.authorization ?? "");
      const text = Buffer.concat(chunks).toString("utf8");
      const body: unknown = text === "" ? undefined : JSON.parse(text);
      const at = new URL(request.url ?? "/", "http://x").pathname;
      if (at.endsWith("/selfsubjectaccessreviews")) {
        const { spec } = body as { spec: { resourceAttributes: Record<string, unknown> } };
        reviews.push(spec.resourceAttributes);
      }
      const said = answer(at, body);
      if (said === "hang") return;
      response.writeHead(said.status ?? 200, { "Content-Type": "application/json" });
      response.end(JSON.stringify(said.body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    tokens,
    reviews,
    close: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** A token as the API server makes them, of a Pod on a node; its signature is none. */
export function tokenOf(node: string, exp = 4_102_444_800): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const of = {
    namespace: "monitoring",
    serviceaccount: { name: "targetvpc", uid: "u1" },
    pod: { name: "targetvpc-abcde", uid: "u2" },
    node: { name: node, uid: "u3" },
  };
  return `${part({ alg: "RS256" })}.${part({ exp, "kubernetes.io": of })}.c2lnbmF0dXJl`;
}

/** A kubeconfig for a server and a token. */
export async function writeKubeconfig(dir: string, server: string, token: string): Promise<string> {
  const file = path.join(dir, "kubeconfig");
  const config = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "c", cluster: { server, "insecure-skip-tls-verify": true } }],
    users: [{ name: "u", user: { token } }],
    contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
    "current-context": "x",
  };
  await writeFile(file, JSON.stringify(config));
  return file;
}
