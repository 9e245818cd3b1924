import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { appendFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createRecordsChannel } from "../../src/admin/records.ts";
import { systemClock } from "../../src/base/clock.ts";
import { createHttpClient } from "../../src/base/http.ts";
import { Secret } from "../../src/base/secret.ts";
import type { AlertMessage } from "../../src/core/delivery.ts";
import { cleanUp, harness, node, settingsFor, thresholds } from "./harness.ts";

const script = new URL("../../examples/admin/admin.mjs", import.meta.url).pathname;

interface Example {
  readonly url: string;
  readonly errors: () => string;
  stop(): Promise<void>;
}

const message: AlertMessage = {
  id: "m-1",
  kind: "firing",
  atMs: 1_767_614_400_000,
  incident: {
    id: "i-1",
    subject: {
      key: "cpu-high|cpu",
      rule: "<b>cpu</b>",
      index: "cpu",
      unit: "%",
      labels: {},
      operator: ">",
      message: null,
      runbookUrl: null,
      channels: null,
      cooldownMs: null,
      node,
    },
    status: "firing",
    level: "warning",
    threshold: 80,
    value: 93.5,
    peak: 93.5,
    startedAtMs: 1_767_614_400_000,
    updatedAtMs: 1_767_614_400_000,
    endedAtMs: null,
    flaps: 0,
    flapping: false,
    acknowledgedBy: null,
    noData: false,
  },
  recent: [],
  evidence: null,
  publicUrl: null,
};

