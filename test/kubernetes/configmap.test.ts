import assert from "node:assert/strict";
import {
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Running } from "../../src/core/ports.ts";
import { parseConfigText } from "../../src/config/file.ts";
import type { KubeClient } from "../../src/kubernetes/client.ts";
import { Cluster, type ClusterSettings } from "../../src/kubernetes/cluster.ts";
import { findConfig, readMounted, secretReader } from "../../src/kubernetes/mounted.ts";
import { rights } from "../../src/kubernetes/rights.ts";
import type { NodeFacts } from "../../src/core/node.ts";
import { AgentError } from "../../src/core/errors.ts";
import { documentParser } from "../../src/settings.ts";
import { ManualClock } from "../support/clock.ts";
import {
  agentNamespace,
  configMapName,
  fullToken,
  startKube,
  type KubeServer,
} from "../support/kube.ts";
import { recordLog } from "../support/log.ts";
import { clientOf, ownNode, when } from "./kit.ts";

function rule(threshold: number | string, name = "cpu"): string {
  return JSON.stringify({
    alerts: { rules: [{ name, index: "cpu", operator: ">", threshold, level: "warning" }] },
  });
}

const yaml = (threshold: number): string =>
  `alerts:\n  rules:\n    - {name: cpu, index: cpu, operator: ">", threshold: ${threshold}, level: warning}\n`;

/** A directory as the kubelet mounts a ConfigMap or a Secret. */
class Mount {
  readonly dir: string;
  #versions = 0;

  constructor(parent: string, name: string) {
    this.dir = path.join(parent, name);
    mkdirSync(this.dir);
  }

  /** Replaces all files at once, by the link `..data`. */
  set(files: Readonly<Record<string, string>>, atMs = Date.now()): void {
    const version = `..version_${++this.#versions}`;
    mkdirSync(path.join(this.dir, version));
    for (const [name, text] of Object.entries(files))
      writeFileSync(path.join(this.dir, version, name), text);
    symlinkSync(version, path.join(this.dir, "..data_tmp"));
    lutimesSync(path.join(this.dir, "..data_tmp"), atMs / 1_000, atMs / 1_000);
    renameSync(path.join(this.dir, "..data_tmp"), path.join(this.dir, "..data"));
    for (const name of Object.keys(files)) {
      rmSync(path.join(this.dir, name), { force: true });
      symlinkSync(path.join("..data", name), path.join(this.dir, name));
    }
  }
}

