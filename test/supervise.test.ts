import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { App } from "../src/app.ts";
import { createRedactor } from "../src/base/secret.ts";
import { createSystemLanes } from "../src/collect/host.ts";
import { difference, loadSettings, tryLoadSettings, type Settings } from "../src/settings.ts";
import { Supervisor } from "../src/supervise.ts";
import { ManualClock, settle } from "./support/clock.ts";
import { recordLog } from "./support/log.ts";

const env = { SERVER_PORT: "0", SERVER_HOST: "127.0.0.1", STORAGE_BACKEND: "memory" };

describe("a supervised agent", () => {
  let dir: string;
  let file: string;
  const write = (config: unknown): Promise<void> => writeFile(file, JSON.stringify(config));
  const load = async (config: unknown, more: Record<string, string> = {}): Promise<Settings> => {
    await write(config);
    return loadSettings(file, { ...env, ...more });
  };

  beforeEach(async () => {
    dir = await mkdtemp(path.join(tmpdir(), "targetvpc-supervise-"));
    file = path.join(dir, "config.json");
  });
  afterEach(() => rm(dir, { recursive: true }));

  const supervise = async (
    clock: ManualClock,
  ): Promise<{ it: Supervisor; log: ReturnType<typeof recordLog> }> => {
    const log = recordLog();
    const deps = { clock, log: log.log, redactor: createRedactor(), random: () => 0.5 };
    const lanes = createSystemLanes(clock);
    const it = new Supervisor(await loadSettings(file, env), {
      clock,
      load: () => tryLoadSettings(file, env),
      create: (settings) => {
        const app = new App({ ...deps, settings, lanes, stateDir: path.join(dir, "state") });
        return { app, log: log.log };
      },
      onLost: (cause) => assert.fail(String(cause)),
    });
    return { it, log };
  };

  it("leaves nothing behind, however often it starts anew or changes", async () => {
    const clock = new ManualClock();
    const channels = [{ type: "feishu", webhook_url: "http://127.0.0.1:1/hook", enabled: true }];
    const alerts = (threshold: number) => ({ channels, rules: [{ index: "cpu", threshold }] });
    await write({ alerts: alerts(99) });
    const { it, log } = await supervise(clock);
    await it.start();
    const count = async (): Promise<object> => {
      await settle(20);
      const listeners = ["SIGTERM", "SIGHUP", "uncaughtException", "exit", "warning"];
      return {
        files: readdirSync("/proc/self/fd").length,
        servers: process.getActiveResourcesInfo().filter((kind) => kind.startsWith("TCP")).length,
        waiting: clock.waiting,
        listeners: listeners.map((name) => process.listenerCount(name)),
      };
    };
    await write({ alerts: alerts(98), node: { name: "n" } });
    await it.reload();
    const before = await count();
    for (let i = 0; i < 20; i++) {
      await write({ alerts: alerts(i + 1), node: { name: `n${i}` } });
      await it.reload();
      await write({ alerts: alerts(i + 50), node: { name: `n${i}` } });
      await it.reload();
      await write("{");
      await it.reload();
    }
    assert.deepEqual(await count(), before);
    const events = log.lines.map(({ event }) => event);
    assert.equal(events.filter((event) => event === "listening").length, 22);
    assert.equal(events.filter((event) => event === "configuration changed").length, 20);
    assert.equal(events.filter((event) => event === "configuration refused").length, 20);
    await it.stop();
    await settle(20);
    assert.equal(clock.waiting, 0);
  });

  it("serves everybody who asks while it looks with one more look", async () => {
    await write({});
    const clock = new ManualClock();
    const { it, log } = await supervise(clock);
    await it.reload();
    assert.equal(log.lines.length, 0, "it has not even started");
    await it.start();
    await write({ node: { name: "other" } });
    const asked = Array.from({ length: 10 }, () => it.reload());
    await Promise.all(asked);
    assert.equal(new Set(asked).size, 1);
    assert.equal(log.lines.filter(({ event }) => event === "listening").length, 2);
    await it.stop();
  });

  it("names every file that decides", async () => {
    const at = (name: string): string => path.join(dir, name);
    for (const name of ["hook", "redis", "admin"]) await writeFile(at(name), "https://example.com");
    const config = {
      redis: { password_file: at("redis"), tls: { ca_file: at("ca") } },
      alerts: { channels: [{ type: "feishu", webhook_url_file: at("hook"), enabled: false }] },
    };
    const { files } = await load(config, { ADMIN_TOKEN_FILE: at("admin") });
    assert.deepEqual([...files].sort(), ["admin", "ca", "config.json", "hook", "redis"].map(at));
    await rm(at("hook"));
    const refused = await tryLoadSettings(file, env);
    assert.ok(!refused.ok && refused.files.includes(at("hook")));
    assert.deepEqual((await tryLoadSettings(at("nowhere"), env)).files, [at("nowhere")]);
  });

  it("tells what may change at run time from what it is started with, secrets included", async () => {
    const at = path.join(dir, "secret");
    const channel = { type: "feishu", webhook_url_file: at, enabled: true };
    const compare = async (a: object, b: object, secrets = ["https://a", "https://a"]) => {
      await writeFile(at, secrets[0] ?? "");
      const old = await load(a);
      await writeFile(at, secrets[1] ?? "");
      return difference(old, await load(b));
    };
    assert.equal(await compare({}, {}), "none");
    assert.equal(await compare({}, { metrics: {} }), "none");
    assert.equal(await compare({}, { metrics: { collection_interval: 1 } }), "runtime");
    assert.equal(await compare({ alerts: { default_rules: false } }, {}), "runtime");
    assert.equal(await compare({}, { alerts: { precedence: ["file"] } }), "start");
    const hook = { alerts: { channels: [channel] } };
    assert.equal(await compare(hook, hook), "none");
    assert.equal(await compare(hook, hook, ["https://a", "https://b"]), "runtime");
    const token = { server: { token_file: at } };
    assert.equal(await compare(token, token), "none");
    assert.equal(await compare(token, token, ["a", "b"]), "start");
    const tls = { redis: { tls: { ca_file: at } } };
    assert.equal(await compare(tls, tls), "none");
    assert.equal(await compare(tls, tls, ["a", "b"]), "runtime");
    const login = { redis: { password_file: at } };
    assert.equal(await compare(login, login, ["a", "b"]), "runtime");
    assert.equal(await compare({}, { redis: { cluster_nodes: ["a:1"] } }), "runtime");
    assert.equal(await compare({}, { redis: { prefix: "other" } }), "start");
  });
});
