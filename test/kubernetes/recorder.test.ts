import assert from "node:assert/strict";
import type { Incident } from "../../src/core/alert.ts";
import type { ComponentStatus, Running } from "../../src/core/ports.ts";
import { createRedactor, Secret } from "../../src/base/secret.ts";
import { AlertEvents } from "../../src/kubernetes/alerts.ts";
import type { KubeClient } from "../../src/kubernetes/client.ts";
import { noteOf, type Regarding } from "../../src/kubernetes/event.ts";
import { EventRecorder } from "../../src/kubernetes/recorder.ts";
import { rights } from "../../src/kubernetes/rights.ts";
import { eventually, ManualClock, settle } from "../support/clock.ts";
import {
  agentNamespace,
  fullToken,
  startKube,
  type KubeObject,
  type KubeServer,
} from "../support/kube.ts";
import { recordLog } from "../support/log.ts";
import { clientOf, incident, ownNode, when } from "./kit.ts";

const node: Regarding = { apiVersion: "v1", kind: "Node", name: "node-1", uid: "node-uid" };
const pod = { name: "targetvpc-abc", uid: "pod-uid", namespace: agentNamespace };
const minuteMs = 60_000;

describe("Events", () => {
  let server: KubeServer;
  let client: KubeClient;
  let clock: ManualClock;
  let recorder: EventRecorder;
  let alerts: AlertEvents;
  let firing: Incident[];
  let parts: Record<string, ComponentStatus>;
  let nodeUid: string | null;
  let log: ReturnType<typeof recordLog>;
  const running: Running[] = [];

  beforeEach(async () => {
    server = await startKube();
    clock = new ManualClock();
    server.now = () => clock.now();
    client = clientOf(server, clock);
    firing = [];
    parts = {};
    nodeUid = node.uid;
    log = recordLog();
    const redactor = createRedactor();
    redactor.learn(new Secret("hunter2-secret"));
    recorder = new EventRecorder({
      client,
      clock,
      log: log.log,
      random: () => 0,
      instance: ownNode.name,
      redact: (text) => redactor.redact(text),
    });
    alerts = new AlertEvents({
      recorder,
      clock,
      node: ownNode,
      nodeUid: () => nodeUid,
      pod,
      firing: () => firing,
      parts: () => parts,
    });
  });
  afterEach(async () => {
    for (const each of running.splice(0)) await each.stop();
    client.close();
    await server.stop();
  });
  const start = (): void => {
    running.push(recorder.start(), alerts.start());
  };
  const sent = (count: number): Promise<void> =>
    when(clock, `${count} Events`, () => server.events().length === count);
  const only = (): KubeObject => {
    const [event] = server.events();
    assert.ok(event);
    return event;
  };
  const fire = (changes: Parameters<typeof incident>[0] = {}): Incident => {
    const about = incident({ startedAtMs: clock.now(), ...changes });
    firing = [...firing, about];
    alerts.tell({ incident: about, transition: "firing", atMs: clock.now() });
    return about;
  };
  const counted = (event: KubeObject): unknown => (event["series"] as { count?: number })?.count;

  it("are about the Node, by its UID, in namespace default", async () => {
    start();
    fire();
    await when(clock, "it is told", () => recorder.counters.sent === 1);
    const event = only();
    assert.equal(event.metadata.namespace, "default");
    assert.deepEqual(event["regarding"], node);
    assert.equal(event["reason"], "NodeCPUHigh");
    assert.equal(event["type"], "Warning");
    assert.equal(event["reportingInstance"], "node-1");
    assert.deepEqual(recorder.counters, { sent: 1, renewed: 0, suppressed: 0, dropped: 0 });
  });

  it("of the same alert are made once, whoever has made the first one", async () => {
    start();
    const about = fire();
    alerts.tell({ incident: about, transition: "firing", atMs: clock.now() });
    await when(clock, "both are told", () => recorder.counters.sent === 2);
    assert.equal(server.events().length, 1);
    assert.equal(recorder.status.status, "ok");
  });

  it("do not hold up whoever tells, and keep the time of what happened while the API server was away", async () => {
    await server.stop();
    start();
    const atMs = clock.now();
    fire();
    await when(clock, "it waits", () => recorder.status.status === "down", 1_000);
    await clock.advance(10 * minuteMs);
    await server.start();
    await when(clock, "the Event is there", () => server.events().length === 1, 10_000);
    assert.equal(only()["eventTime"], `${new Date(atMs).toISOString().slice(0, -1)}000Z`);
    await when(clock, "nothing waits", () => recorder.status.status === "ok");
    assert.deepEqual(log.of("warn"), ["kubernetes events waiting"]);
    assert.deepEqual(log.of("info"), ["kubernetes events sent again"]);
  });

  it("wait for the Node's UID", async () => {
    nodeUid = null;
    start();
    fire();
    await when(clock, "it waits", () => recorder.status.status === "degraded");
    nodeUid = node.uid;
    await when(clock, "it is sent", () => server.events().length === 1, 1_000);
  });

  it("of one object that have to wait do not hold up those of another", async () => {
    nodeUid = null;
    start();
    fire();
    fire({ id: "incident-2", node: { ...ownNode, name: "node-2" } });
    await when(clock, "that about the Pod is there", () => server.events().length === 1, 100);
    assert.equal(only().metadata.namespace, agentNamespace);
    nodeUid = node.uid;
    server.deny(fullToken, rights.nodeEvents);
    await when(
      clock,
      "the right is missed",
      () => /missing right/.test(recorder.status.lastError ?? ""),
      1_000,
    );
    assert.equal(
      recorder.status.lastError,
      "missing right: create, patch events.events.k8s.io in namespace default; without it alerts are not in kubectl describe node",
    );
    parts = { redis: { status: "down", sinceMs: clock.now() - minuteMs, lastError: "refused" } };
    await when(clock, "trouble is told", () => server.events().length === 2, 5_000);
    server.allow(fullToken, rights.nodeEvents);
    await when(clock, "all is told", () => server.events().length === 3, 5_000);
    assert.equal(recorder.status.status, "ok");
  });

  it("of one object that is refused for long do not delay those of another", async () => {
    server.deny(fullToken, rights.nodeEvents);
    start();
    fire();
    await when(clock, "it is refused", () => recorder.status.status === "degraded");
    await clock.advance(5 * minuteMs);
    const about = (namespace: string): number =>
      server.asked.filter(({ path }) => path.includes(`/namespaces/${namespace}/events`)).length;
    // The object that is refused is asked for ever less often, whatever is sent about others.
    const asked = about("default");
    assert.ok(asked < 30, `${asked} requests`);
    const foreign = { ...ownNode, name: "node-2" };
    for (let told = 1; told <= 3; told++) {
      fire({ id: `foreign-${told}`, node: foreign });
      await when(clock, "it is there", () => server.events(agentNamespace).length === told);
    }
    fire({ id: "another" });
    await settle(20);
    assert.equal(about("default"), asked);
    assert.equal(recorder.status.status, "degraded");
    assert.match(recorder.status.lastError ?? "", /^missing right: .* in namespace default/);
    server.allow(fullToken, rights.nodeEvents);
    await when(clock, "all is told", () => server.events().length === 5, 1_000);
    await when(clock, "it is well", () => recorder.status.status === "ok");
    assert.deepEqual(log.of("warn"), ["kubernetes events waiting"]);
    assert.deepEqual(log.of("info"), ["kubernetes events sent again"]);
  });

  it("of alerts about other nodes are about the agent's Pod", async () => {
    start();
    fire({ node: { cluster: "lab", name: "db-7", ip: "" } });
    await sent(1);
    assert.deepEqual(only()["regarding"], { apiVersion: "v1", kind: "Pod", ...pod });
    assert.match(String(only()["note"]), /^node lab\/db-7: critical/);
    await clock.advance(30 * minuteMs);
    assert.equal(recorder.counters.renewed, 0);
  });

  it("of what goes on are renewed every ten minutes at most, and counted by the time", async () => {
    start();
    fire();
    await sent(1);
    await clock.advance(10 * minuteMs - 15_000);
    assert.equal(counted(only()), undefined);
    await when(clock, "it is renewed", () => recorder.counters.renewed === 1, 15_000);
    assert.equal(counted(only()), 2);
    await when(clock, "again", () => recorder.counters.renewed === 2, 15_000);
    assert.equal(counted(only()), 3);
    const patches = server.asked.filter(({ method }) => method === "PATCH");
    assert.equal(patches.length, 2);
    firing = [];
    await clock.advance(60 * minuteMs);
    assert.equal(recorder.counters.renewed, 2);
  });

  it("that have expired are made anew with the present time", async () => {
    start();
    fire();
    await sent(1);
    server.dropEvents();
    await when(clock, "it is there again", () => server.events().length === 1, 30_000);
    assert.ok(Date.parse(String(only()["eventTime"])) >= clock.now() - minuteMs);
    assert.equal(recorder.counters.sent, 2);
  });

  it("go on counting after a restart", async () => {
    firing = [incident({ startedAtMs: clock.now() - 45 * minuteMs })];
    start();
    await when(clock, "it is told", () => server.events().length === 1, 30_000);
    await when(clock, "it is renewed", () => recorder.counters.renewed === 1, 30_000);
    const count = Number(counted(only()));
    assert.ok(count >= 7 && count <= 8, String(count));
  });

  it("tell an escalation and a recovery as Events of their own", async () => {
    start();
    const first = fire({ level: "warning" });
    const worse: Incident = { ...first, level: "critical" };
    alerts.tell({ incident: worse, transition: "escalated", atMs: clock.now() });
    alerts.tell({
      incident: { ...worse, status: "resolved" },
      transition: "resolved",
      atMs: clock.now() + 1_000,
    });
    await sent(3);
    assert.deepEqual(
      server.events().map(({ reason, type }) => `${String(type)} ${String(reason)}`),
      ["Warning NodeCPUHigh", "Warning NodeCPUHigh", "Normal NodeCPURecovered"],
    );
  });

  it("over the budget are left out, but for one every five minutes", async () => {
    start();
    for (let i = 0; i < 30; i++) fire({ id: `incident-${i}` });
    await when(
      clock,
      "all are judged",
      () => recorder.counters.sent + recorder.counters.suppressed === 30,
    );
    assert.equal(server.events().length, 25);
    assert.equal(recorder.counters.suppressed, 5);
    await clock.advance(5 * minuteMs);
    fire({ id: "incident-31" });
    await sent(26);
  });

  it("cost no more of the budget when they had to be tried again", async () => {
    start();
    for (let i = 0; i < 40; i++)
      server.answerOnce(
        (reply) => reply.writeHead(503).end(),
        ({ method }) => method === "POST",
      );
    for (let i = 0; i < 25; i++) fire({ id: `incident-${i}` });
    await when(clock, "all are there", () => server.events().length === 25, 30_000);
    assert.equal(recorder.counters.suppressed, 0);
  });

  it("that are refused for good are dropped and counted, and others are not", async () => {
    server.answerOnce((reply) => reply.writeHead(503).end());
    server.answerOnce((reply) => reply.writeHead(422).end('{"message":"no such Event"}'));
    start();
    fire();
    await when(clock, "it waits", () => recorder.status.status === "down");
    await when(clock, "it is dropped", () => recorder.counters.dropped === 1, 1_000);
    assert.equal(recorder.status.status, "ok", "a server that refuses is there");
    fire({ id: "incident-2" });
    await sent(1);
    assert.equal(
      log.lines.find(({ event }) => event === "kubernetes event refused")?.fields["reason"],
      "events: no such Event",
    );
  });

  it("that wait are bounded; the oldest go, also while one is on its way", async () => {
    start();
    server.freeze();
    fire({ id: "first" });
    await eventually("it is on its way", () => server.asked.length === 1);
    for (let i = 0; i < 256; i++)
      fire({ id: `foreign-${i}`, node: { cluster: "lab", name: `n-${i}`, ip: "" } });
    assert.equal(recorder.counters.dropped, 1);
    server.thaw();
    const told = (): number => recorder.counters.sent + recorder.counters.suppressed;
    await when(clock, "all are told", () => told() === 257);
    assert.equal(server.events("default").length, 1);
    assert.equal(server.events(agentNamespace).length, 25);
    assert.equal(recorder.counters.dropped, 1);
  });

  it("are not pushed out by their own renewals", async () => {
    await server.stop();
    start();
    const note = noteOf(fire(), "firing", clock.now());
    const atMs = clock.now();
    for (let i = 0; i < 300; i++) recorder.renew(note, () => node, 2 + i);
    assert.equal(recorder.counters.dropped, 0);
    await clock.advance(minuteMs);
    await server.start();
    await when(clock, "nothing waits", () => recorder.counters.sent === 1, 10_000);
    assert.equal(Date.parse(String(only()["eventTime"])), atMs);
    assert.equal(recorder.counters.renewed, 0);
  });

  it("that an admission policy denies are dropped: it would not change its mind", async () => {
    start();
    const message =
      "events.events.k8s.io \"x\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'p' denied request: no";
    server.answerOnce((reply) => {
      reply.writeHead(403, { "Content-Type": "application/json" });
      reply.end(JSON.stringify({ kind: "Status", code: 403, reason: "Forbidden", message }));
    });
    fire();
    await when(clock, "it is dropped", () => recorder.counters.dropped === 1);
    fire({ id: "another" });
    await sent(1);
    assert.equal(recorder.status.status, "ok");
  });

  it("that may not be sent wait for the right, whatever the agent's namespace is called", async () => {
    start();
    const message =
      'events.events.k8s.io is forbidden: User "system:serviceaccount:quota-lab:targetvpc" cannot create resource "events" in API group "events.k8s.io" in the namespace "default"';
    server.answerOnce((reply) => {
      reply.writeHead(403, { "Content-Type": "application/json" });
      reply.end(JSON.stringify({ kind: "Status", code: 403, reason: "Forbidden", message }));
    });
    fire();
    await when(clock, "it is known", () => recorder.status.status === "degraded");
    assert.match(recorder.status.lastError ?? "", /^missing right: create, patch events/);
    await when(clock, "it is sent", () => recorder.counters.sent === 1, 1_000);
    assert.equal(recorder.counters.dropped, 0);
  });

  it("hold no secrets", async () => {
    start();
    const about = incident();
    alerts.tell({
      incident: { ...about, subject: { ...about.subject, message: "token hunter2-secret leaked" } },
      transition: "firing",
      atMs: clock.now(),
    });
    await sent(1);
    assert.match(String(only()["note"]), /token \*\*\* leaked/);
  });

  it("have the server's time where its clock differs", async () => {
    server.now = () => clock.now() + 5 * minuteMs;
    await client.request({
      method: "GET",
      path: "/version",
      signal: new AbortController().signal,
    });
    start();
    fire();
    await sent(1);
    assert.equal(Date.parse(String(only()["eventTime"])), clock.now() + 5 * minuteMs);
  });

  it("tell trouble of a part after a minute, about the agent's Pod", async () => {
    start();
    parts = { redis: { status: "down", sinceMs: clock.now(), lastError: "connect ECONNREFUSED" } };
    await clock.advance(45_000);
    assert.equal(server.events().length, 0);
    await clock.advance(15_000);
    await sent(1);
    assert.equal(only()["reason"], "RedisDown");
    assert.equal(only()["note"], "redis is down: connect ECONNREFUSED");
    assert.equal(only().metadata.namespace, agentNamespace);
  });

  it("tell a refused ConfigMap once for all agents", async () => {
    start();
    const metadata = {
      name: "targetvpc",
      namespace: agentNamespace,
      uid: "cm",
      resourceVersion: "7",
      labels: {},
    };
    alerts.refused({ metadata, data: {} }, "alerts.rules[0].threshold: expected a number");
    alerts.refused({ metadata, data: {} }, "alerts.rules[0].threshold: expected a number");
    await when(clock, "both are told", () => recorder.counters.sent === 2);
    assert.equal(server.events().length, 1);
    assert.equal(only()["reason"], "ConfigRefused");
    assert.deepEqual(only()["regarding"], {
      apiVersion: "v1",
      kind: "ConfigMap",
      name: "targetvpc",
      namespace: agentNamespace,
      uid: "cm",
    });
  });
});