describe("the example admin server", () => {
  let dir: string;
  let example: Example;
  const http = createHttpClient();
  const children = new Set<ChildProcess>();

  async function run(env: Readonly<Record<string, string>> = {}): Promise<Example> {
    const child = spawn(process.execPath, [script], {
      env: { PATH: process.env["PATH"], PORT: "0", DATA_DIR: dir, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    children.add(child);
    let errors = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      errors += text;
    });
    let said = "";
    for await (const text of child.stdout.setEncoding("utf8")) {
      said += String(text);
      if (said.includes("\n")) break;
    }
    const url = /http:\/\/\S+:\d+/.exec(said)?.[0];
    assert.ok(url, `no address in ${JSON.stringify(said)}: ${errors}`);
    return {
      url,
      errors: () => errors,
      stop: async () => {
        const ended = once(child, "exit");
        child.kill("SIGTERM");
        assert.deepEqual(await ended, [0, null]);
        children.delete(child);
      },
    };
  }

  const page = async (headers: Record<string, string> = {}): Promise<string> =>
    (await fetch(example.url, { headers })).text();
  const save = (config: string, headers: Record<string, string> = {}): Promise<Response> =>
    fetch(`${example.url}/config`, {
      method: "POST",
      headers,
      body: new URLSearchParams({ config }),
    });
  const post = (body: string): Promise<Response> =>
    fetch(`${example.url}/api/alert-records/report/`, { method: "POST", body });
  const lines = async (): Promise<string[]> =>
    (await readFile(path.join(dir, "records.jsonl"), "utf8")).split("\n").filter(Boolean);

  beforeEach(async () => {
    dir = await mkdtemp(path.join(tmpdir(), "targetvpc-admin-"));
    example = await run();
  });

  afterEach(async () => {
    await cleanUp();
    for (const child of children) child.kill("SIGKILL");
    children.clear();
    http.close();
    await rm(dir, { recursive: true });
  });

  it("serves its sample to an agent, answers 304, and hands on what is saved on the page", async () => {
    const own = { ...node, ip: "192.0.2.11" };
    const agent = harness(settingsFor(example.url, { token: null }), { node: () => own });
    await agent.start();
    assert.equal(agent.lastError(), "");
    await agent.next();
    assert.equal(agent.sync.counters.unchanged, 1);
    assert.deepEqual(Object.keys(thresholds(agent.taken[0]!.document)), [
      "cpu-high",
      "memory-high",
      "disk-full",
    ]);
    const saved = await save('{"default": {"thresholds": {"cpu": 66}}}');
    assert.equal(saved.status, 200);
    assert.match(await saved.text(), /Saved\./);
    await agent.next();
    assert.deepEqual(thresholds(agent.taken.at(-1)!.document), { cpu: { warning: 66 } });
  });

  it("answers 304 without a body to the version it gave", async () => {
    const url = `${example.url}/api/servers/config/`;
    const first = await fetch(url);
    const etag = first.headers.get("etag") ?? "";
    assert.notEqual(etag, "");
    const second = await fetch(url, { headers: { "If-None-Match": etag } });
    assert.equal(second.status, 304);
    assert.equal(await second.text(), "");
  });

  it("knows a node by cluster and name, name or address, and nobody else without a default", async () => {
    const rule = (threshold: number) => ({ thresholds: { cpu: threshold } });
    const config = { nodes: { "prod/北": rule(1), "n 2": rule(2), "192.0.2.3": rule(3) } };
    const put = await fetch(`${example.url}/config`, {
      method: "PUT",
      body: JSON.stringify(config),
    });
    assert.equal(put.status, 200);
    for (const [identity, expected] of [
      [{ cluster: "prod", name: "北", ip: "192.0.2.3" }, { cpu: { warning: 1 } }],
      [{ cluster: "test", name: "n 2", ip: "192.0.2.3" }, { cpu: { warning: 2 } }],
      [{ cluster: "test", name: "n3", ip: "192.0.2.3" }, { cpu: { warning: 3 } }],
      [{ cluster: "test", name: "constructor", ip: "__proto__" }, null],
    ] as const) {
      const agent = harness(settingsFor(example.url), { node: () => identity });
      await agent.start();
      if (expected === null) assert.match(agent.lastError(), /not registered/);
      else assert.deepEqual(thresholds(agent.taken[0]!.document), expected);
    }
  });

  it("refuses a configuration that is not valid, keeps what was typed and the old one", async () => {
    const before = await readFile(path.join(dir, "config.json"), "utf8");
    for (const [text, says] of [
      ["{</textarea><script>", /Not saved: not JSON/],
      ["[]", /Not saved: expected/],
      ['{"default": 5}', /default: expected an object/],
      ['{"nodes": {"a": 5}}', /nodes\.a: expected an object/],
      ['{"defualt": {}}', /defualt: unknown/],
      ["", /not JSON/],
    ] as const) {
      const refused = await save(text);
      assert.equal(refused.status, 400, text);
      const answer = await refused.text();
      assert.match(answer, says);
      assert.ok(!answer.includes("<script>"));
      if (text.startsWith("{<")) assert.ok(answer.includes("{&lt;/textarea&gt;&lt;script&gt;"));
    }
    assert.equal(await readFile(path.join(dir, "config.json"), "utf8"), before);
    const put = await fetch(`${example.url}/config`, { method: "PUT", body: "{" });
    assert.equal(put.status, 400);
  });

  it("lists an agent's record once, escaped, and keeps it over a restart", async () => {
    const channel = () =>
      createRecordsChannel({
        settings: settingsFor(example.url),
        node: () => node,
        http,
        clock: systemClock,
        describe: () => "cpu is <script>alert(1)</script> high",
        deliveries: () => Promise.resolve([]),
      });
    const { signal } = new AbortController();
    const outcomes = await Promise.all([1, 2, 3].map(() => channel().send(message, signal)));
    assert.deepEqual(
      outcomes.map(({ outcome }) => outcome),
      ["sent", "sent", "sent"],
    );
    const shown = await page();
    assert.match(shown, /&lt;b&gt;cpu&lt;\/b&gt;/);
    assert.match(shown, /2026-01-05T12:00:00Z/);
    assert.ok(!shown.includes("<script>"));
    assert.equal((await lines()).length, 1);

    await example.stop();
    // What a crash in the middle of a write leaves.
    await appendFile(path.join(dir, "records.jsonl"), '{"id":"torn');
    example = await run();
    assert.match(await page(), /&lt;b&gt;cpu&lt;\/b&gt;/);
    assert.match(example.errors(), /skipped a line/);
    assert.equal((await channel().send(message, signal)).outcome, "sent");
    assert.equal((await channel().send({ ...message, id: "m-2" }, signal)).outcome, "sent");
    await example.stop();
    example = await run();
    const ids = (await lines()).flatMap((line) => /"id":"(m-\d)"/.exec(line)?.[1] ?? []);
    assert.deepEqual(ids, ["m-1", "m-2"]);
    assert.equal((await page()).match(/<tr><td>/g)?.length, 2);
  });

  it("refuses records that are none, and bodies without end", async () => {
    const whole = { index: "cpu", threshold: 1, current_value: 2, timestamp: 3 };
    for (const [body, status] of [
      ["", 400],
      ["null", 422],
      [JSON.stringify({ ...whole, index: 5 }), 422],
      [JSON.stringify({ ...whole, threshold: "80" }), 422],
      [JSON.stringify({ ...whole, timestamp: null }), 422],
      [JSON.stringify({ ...whole, id: 7 }), 422],
      [JSON.stringify({ ...whole, message: "x".repeat(1024 * 1024) }), 413],
      [JSON.stringify(whole), 200],
    ] as const)
      assert.equal((await post(body)).status, status, body.slice(0, 60));
    assert.equal((await lines()).length, 1);
    assert.equal((await fetch(`${example.url}/nowhere`)).status, 404);
  });

  it("lets nobody in without the token, and no other site change anything", async () => {
    await example.stop();
    example = await run({ TOKEN: "t0ken" });
    const agent = harness(settingsFor(example.url, { token: new Secret("t0ken") }));
    const stranger = harness(settingsFor(example.url, { token: new Secret("guess") }));
    await agent.start();
    await stranger.start();
    assert.equal(agent.sync.status().status, "ok");
    assert.match(stranger.lastError(), /http 401/);
    assert.ok(!(await page()).includes("Last records"));
    const basic = { Authorization: `Basic ${Buffer.from("me:t0ken").toString("base64")}` };
    assert.match(await page(basic), /Last records/);
    const foreign = await save("{}", { ...basic, Origin: "https://evil.example" });
    assert.equal(foreign.status, 403);
    assert.equal((await save("{}", { ...basic, Origin: example.url })).status, 200);
  });

  it("blames itself, not the agent, for a file broken by hand", async () => {
    await writeFile(path.join(dir, "config.json"), "{");
    const agent = harness(settingsFor(example.url));
    await agent.start();
    assert.match(agent.lastError(), /http 500, the server failed: config\.json: not JSON/);
    assert.equal((await fetch(example.url)).status, 200, "the page still shows it, to be mended");
  });

  it("listens on the loopback interface unless told otherwise", () => {
    assert.match(example.url, /^http:\/\/127\.0\.0\.1:\d+$/);
  });
});
