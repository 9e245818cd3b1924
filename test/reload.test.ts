import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { Secret } from "../src/base/secret.ts";
import { parseSelector } from "../src/core/series.ts";
import { createRedisBackend } from "../src/store/redis/index.ts";
import { startAgent, type Agent, type AgentOptions } from "./support/agent.ts";
import { eventually, ManualClock } from "./support/clock.ts";
import { recordLog } from "./support/log.ts";
import { publish } from "./support/mount.ts";
import { freePort, startRedis } from "./support/redis.ts";
import { startFeishu, type Robot } from "./support/robots.ts";
import { seriesStore } from "./support/store.ts";

type Alerts = { items: { id: string; status: string }[] };
type Health = { components: { file: { status: string; last_error: string | null } } };

/** A robot that takes a message and lets it wait for its answer. */
async function startSlowRobot(): Promise<{
  url: string;
  requests: () => number;
  answer: () => void;
  close: () => Promise<void>;
}> {
  let requests = 0;
  const released = Promise.withResolvers<undefined>();
  const server = createServer((request, response) => {
    requests += 1;
    request.resume();
    void released.promise.then(() =>
      response.setHeader("Content-Type", "application/json").end('{"code":0,"msg":"success"}'),
    );
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/open-apis/bot/v2/hook/slow`,
    requests: () => requests,
    answer: () => released.resolve(undefined),
    close: async () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

describe("the agent follows its own configuration", function () {
  this.timeout(60_000);
  let dir: string;
  const stops: (() => Promise<unknown>)[] = [];
  const track = <T>(value: T, stop: () => Promise<unknown>): T => {
    stops.push(stop);
    return value;
  };
  beforeEach(async () => {
    dir = await mkdtemp(path.join(tmpdir(), "targetvpc-reload-"));
  });
  afterEach(async () => {
    for (const stop of stops.splice(0).toReversed()) await stop();
    await rm(dir, { recursive: true, force: true });
  });

  const base = { metrics: { collection_interval: 1 }, storage: { backend: "memory" } };
  const start = async (config: object, options: AgentOptions = {}): Promise<Agent> => {
    const agent = await startAgent({
      config: { ...base, ...config },
      stateDir: path.join(dir, "state"),
      ...options,
    });
    return track(agent, () => agent.stop());
  };
  const feishu = async (): Promise<Robot> => {
    const robot = await startFeishu();
    return track(robot, () => robot.close());
  };
  /** As editors and tools save: another file renamed over it. */
  const rewrite = async (agent: Agent, config: unknown): Promise<void> => {
    const text =
      typeof config === "string" ? config : JSON.stringify({ ...base, ...Object(config) });
    await writeFile(`${agent.configFile}.new`, text);
    await rename(`${agent.configFile}.new`, agent.configFile);
  };
  const events = (agent: Agent, event: string): Record<string, unknown>[] =>
    agent.lines().filter((line) => line["event"] === event);
  const restarted = (agent: Agent, times = 1): Promise<void> =>
    eventually("it listens anew", () => events(agent, "listening").length === times + 1);
  const fileOf = async (agent: Agent): Promise<Health["components"]["file"]> =>
    ((await agent.get("/health")).json as Health).components.file;
  /** Samples of the run that goes on now, so that everything that was to happen in it had its chance. */
  const sampled = (agent: Agent, ticks: number): Promise<void> =>
    eventually("it samples", async () => {
      const { text } = await agent.get("/metrics");
      return Number(/^targetvpc_ticks_total (\d+)/m.exec(text)?.[1]) >= ticks;
    });
  const rule = (threshold: number) => ({ name: "watched", index: "memory", threshold });
  const always = { rules: [rule(0.1)], default_rules: false };

  it("puts a changed threshold in force within two seconds, without a restart", async () => {
    const agent = await start({ alerts: { rules: [rule(99)] } });
    await rewrite(agent, { alerts: { rules: [rule(98)], cooldown_minutes: 7 } });
    await eventually(
      "the threshold is in force",
      async () => (await agent.get("/api/rules")).text.includes('"levels":{"warning":98}'),
      2_000,
    );
    assert.match((await agent.get("/api/config")).text, /"cooldown_minutes":7/);
    assert.equal(events(agent, "listening").length, 1);
    await rewrite(agent, { alerts: { rules: [rule(98)] } });
    await eventually("what is no longer said has its default again", async () =>
      (await agent.get("/api/config")).text.includes('"cooldown_minutes":5'),
    );
    // Written again as it was, with other spaces: nothing to do.
    await rewrite(agent, JSON.stringify({ ...base, alerts: { rules: [rule(98)] } }, null, 2));
    process.kill(agent.pid, "SIGHUP");
    await sampled(agent, 5);
    assert.equal(events(agent, "configuration changed").length, 2);
    assert.equal(events(agent, "listening").length, 1);
  });

  it("notices a file at the default path that was not there", async () => {
    const agent = await start({}, { unconfigured: true, env: { STORAGE_BACKEND: "memory" } });
    await mkdir(path.dirname(agent.configFile));
    await rewrite(agent, { alerts: { rules: [rule(77)] } });
    await eventually("its rule is in force", async () =>
      (await agent.get("/api/rules")).text.includes('"levels":{"warning":77}'),
    );
    assert.equal(events(agent, "listening").length, 1);
  });

  it("goes on as before with a file it cannot use, says why, and recovers", async () => {
    const missing = path.join(dir, "token");
    const agent = await start({ alerts: { rules: [rule(99)] } });
    const reload = async (): Promise<string> =>
      (await agent.get("/metrics")).text.match(
        /config_last_reload_successful\{source="file"\} (\d)/,
      )?.[1] ?? "";
    assert.equal(await reload(), "1");
    await rewrite(agent, {
      admin: { token_file: missing },
      alerts: { rules: [{ ...rule(98), treshold: 1 }] },
      redis: { prot: "hunter2" },
    });
    await eventually("it is degraded", async () => (await fileOf(agent)).status === "degraded");
    const why = (await fileOf(agent)).last_error ?? "";
    for (const at of ["alerts.rules[0].treshold: ", "admin.token_file: ", "redis.prot: "])
      assert.ok(why.includes(at), why);
    assert.equal(await reload(), "0");
    assert.match((await agent.get("/api/rules")).text, /"levels":\{"warning":99\}/);
    assert.match((await agent.get("/")).text, /treshold/);

    await rewrite(agent, { admin: { token_file: missing }, alerts: { rules: [rule(98)] } });
    await eventually("only the file is missing", async () =>
      /^admin\.token_file: [^;]*$/.test((await fileOf(agent)).last_error ?? ""),
    );
    await rewrite(agent, "{ nothing");
    await eventually("it is no JSON", async () =>
      ((await fileOf(agent)).last_error ?? "").includes("not valid JSON at line 1"),
    );
    assert.equal(events(agent, "configuration refused").length, 3);

    await rewrite(agent, { alerts: { rules: [rule(99)] } });
    await eventually("it is well again", async () => (await fileOf(agent)).status === "ok");
    assert.equal(await reload(), "1");
    assert.equal(events(agent, "configuration as before").length, 1);
    assert.equal(events(agent, "configuration changed").length, 0);

    // A named file that is not there is waited for.
    await rewrite(agent, { admin: { token_file: missing } });
    await eventually("it is missing", async () => (await fileOf(agent)).status === "degraded");
    await writeFile(missing, "token-hunter2\n");
    await restarted(agent);
    assert.equal((await fileOf(agent)).status, "ok");
    assert.doesNotMatch(agent.output(), /hunter2/);
  });

  it("refuses what only shows when the agent is built, such as certificates that are not there", async () => {
    const ca = path.join(dir, "ca.pem");
    const agent = await start({});
    const tls = { storage: { backend: "redis" }, redis: { port: 1, tls: { ca_file: ca } } };
    await rewrite(agent, tls);
    await eventually("it is degraded", async () =>
      ((await fileOf(agent)).last_error ?? "").includes("redis.tls.ca_file"),
    );
    assert.equal(events(agent, "listening").length, 1);
    await writeFile(ca, "one");
    await restarted(agent, 1);
    // The setting is the same, the certificate another: the way to Redis changes without another agent.
    await writeFile(ca, "another");
    await eventually("it is taken", () => events(agent, "configuration changed").length === 1);
    assert.equal(events(agent, "listening").length, 2);
    await rm(ca);
    await eventually("it is degraded again", async () =>
      ((await fileOf(agent)).last_error ?? "").includes("redis.tls.ca_file"),
    );
    await writeFile(ca, "another");
    await eventually("it is well again", async () => (await fileOf(agent)).status === "ok");
  });

  it("listens where it is told to, and again on the same port", async () => {
    const [first, second] = [await freePort(), await freePort()];
    const agent = await start({ server: { port: first } }, { env: { SERVER_PORT: "" } });
    const old = agent.url;
    assert.equal(Number(new URL(old).port), first);
    await rewrite(agent, { server: { port: second } });
    await restarted(agent, 1);
    assert.equal(Number(new URL(agent.url).port), second);
    await assert.rejects(fetch(old));
    await rewrite(agent, { server: { port: second, public_url: "https://nodes.example.com" } });
    await restarted(agent, 2);
    assert.equal(Number(new URL(agent.url).port), second);
    await sampled(agent, 1);
    assert.equal(events(agent, "restarting with a changed configuration").length, 2);
  });

  it("goes on as it was when the new port is taken, and takes up the next good file", async () => {
    const other = await start({});
    const port = await freePort();
    const agent = await start({ server: { port } }, { env: { SERVER_PORT: "" } });
    await sampled(agent, 2);
    const taken = { server: { port: Number(new URL(other.url).port) } };
    await rewrite(agent, taken);
    await eventually("it is degraded", async () => (await fileOf(agent)).status === "degraded");
    assert.equal(
      (await fileOf(agent)).last_error,
      `server.port: 127.0.0.1:${taken.server.port} is in use by another process`,
    );
    process.kill(agent.pid, "SIGHUP");
    await sampled(agent, 5);
    assert.equal(events(agent, "configuration refused").length, 1);
    assert.equal(events(agent, "listening").length, 1, "nothing was stopped for it");
    await rewrite(agent, { server: { port }, alerts: { rules: [rule(77)] } });
    await eventually("the next good file is in force", async () =>
      (await agent.get("/api/rules")).text.includes('"levels":{"warning":77}'),
    );
    assert.equal((await fileOf(agent)).status, "ok");
    await rewrite(agent, taken);
    await eventually("it is degraded", async () => (await fileOf(agent)).status === "degraded");
    await other.stop();
    process.kill(agent.pid, "SIGHUP");
    await restarted(agent, 1);
    assert.equal(Number(new URL(agent.url).port), taken.server.port);
    assert.equal(await agent.stop(), 0);
  });

  it("runs with the old settings again when it cannot start with the new ones", async () => {
    const robot = await feishu();
    const channels = [{ type: "feishu", webhook_url: robot.url, enabled: true }];
    const alerts = { ...always, channels };
    const port = await freePort();
    const agent = await start(
      { server: { host: "127.0.0.1", port }, alerts },
      { env: { SERVER_PORT: "", SERVER_HOST: "" } },
    );
    await eventually("the alert arrived", () => robot.received.length === 1);
    // Every address of the port: this agent has one of them, somebody else another.
    const neighbour = createServer();
    neighbour.listen(port, "127.0.0.2");
    await once(neighbour, "listening");
    track(neighbour, async () => neighbour.close());
    await rewrite(agent, { server: { port, host: "0.0.0.0" }, alerts });
    await restarted(agent, 1);
    assert.equal(agent.url, `http://127.0.0.1:${port}`);
    await eventually("it is degraded", async () => (await fileOf(agent)).status === "degraded");
    const why = `server.port: 0.0.0.0:${port} is in use by another process`;
    assert.equal((await fileOf(agent)).last_error, why);
    assert.deepEqual(
      events(agent, "configuration refused").map(({ reason }) => reason),
      [why],
    );
    await sampled(agent, 3);
    await rewrite(agent, { server: { host: "127.0.0.1", port }, alerts });
    await eventually("it is well", async () => (await fileOf(agent)).status === "ok");
    await rewrite(agent, {
      server: { host: "127.0.0.1", port, public_url: "https://n.example.com" },
      alerts,
    });
    await restarted(agent, 2);
    await sampled(agent, 3);
    assert.equal(robot.received.length, 1, "the alert was neither repeated nor forgotten");
    assert.equal(await agent.stop(), 0);
  });

  it("connects anew when the password of Redis is rotated, and loses no sample of the time between", async () => {
    const redis = await startRedis({ password: "first-hunter2" });
    track(redis, () => redis.stop());
    const mount = path.join(dir, "secret");
    await publish(mount, "..1", { password: "first-hunter2\n" });
    const agent = await start(
      {
        storage: { backend: "redis" },
        redis: { host: "127.0.0.1", port: redis.port },
        metrics: { collection_interval: 1 },
        node: { name: "rotated" },
      },
      { env: { REDIS_PASSWORD_FILE: path.join(mount, "password") } },
    );
    const state = async (): Promise<string> =>
      ((await agent.get("/health")).json as { components: { redis: { status: string } } })
        .components.redis.status;
    await eventually("it is connected", async () => (await state()) === "ok");
    await sampled(agent, 3);
    await redis.client.config("SET", "requirepass", "second-hunter2");
    await redis.client.call("CLIENT", "KILL", "TYPE", "normal");
    await eventually("it is shut out", async () => (await state()) === "down");
    await sampled(agent, 7);
    await publish(mount, "..2", { password: "second-hunter2\n" });
    await eventually("it is connected again", async () => (await state()) === "ok");
    await sampled(agent, 10);
    assert.equal(events(agent, "listening").length, 1, "without another agent");
    assert.equal(await agent.stop(), 0);
    const clock = new ManualClock(Date.now());
    const { log } = recordLog();
    const deps = { clock, log, retentionDays: () => 7 };
    const backend = createRedisBackend(
      redis.settings({ password: new Secret("second-hunter2") }),
      deps,
    );
    track(backend, () => backend.stop());
    backend.start();
    await eventually("the test is connected", () => backend.status().status === "ok");
    const selectors = [parseSelector("memory")];
    const range = { fromMs: clock.now() - 60_000, toMs: clock.now() };
    const { timesMs } = await seriesStore(backend, clock).read({
      node: "default/rotated",
      selectors,
      ...range,
    });
    assert.ok(timesMs.length >= 7, `${timesMs.length} samples`);
    const gaps = timesMs.slice(1).filter((timeMs, at) => timeMs - timesMs[at]! !== 1_000);
    assert.deepEqual([...gaps], []);
    assert.doesNotMatch(agent.output(), /hunter2/);
  });

  it("sends to the robot whose address a rotated secret holds, without a restart", async () => {
    const [first, second] = [await feishu(), await feishu()];
    const mount = path.join(dir, "secret");
    await publish(mount, "..1", { hook: first.url });
    const channel = { type: "feishu", webhook_url_file: path.join(mount, "hook"), enabled: true };
    const agent = await start({ alerts: { default_rules: false, channels: [channel] } });
    const raise = (index: string): Promise<unknown> => {
      const timestamp = Math.floor(Date.now() / 1_000);
      return agent.post("/api/alert", { index, threshold: 1, current_value: 2, timestamp });
    };
    await raise("one");
    await eventually("the first robot is told", () => first.received.length === 1);
    await publish(mount, "..2", { hook: second.url });
    await eventually("it has noticed", () => events(agent, "configuration changed").length === 1);
    await raise("two");
    await eventually("the second robot is told", () => second.received.length === 1);
    assert.equal(first.received.length, 1);
    assert.equal(events(agent, "listening").length, 1);
    assert.ok(!agent.output().includes(second.token));
  });

  it("neither repeats nor forgets an alert when it starts anew", async () => {
    const robot = await feishu();
    const channels = [{ type: "feishu", webhook_url: robot.url, enabled: true }];
    const config = { alerts: { ...always, channels } };
    const agent = await start(config);
    await eventually("the alert arrived", () => robot.received.length === 1);
    const alerts = async (): Promise<string[]> =>
      ((await agent.get("/api/alerts")).json as Alerts).items.map(({ id, status }) => id + status);
    const before = await alerts();
    for (let times = 1; times <= 3; times++) {
      await rewrite(agent, { ...config, server: { public_url: `https://n${times}.example.com` } });
      await restarted(agent, times);
      await sampled(agent, 3);
    }
    assert.deepEqual(await alerts(), before);
    assert.equal(robot.received.length, 1);
  });

  it("waits for a message on its way, and loses none that comes meanwhile", async () => {
    const slow = await startSlowRobot();
    track(slow, () => slow.close());
    const robot = await feishu();
    robot.respondWith("drop");
    const channels = [
      { type: "feishu", name: "slow", webhook_url: slow.url, enabled: true },
      { type: "feishu", name: "broken", webhook_url: robot.url, enabled: true },
    ];
    const config = { alerts: { ...always, channels } };
    const agent = await start(config);
    await eventually("both were tried", () => slow.requests() === 1 && robot.requests() > 0);
    await rewrite(agent, { ...config, log: { level: "debug" } });
    await eventually(
      "it begins",
      () => events(agent, "restarting with a changed configuration").length > 0,
    );
    const ticks = Number(
      /^targetvpc_ticks_total (\d+)/m.exec((await agent.get("/metrics")).text)?.[1],
    );
    await sampled(agent, ticks + 2);
    assert.equal(events(agent, "listening").length, 1, "the message was not waited for");
    const alert = {
      index: "queue",
      threshold: 1,
      current_value: 2,
      timestamp: Math.floor(Date.now() / 1_000),
    };
    assert.equal((await agent.post("/api/alert", alert)).status, 202);
    robot.respondWith(null);
    slow.answer();
    await restarted(agent);
    await eventually("the others arrive", () => robot.received.length === 2, 20_000);
    await eventually("the slow robot has both", () => slow.requests() === 2);
    await sampled(agent, 4);
    assert.equal(slow.requests(), 2);
    assert.equal(robot.received.length, 2);
  });

  it("ends at once when it is told to in the midst of that", async () => {
    const slow = await startSlowRobot();
    track(slow, () => slow.close());
    const channels = [{ type: "feishu", webhook_url: slow.url, enabled: true }];
    const config = { alerts: { ...always, channels } };
    const agent = await start(config);
    await eventually("a message is on its way", () => slow.requests() === 1);
    await rewrite(agent, { ...config, log: { level: "debug" } });
    await eventually(
      "it begins",
      () => events(agent, "restarting with a changed configuration").length > 0,
    );
    const startedMs = performance.now();
    assert.equal(await agent.stop(), 0);
    assert.ok(performance.now() - startedMs < 3_000, `${performance.now() - startedMs} ms`);
    assert.equal(events(agent, "listening").length, 1);
  });

  it("takes SIGHUP for a question, not for an end", async () => {
    const agent = await start({ alerts: { rules: [rule(99)] } });
    for (const threshold of [98, 97]) {
      await writeFile(
        agent.configFile,
        JSON.stringify({ ...base, alerts: { rules: [rule(threshold)] } }),
      );
      process.kill(agent.pid, "SIGHUP");
      await eventually("it has looked", async () =>
        (await agent.get("/api/rules")).text.includes(`"levels":{"warning":${threshold}}`),
      );
    }
    assert.equal(events(agent, "stopping").length, 0);
    assert.equal(await agent.stop(), 0);
  });
});