describe("the ConfigMap", () => {
  let server: KubeServer;
  let clock: ManualClock;
  let dir: string;
  let cluster: Cluster;
  let published: string[];
  let facts: NodeFacts[];
  let kept: Map<string, string>;
  let log: ReturnType<typeof recordLog>;
  const clients: KubeClient[] = [];
  const running: Running[] = [];

  beforeEach(async () => {
    server = await startKube();
    server.setNode(ownNode.name);
    clock = new ManualClock();
    dir = mkdtempSync(path.join(tmpdir(), "targetvpc-configmap-"));
    published = [];
    facts = [];
    kept = new Map();
    log = recordLog();
  });
  afterEach(async () => {
    for (const each of running.splice(0)) await each.stop();
    for (const each of clients.splice(0)) each.close();
    await server.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  const make = (
    changes: Partial<ClusterSettings> = {},
    client: KubeClient | null = clientOf(server, clock),
    node = ownNode,
  ): Cluster => {
    if (client !== null) clients.push(client);
    const settings: ClusterSettings = {
      configmap: configMapName,
      configmapDir: null,
      secretsDir: null,
      namespace: agentNamespace,
      events: true,
      nodeCondition: false,
      pod: null,
      ...changes,
    };
    const parse = documentParser(secretReader(settings.secretsDir));
    return new Cluster({
      settings,
      client,
      clock,
      log: log.log,
      random: () => 0.5,
      node,
      keep: {
        load: async (kind) => kept.get(kind) ?? null,
        save: async (kind, json) => void kept.set(kind, json),
      },
      redact: (text) => text,
      read: async (text, key) => {
        try {
          return parse(await parseConfigText(text, key));
        } catch (cause) {
          return { ok: false, faults: cause instanceof AgentError ? cause.faults : [] };
        }
      },
      publish: (document) => {
        const [first] = document?.rules ?? [];
        const channels = document?.channels.length ?? 0;
        published.push(
          document === null ? "none" : `${first?.thresholds.warning ?? "no rule"}/${channels}`,
        );
      },
      onFacts: (known) => void facts.push(known),
      firing: () => [],
      parts: () => ({}),
    });
  };
  const start = async (
    changes: Partial<ClusterSettings> = {},
    client?: KubeClient | null,
    node?: typeof ownNode,
  ): Promise<void> => {
    cluster = make(changes, client, node);
    await cluster.prepare();
    running.push(cluster.start());
  };
  const restart = async (changes: Partial<ClusterSettings> = {}): Promise<void> => {
    for (const each of running.splice(0)) await each.stop();
    published = [];
    await start(changes);
  };
  const inForce = (what: string): Promise<void> =>
    when(clock, `in force: ${what}`, () => published.at(-1) === what, 250);
  const refused = (): Promise<void> =>
    when(clock, "it is refused", () => cluster.source.status.status === "degraded", 250);
  const why = (): string => cluster.source.status.lastError ?? "";

  it("is in force when the mount changes while the agent starts", async () => {
    const mount = new Mount(dir, "policy");
    mount.set({ "config.json": rule(80) });
    cluster = make({ configmapDir: mount.dir }, null);
    await cluster.prepare();
    mount.set({ "config.json": rule(70) });
    running.push(cluster.start());
    await inForce("70/0");
  });

  it("is in force as soon as it changes, written as JSON or as YAML", async () => {
    server.setConfigMap({ "config.yaml": yaml(80) });
    await start();
    await inForce("80/0");
    assert.equal(cluster.source.way, "watch");
    assert.match(cluster.source.revision ?? "", /^[0-9a-f]{12}$/);
    server.setConfigMap({ "config.json": rule(70) });
    await inForce("70/0");
    server.setConfigMap({ "config.yml": yaml(60) });
    await inForce("60/0");
    assert.deepEqual(published, ["80/0", "70/0", "60/0"]);
    assert.equal(cluster.source.status.status, "ok");
  });

  it("that says the same again changes nothing", async () => {
    server.setConfigMap({ "config.json": rule(80) });
    await start();
    await inForce("80/0");
    server.setConfigMap({ "config.json": rule(80), "notes.txt": "hello" });
    server.setConfigMap({ "config.json": rule(81) });
    await inForce("81/0");
    assert.deepEqual(published, ["80/0", "81/0"]);
  });

  it("that is wrong is refused whole, with every fault, and the last good one stays", async () => {
    server.setConfigMap({ "config.json": rule(80) });
    await start();
    await inForce("80/0");
    const bad = JSON.stringify({
      alerts: {
        rules: [
          { name: "fine", index: "cpu", operator: ">", threshold: 1, level: "warning" },
          { name: "a", index: "cpu", operator: "=>", threshold: "x", level: "warning" },
        ],
        colour: "red",
      },
    });
    server.setConfigMap({ "config.json": bad });
    await refused();
    for (const part of ["alerts.rules[1].operator", "alerts.rules[1].threshold", "alerts.colour"])
      assert.ok(why().includes(part), why());
    assert.deepEqual(published, ["80/0"]);
    assert.equal(cluster.source.reloaded, false);
    await when(clock, "an Event tells it", () => server.events(agentNamespace).length === 1, 500);
    const [event] = server.events(agentNamespace);
    assert.equal(event?.["reason"], "ConfigRefused");
    assert.match(String(event?.["note"]), /alerts\.rules\[1\]\.operator/);
    server.setConfigMap({ "config.json": rule(75) });
    await inForce("75/0");
    assert.equal(cluster.source.status.status, "ok");
    assert.equal(cluster.source.reloaded, true);
  });

  it("that is corrected to what it was is well again, and nothing is said twice", async () => {
    server.setConfigMap({ "config.json": rule(80) });
    await start();
    await inForce("80/0");
    server.setConfigMap({ "config.json": "{" });
    await refused();
    assert.match(why(), /not valid JSON at line 1, column 2/);
    server.setConfigMap({ "config.json": rule(80) });
    await when(clock, "it is well", () => cluster.source.status.status === "ok");
    assert.equal(cluster.source.reloaded, true);
  });

  for (const [what, data, fault] of [
    [
      "both keys",
      { "config.yaml": "", "config.json": "{}" },
      /has both config.yaml and config.json; keep one/,
    ],
    [
      "other keys",
      { "rules.yaml": "", "a.txt": "" },
      /expected the key config.yaml or config.json, got a.txt, rules.yaml/,
    ],
    ["no keys", {}, /got none/],
  ] as const)
    it(`with ${what} is refused`, async () => {
      server.setConfigMap(data);
      await start();
      await refused();
      assert.match(why(), fault);
    });

  it("that is deleted takes its rules along, and brings them again", async () => {
    server.setConfigMap({ "config.json": rule(80) });
    await start();
    await inForce("80/0");
    server.deleteConfigMap();
    await inForce("none");
    assert.equal(cluster.source.revision, null);
    assert.equal(cluster.source.status.status, "ok");
    server.setConfigMap({ "config.json": rule(80) });
    await inForce("80/0");
  });

  it("is taken from the mount while the right is missing, and health names the right", async () => {
    const mount = new Mount(dir, "config");
    mount.set({ "config.yaml": yaml(50) });
    server.setConfigMap({ "config.json": rule(80) });
    server.deny(fullToken, rights.configmap);
    await start({ configmapDir: mount.dir });
    await inForce("50/0");
    await when(clock, "the right is missed", () => why() !== "");
    assert.match(
      why(),
      /^missing right: get, list, watch configmaps monitoring\/targetvpc; without it the mounted/,
    );
    assert.match(why(), /\(in force: mounted\)$/);
    assert.equal(cluster.status.details?.["configmap"], "mounted");
    mount.set({ "config.yaml": yaml(51) });
    await inForce("51/0");
    server.allow(fullToken, rights.configmap);
    await when(clock, "the watch sees", () => published.at(-1) === "80/0", 1_000);
    assert.equal(cluster.source.way, "watch");
    server.deny(fullToken, rights.configmap);
    server.cutWatches();
    await inForce("51/0");
  });

  it("is the mounted one without any right to the API server, and none when the mount is empty", async () => {
    const mount = new Mount(dir, "config");
    await start({ configmapDir: mount.dir }, null);
    assert.deepEqual(published, ["none"]);
    mount.set({ "config.json": rule(40) });
    await inForce("40/0");
    mount.set({ "config.json": rule(41) });
    await inForce("41/0");
    assert.equal(cluster.source.status.status, "ok");
    assert.equal(server.asked.length, 0);
  });

  it("is as kept of an earlier run while the API server is away", async () => {
    server.setConfigMap({ "config.json": rule(80) });
    await start();
    await inForce("80/0");
    await server.stop();
    await restart();
    assert.deepEqual(published, ["80/0"]);
    assert.equal(cluster.source.way, "cached");
    await when(clock, "the trouble is seen", () => cluster.source.status.status === "down");
    assert.match(why(), /ECONNREFUSED.*\(in force: cached\)/);
    server.setConfigMap({ "config.json": rule(80) });
    await server.start();
    await when(clock, "it is seen", () => cluster.source.way === "watch", 1_000);
    assert.deepEqual(published, ["80/0"], "the same text is not put in force again");
    server.deleteConfigMap();
    await inForce("none");
    await restart();
    await inForce("none");
    assert.deepEqual(published, ["none"], "one that is gone is not kept");
  });

  it("is the newer of the mounted and the kept one while the API server is away", async () => {
    const mount = new Mount(dir, "config");
    mount.set({ "config.json": rule(50) }, clock.now() - 1_000);
    server.setConfigMap({ "config.json": rule(80) });
    await start({ configmapDir: mount.dir });
    await inForce("80/0");
    await server.stop();
    await clock.advance(60_000);
    for (const run of ["second", "third"]) {
      await restart({ configmapDir: mount.dir });
      assert.equal(published.at(-1), "80/0", `${run} run`);
      assert.equal(cluster.source.way, "cached");
    }
    mount.set({ "config.json": rule(81) }, clock.now());
    await inForce("81/0");
    assert.equal(cluster.source.way, "mounted");
    await restart({ configmapDir: mount.dir });
    assert.equal(published.at(-1), "81/0");
  });

  it("that is mounted and refused leaves the kept one in force", async () => {
    const mount = new Mount(dir, "config");
    mount.set({ "config.json": rule(50) }, clock.now());
    await start({ configmapDir: mount.dir }, null);
    assert.equal(published.at(-1), "50/0");
    mount.set({ "config.json": rule("many") }, clock.now() + 1_000);
    await refused();
    for (const each of running.splice(0)) await each.stop();
    published = [];
    await start({ configmapDir: mount.dir }, null);
    assert.deepEqual(published, ["50/0"]);
    assert.match(why(), /refused: .*threshold/);
  });

  describe("has spoken", () => {
    it("not before the API server was reached", async () => {
      await server.stop();
      await start();
      await when(clock, "the trouble is seen", () => cluster.source.status.status === "down");
      assert.equal(cluster.source.spoken, false);
      assert.deepEqual(published, []);
      server.setConfigMap({ "config.json": rule(80) });
      await server.start();
      await inForce("80/0");
      assert.equal(cluster.source.spoken, true);
    });

    it("not while the server does not accept the token", async () => {
      server.expire(fullToken);
      await start();
      await when(clock, "the trouble is seen", () => cluster.source.status.status === "down");
      assert.match(why(), /does not accept the service account's token/);
      assert.equal(cluster.source.spoken, false);
      assert.deepEqual(published, []);
    });

    it("when it may not be read and nothing else is there, once", async () => {
      server.deny(fullToken, rights.configmap);
      await start();
      await inForce("none");
      assert.equal(cluster.source.spoken, true);
      for (let i = 0; i < 10; i++) await when(clock, "it asks again", () => true, 15_000);
      assert.deepEqual(published, ["none"]);
    });

    it("not while it is refused and nothing of it was ever in force", async () => {
      server.setConfigMap({ "config.json": "{" });
      await start();
      await refused();
      assert.equal(cluster.source.spoken, false);
      server.setConfigMap({ "config.json": rule(80) });
      await inForce("80/0");
      server.setConfigMap({ "config.json": "{" });
      await refused();
      assert.equal(cluster.source.spoken, true);
    });
  });

  it("that is neither watched nor mounted is nobody's to wait for, and comes when it is mounted", async () => {
    const nowhere = path.join(dir, "config");
    await start({ configmapDir: nowhere }, null);
    assert.deepEqual(published, ["none"]);
    assert.equal(cluster.source.spoken, true);
    assert.equal(cluster.source.status.status, "degraded");
    assert.match(why(), /nothing is mounted at kubernetes\.configmap_dir/);
    new Mount(dir, "config").set({ "config.json": rule(40) });
    await inForce("40/0");
    assert.equal(cluster.source.status.status, "ok");
  });

  describe("that is mounted and cannot be read", () => {
    const at = (): string => path.join(dir, "config");
    beforeEach(() => writeFileSync(at(), "no directory"));

    it("is told in health, is not taken for one that is gone, and comes when it can be read", async () => {
      await start({ configmapDir: at() }, null);
      assert.equal(cluster.status.status, "degraded");
      assert.match(
        cluster.status.lastError ?? "",
        /^mounted configmap unreadable: ENOTDIR: .*config/,
      );
      assert.equal(cluster.source.spoken, false);
      assert.deepEqual(log.of("warn"), ["mounted configmap unreadable"]);
      rmSync(at());
      new Mount(dir, "config").set({ "config.json": rule(40) });
      await inForce("40/0");
      assert.equal(cluster.source.status.status, "ok");
      renameSync(at(), `${at()}.old`);
      writeFileSync(at(), "no directory");
      await when(clock, "it is told", () => cluster.status.status === "degraded", 250);
      assert.deepEqual(published, ["40/0"]);
    });

    it("is told beside a watch that works, and beside one that does not", async () => {
      server.setConfigMap({ "config.json": rule(80) });
      await start({ configmapDir: at() });
      await inForce("80/0");
      assert.equal(cluster.source.status.status, "degraded");
      assert.match(why(), /^mounted configmap unreadable: ENOTDIR/);
      await server.stop();
      await when(clock, "the API server is missed", () => /ECONNREFUSED/.test(why()), 1_000);
      assert.equal(cluster.source.status.status, "down");
      assert.match(why(), /; mounted configmap unreadable: ENOTDIR/);
    });
  });

  describe("comes with facts of the node, which", () => {
    const labelled = { labels: { pool: "gpu" }, taints: [] };

    it("are kept for a start without the API server, and for one without the right", async () => {
      server.setNode(ownNode.name, { labels: labelled.labels });
      await start();
      await when(clock, "they are known", () => facts.length === 1);
      await when(clock, "they are kept", () => kept.has("node"));
      await server.stop();
      await restart();
      assert.deepEqual(facts, [labelled, labelled]);
      server.deny(fullToken, rights.node);
      await server.start();
      await when(
        clock,
        "they may not be seen",
        () => /missing right: get nodes/.test(cluster.status.lastError ?? ""),
        1_000,
      );
      assert.deepEqual(facts, [labelled, labelled]);
    });

    it("are none where there has been no Node of that name for a minute, and come with it", async () => {
      const spelt = { ...ownNode, name: "node-l" };
      await start({}, undefined, spelt);
      await when(clock, "that is known", () => facts.length === 1, 2_000);
      assert.deepEqual(facts, [{ labels: {}, taints: [] }]);
      assert.match(cluster.status.lastError ?? "", /no Node "node-l": set node\.name/);
      server.setNode(spelt.name, { labels: labelled.labels });
      await when(clock, "they are known", () => facts.length === 2, 2_000);
      assert.deepEqual(facts[1], labelled);
    });

    it("are none where the right was not given for a minute", async () => {
      server.deny(fullToken, rights.node);
      await start();
      await when(clock, "that is known", () => facts.length === 1, 2_000);
      assert.ok(clock.monotonic() >= 60_000);
      assert.deepEqual(facts, [{ labels: {}, taints: [] }]);
    });
  });

  describe("may name secrets", () => {
    const robot = (file: string): string =>
      JSON.stringify({
        alerts: {
          channels: [{ name: "robot", type: "feishu", webhook_url_file: file, enabled: true }],
        },
      });
    const address = "https://open.feishu.cn/open-apis/bot/v2/hook/0123456789abcdef";

    it("of its directory, which come right when the kubelet brings them", async () => {
      const secrets = new Mount(dir, "secrets");
      server.setConfigMap({ "config.json": robot(path.join(secrets.dir, "url")) });
      await start({ secretsDir: secrets.dir });
      await refused();
      assert.match(why(), /alerts\.channels\[0\]\.webhook_url_file: .*ENOENT/);
      await clock.advance(60_000);
      assert.equal(server.events(agentNamespace).length, 0);
      secrets.set({ url: address });
      await inForce("no rule/1");
      await clock.advance(120_000);
      assert.equal(server.events(agentNamespace).length, 0, "nobody need know");
    });

    it("that never come, and after two minutes an Event tells", async () => {
      const secrets = new Mount(dir, "secrets");
      server.setConfigMap({ "config.json": robot(path.join(secrets.dir, "url")) });
      await start({ secretsDir: secrets.dir });
      await refused();
      await clock.advance(119_000);
      assert.equal(server.events(agentNamespace).length, 0);
      // Labels of it may change in between.
      server.setConfigMap({ "config.json": robot(path.join(secrets.dir, "url")) });
      await when(clock, "an Event tells", () => server.events(agentNamespace).length === 1, 1_000);
    });

    it("of nowhere else, wherever links lead", () => {
      const secrets = path.join(dir, "secrets");
      mkdirSync(secrets);
      mkdirSync(path.join(dir, "secrets-other"));
      for (const place of ["outside", "secrets-other/file", "secrets/inside"])
        writeFileSync(path.join(dir, place), "s3cret");
      symlinkSync("../outside", path.join(secrets, "escape"));
      symlinkSync("inside", path.join(secrets, "link"));
      const read = secretReader(secrets);
      assert.equal(read(path.join(secrets, "inside")), "s3cret");
      assert.equal(read(path.join(secrets, "link")), "s3cret");
      for (const file of [
        "/etc/hostname",
        "/nowhere/at/all",
        path.join(dir, "outside"),
        path.join(secrets, "escape"),
        `${secrets}/../outside`,
        path.join(dir, "secrets-other/file"),
        secrets,
      ])
        assert.throws(
          () => read(file),
          { message: `only files below ${secrets} may be named here` },
          file,
        );
      assert.throws(() => read(path.join(secrets, "missing")), /ENOENT/);
      assert.throws(() => secretReader(null)("/etc/hostname"), /kubernetes\.secrets_dir/);
    });
  });
});

describe("a mounted ConfigMap", () => {
  it("is nothing, empty, or its visible files", () => {
    const dir = mkdtempSync(path.join(tmpdir(), "targetvpc-mounted-"));
    try {
      assert.deepEqual(readMounted(path.join(dir, "none")), { kind: "no-mount" });
      const mount = new Mount(dir, "config");
      lutimesSync(mount.dir, 100, 100);
      assert.deepEqual(readMounted(mount.dir), { kind: "absent", sinceMs: 100_000 });
      mount.set({ "config.yaml": "a: 1", "notes.txt": "hello" }, 200_000);
      assert.deepEqual(readMounted(mount.dir), {
        kind: "data",
        data: { "config.yaml": "a: 1", "notes.txt": "" },
        sinceMs: 200_000,
      });
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });

  it("has one text", () => {
    assert.deepEqual(findConfig({ "config.json": "{}", other: "" }), {
      kind: "text",
      key: "config.json",
      text: "{}",
    });
  });
});
