import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { queryOptions } from "../../src/query/options.ts";
import { startAgent, type Agent } from "../support/agent.ts";
import { eventually } from "../support/clock.ts";
import { freePort, startRedis, type TestRedis } from "../support/redis.ts";

const entry = new URL("../../src/main.ts", import.meta.url).pathname;

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end. */
function run(file: string, args: readonly string[], env: Record<string, string>): Promise<Ended> {
  return new Promise((resolve) => {
    const options = { env: { PATH: process.env["PATH"] ?? "", HOME: os.tmpdir(), ...env } };
    execFile(file, args, options, (cause, stdout, stderr) => {
      resolve({ code: cause === null ? 0 : Number(cause.code), stdout, stderr });
    });
  });
}

function query(args: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
  return run(process.execPath, [entry, "query", ...args], env);
}

describe("the command query", function () {
  this.timeout(60_000);
  let redis: TestRedis;
  let dir: string;
  let first: Agent;
  let second: Agent;
  let env: Record<string, string>;

  before(async () => {
    redis = await startRedis();
    dir = await mkdtemp(path.join(os.tmpdir(), "targetvpc-query-"));
    const file = path.join(dir, "token");
    await writeFile(file, "query-hunter2-token\n");
    const shared = { CLUSTER_NAME: "lab", SERVER_PROTECT: "all", SERVER_TOKEN_FILE: file };
    const config = {
      metrics: { collection_interval: 1 },
      redis: { host: "127.0.0.1", port: redis.port },
    };
    const start = (name: string, port: number, host: string): Promise<Agent> =>
      startAgent({
        config,
        env: { ...shared, NODE_NAME: name, SERVER_PORT: String(port), SERVER_HOST: host },
      });
    env = { ...shared, SERVER_PORT: String(await freePort()) };
    first = await start("node-1", Number(env["SERVER_PORT"]), "0.0.0.0");
    second = await start("node-2", 0, "127.0.0.1");
    await eventually("both have samples that one of them can read", async () => {
      const { stdout } = await query(["--node", "all", "--index", "memory"], env);
      return (stdout.match(/^node-[12] +memory +\d/gm) ?? []).length === 2;
    });
  });
  after(async () => {
    await first.stop();
    await second.stop();
    await redis.stop();
    await rm(dir, { recursive: true, force: true });
  });

  it("asks the agent of the same configuration, protected or not, for any node", async () => {
    const table = await query(["--node", "lab/node-*", "--index", "cpu,memory"], env);
    assert.deepEqual([table.code, table.stderr], [0, ""]);
    assert.match(
      table.stdout,
      /^NODE +SERIES +LAST +MIN +AVG +MAX +UNIT\nnode-1 +cpu .*\nnode-1 +memory .*\nnode-2 +cpu .*\nnode-2 +memory .* %\n$/,
    );
    // eslint-disable-next-line no-control-regex -- what must not be there
    assert.doesNotMatch(table.stdout, /\u001B|[▁-█]/);
    const csv = await query(["--index", "memory", "--format", "csv", "--start", "-5m"], env);
    assert.match(csv.stdout, /^node,timestamp,memory\n(node-1,\d+,\d+(\.\d)?\n)+$/);
    const json = await query(["--node", "node-2", "--format", "json"], env);
    const rows = JSON.parse(json.stdout) as { node: string; metrics: object }[];
    assert.ok(rows.length > 0 && rows.every(({ node }) => node === "node-2"));
    assert.deepEqual(Object.keys(rows[0]!.metrics), ["cpu", "memory", "disk"]);
    const byUrl = await query(["--url", first.url.replace("0.0.0.0", "127.0.0.1")], {
      SERVER_TOKEN: "query-hunter2-token",
    });
    assert.match(byUrl.stdout, /^node-1 +cpu /m);
  });

  it("draws bars on a terminal, in its width", async () => {
    for (const [columns, width] of [
      ["100", 100],
      ["0", 80],
    ] as const) {
      const command = `stty cols ${columns}; exec ${process.execPath} ${entry} query --last 10m`;
      const { stdout } = await run("script", ["-qec", command, "/dev/null"], env);
      const lines = stdout.replaceAll("\r", "").trimEnd().split("\n");
      assert.match(lines[0] ?? "", /avg of \d+s each$/);
      assert.equal(lines.length, 4);
      for (const line of lines) assert.ok(line.length <= width, line);
      for (const line of lines.slice(1)) assert.match(line, / [·▁▂▃▄▅▆▇█]{20,}$/);
    }
  });

  it("ends quietly when its reader has had enough, and says when it cannot write", async () => {
    const shell = (end: string): Promise<Ended> =>
      run(
        "bash",
        ["-c", `set -o pipefail; ${process.execPath} ${entry} query --format csv ${end}`],
        env,
      );
    assert.deepEqual(await shell("| head -1"), {
      code: 0,
      stdout: "node,timestamp,cpu,memory,disk\n",
      stderr: "",
    });
    const full = await shell("> /dev/full");
    assert.equal(full.code, 1);
    assert.match(full.stderr, /cannot write: ENOSPC/);
  });

  it("fails with 1 where no agent is, naming the address and the fix", async () => {
    const alone = await query([], { SERVER_PORT: "1" });
    assert.deepEqual([alone.code, alone.stdout], [1, ""]);
    assert.match(
      alone.stderr,
      /^targetvpc: no agent answers at http:\/\/127\.0\.0\.1:1: .*ECONNREFUSED.*\n.*targetvpc serve.*--url http:\/\/host:port.*SERVER_PORT/,
    );
    const { code, stderr } = await query([], {
      ...env,
      SERVER_TOKEN_FILE: "",
      SERVER_TOKEN: "wrong-hunter2",
    });
    assert.equal(code, 1);
    assert.match(stderr, /refuses the token/);
    assert.doesNotMatch(stderr, /hunter2/);
  });

  it("says every wrong use with 2, and what the agent does not know", async () => {
    for (const [args, text] of [
      [["--lst", "1h"], /--lst: .*"--last"\?/],
      [["--format", "yaml"], /--help\n {2}--format: expected one of table, csv, json/],
      [["--node", "node-7"], /--node: "node-7": unknown node/],
    ] as const) {
      const { code, stdout, stderr } = await query(args, env);
      assert.deepEqual([code, stdout], [2, ""], stderr);
      assert.match(stderr, text);
    }
  });

  it("tells every option in its help", async () => {
    const { code, stdout } = await query(["--help"]);
    assert.equal(code, 0);
    for (const option of Object.keys(queryOptions))
      assert.ok(stdout.includes(`--${option}`), option);
  });
});
