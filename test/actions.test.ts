import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { startAgent, type Agent } from "./support/agent.ts";
import { eventually } from "./support/clock.ts";
import { startRedis, type TestRedis } from "./support/redis.ts";
import { startFeishu, type ReceivedMessage, type Robot } from "./support/robots.ts";

interface Button {
  readonly tag: string;
  readonly text: { readonly content: string };
  readonly behaviors: readonly { readonly default_url: string }[];
}

/** Where the buttons of a card lead, by what they say. */
function buttonsOf({ body }: ReceivedMessage): ReadonlyMap<string, string> {
  const { body: card } = body["card"] as { body: { elements: readonly Button[] } };
  const buttons = card.elements.filter(({ tag }) => tag === "button");
  return new Map(
    buttons.map(({ text, behaviors }) => [text.content, behaviors[0]?.default_url ?? ""]),
  );
}

async function press(url: string, who: string): Promise<{ status: number; text: string }> {
  const reply = await fetch(url, { method: "POST", body: new URLSearchParams({ who }) });
  return { status: reply.status, text: await reply.text() };
}

describe("buttons in a chat", function () {
  this.timeout(60_000);
  let redis: TestRedis;
  let robot: Robot;
  let dir: string;
  /** The alerts are this one's. */
  let one: Agent;
  /** The links lead here. */
  let front: Agent;
  const agents: Agent[] = [];

  const start = async (name: string, publicUrl: string | null): Promise<Agent> => {
    const channels = [{ type: "feishu", webhook_url: robot.url, enabled: true }];
    const agent = await startAgent({
      config: {
        redis: { host: "127.0.0.1", port: redis.port },
        server: { public_url: publicUrl, protect: "all", token: "server-hunter2" },
        alerts: { default_rules: false, channels, language: "en", cooldown_minutes: 0 },
        log: { level: "debug" },
      },
      env: { NODE_NAME: name, CLUSTER_NAME: "lab" },
      stateDir: path.join(dir, name),
    });
    agents.push(agent);
    await eventually("redis is there", async () => {
      const { json } = await ask(agent, "/health");
      return (
        (json as { components: { redis: { status: string } } }).components.redis.status === "ok"
      );
    });
    return agent;
  };
  const ask = async (
    { url }: Agent,
    at: string,
    body?: unknown,
  ): Promise<{ status: number; json: unknown; text: string }> => {
    const headers = {
      Authorization: "Bearer server-hunter2",
      "Content-Type": "application/json",
      "Accept-Language": "en",
    };
    const sent = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
    const reply = await fetch(url + at, { headers, ...sent });
    const text = await reply.text();
    return { status: reply.status, text, json: /^[[{]/.test(text) ? JSON.parse(text) : null };
  };
  const report = (alertname: string, changes: Record<string, unknown> = {}): Promise<unknown> =>
    ask(one, "/api/v2/alerts", [{ labels: { alertname, severity: "warning" }, ...changes }]);
  const told = (what: RegExp): ReceivedMessage[] =>
    robot.received.filter(({ title }) => what.test(title));
  const arrived = async (what: RegExp): Promise<ReceivedMessage> => {
    await eventually(`a card that says ${what}`, () => told(what).length > 0);
    return told(what).at(-1)!;
  };
  const listed = async (rule: string): Promise<Record<string, unknown>> => {
    const { items } = (await ask(one, "/api/alerts")).json as { items: Record<string, unknown>[] };
    return items.find((item) => item["rule"] === rule) ?? {};
  };

  before(async () => {
    dir = await mkdtemp(path.join(os.tmpdir(), "targetvpc-actions-"));
    redis = await startRedis();
    robot = await startFeishu({ limits: false });
    front = await start("front", null);
    one = await start("one", front.url);
  });
  after(async () => {
    for (const agent of agents.splice(0)) await agent.stop();
    await robot.close();
    await redis.stop();
    await rm(dir, { recursive: true, force: true });
  });

  it("acknowledge an alert by any agent of the fleet: it is not told of again", async () => {
    await report("QueueStuck");
    const card = await arrived(/QueueStuck/);
    const url = buttonsOf(card).get("Acknowledge") ?? "";
    assert.ok(url.startsWith(`${front.url}/actions/`), url);
    const page = await (await fetch(url, { headers: { "Accept-Language": "en" } })).text();
    assert.match(page, /lab\/one[^]*QueueStuck[^]*<form method="post">/);
    assert.equal((await listed("QueueStuck"))["acknowledged_by"], null);
    const done = await press(url, "Ada");
    assert.equal(done.status, 200);
    assert.match(done.text, /Acknowledged by Ada\./);
    assert.equal((await press(url, "Ada")).status, 200);
    // Another one that nobody acknowledges shows that the way is open.
    await report("DiskSlow");
    await arrived(/WARNING.*DiskSlow/);
    const endsAt = new Date(Date.now() - 1_000).toISOString();
    await report("QueueStuck", { endsAt });
    await report("DiskSlow", { endsAt });
    await arrived(/RESOLVED.*DiskSlow/);
    assert.deepEqual(
      told(/QueueStuck/).map(({ title }) => title.split(" ")[0]),
      ["[WARNING]"],
    );
    const { acknowledged_by: by, status } = await listed("QueueStuck");
    assert.deepEqual([by, status], ["Ada", "resolved"]);
    assert.match((await press(url, "Grace")).text, /Acknowledged by Grace|over/);
  });

  it("silence an alert by any agent: what is handed in again is held back", async () => {
    const alert = async (index: string): Promise<Record<string, unknown>> => {
      const timestamp = Math.floor(Date.now() / 1_000);
      const body = { index, threshold: 1, current_value: 2, timestamp };
      return (await ask(one, "/api/alert", body)).json as Record<string, unknown>;
    };
    assert.equal((await alert("queue"))["status"], "accepted");
    const buttons = buttonsOf(await arrived(/queue/));
    const done = await press(buttons.get("Silence 1 h") ?? "", "王芳");
    assert.match(done.text, /王芳/);
    const held = await alert("queue");
    assert.equal(held["status"], "suppressed");
    assert.match(String(held["reason"]), /^silenced: silence link-[0-9a-f]{24}$/);
    assert.equal((await alert("other"))["status"], "accepted");
    const { items } = (await ask(front, "/api/silences")).json as {
      items: { author: string; starts_at: number; ends_at: number; matchers: unknown }[];
    };
    assert.equal(items.length, 1);
    const [silence] = items;
    assert.equal(silence?.author, "王芳");
    assert.equal((silence?.ends_at ?? 0) - (silence?.starts_at ?? 0), 3_600);
    assert.deepEqual(silence?.matchers, {
      node: ["lab/one"],
      rule: ["api-queue"],
      index: ["queue"],
      only_labels: true,
    });
  });

  it("are refused when they are touched, and open nothing else", async () => {
    const [card] = robot.received;
    const url = buttonsOf(card!).get("Acknowledge") ?? "";
    const wrong = url.slice(0, -1) + (url.endsWith("A") ? "B" : "A");
    assert.equal((await press(wrong, "Eve")).status, 403);
    assert.equal((await fetch(`${front.url}/api/silences`)).status, 401);
  });

  it("come from a REST client of another agent too", async () => {
    await report("CertExpires");
    await arrived(/CertExpires/);
    const { id } = await listed("CertExpires");
    const passed = await ask(front, `/api/alerts/${String(id)}/ack`, { by: "cron" });
    assert.deepEqual(
      [passed.status, passed.json],
      [202, { id, status: "accepted", acknowledged_by: "cron" }],
    );
    await eventually(
      "its own agent knows",
      async () => (await listed("CertExpires"))["acknowledged_by"] === "cron",
    );
    assert.equal((await ask(front, "/api/alerts/nobody/ack", { by: "cron" })).status, 404);
  });

  it("are signed with a key that is shown nowhere and only its owner can read", async () => {
    const keys = Object.values(await redis.client.hgetall("targetvpc:s:keys"));
    assert.equal(keys.length, 1);
    const { value } = JSON.parse(keys[0] ?? "") as { value: string };
    const shown = await Promise.all(
      ["/api/config", "/metrics", "/health", "/", "/api/deliveries"].map((at) => ask(one, at)),
    );
    for (const text of [
      ...agents.map((agent) => agent.output()),
      ...shown.map(({ text }) => text),
      ...robot.received.map(({ body }) => JSON.stringify(body)),
    ])
      assert.ok(!text.includes(value));
    for (const name of ["one", "front"]) {
      const file = (await readdir(path.join(dir, name))).find((entry) =>
        entry.startsWith("links-"),
      );
      const at = path.join(dir, name, file ?? "");
      assert.ok((await readFile(at, "utf8")).includes(value));
      assert.equal((await stat(at)).mode & 0o777, 0o600);
    }
  });
});
