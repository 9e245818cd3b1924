import assert from "node:assert/strict";
import { createHttpClient, type HttpClient } from "../../src/base/http.ts";
import { deadline } from "../../src/base/every.ts";
import { createRedactor } from "../../src/base/secret.ts";
import type { Incident } from "../../src/core/alert.ts";
import type { Channel, Outcome, ReceiptPort } from "../../src/core/delivery.ts";
import { reportedKey } from "../../src/core/alert.ts";
import { readReplicas } from "../../src/notify/alertmanager.ts";
import { channelPlugins } from "../../src/notify/index.ts";
import { createFleetMeter } from "../../src/notify/meter.ts";
import { createNotifier, type Notifier } from "../../src/notify/notifier.ts";
import { channelWarnings, parseChannel } from "../../src/notify/settings.ts";
import { createMemoryMeter } from "../../src/store/memory/meter.ts";
import { createMemoryReceipts } from "../../src/store/memory/receipts.ts";
import { eventually, ManualClock, settle } from "../support/clock.ts";
import { openOutbox } from "../support/outbox.ts";
import { startAlertmanager, type TestAlertmanager } from "../support/pushes.ts";
import { freePort } from "../support/redis.ts";
import {
  incident,
  message,
  noFiles,
  openChannel,
  recordingLog,
  sourced,
  spec,
  startMs,
} from "./kit.ts";

const never = new AbortController().signal;
const minuteMs = 60_000;
const [warning, critical] = [{ level: "warning" }, { level: "critical" }] as const;

const over = (changes: Partial<Incident>): Incident => ({
  ...incident(),
  ...changes,
  status: "resolved",
});

describe("Alertmanager", () => {
  let clock: ManualClock;
  let http: HttpClient;
  let servers: TestAlertmanager[];

  beforeEach(() => {
    clock = new ManualClock(startMs);
    http = createHttpClient();
    servers = [];
  });
  afterEach(async () => {
    http.close();
    await Promise.all(servers.map((server) => server.close()));
  });

  async function start(more: { authorization?: string; prefix?: string } = {}) {
    const server = await startAlertmanager({ clock, ...more });
    servers.push(server);
    return server;
  }

  function open(urls: readonly string[], more: Record<string, unknown> = {}): Channel {
    return openChannel({ type: "alertmanager", urls, ...more }, { http, clock });
  }

  /** One round of a channel that is told again and again. */
  async function keep(channel: Channel, ...incidents: Incident[]): Promise<Outcome | null> {
    assert.ok(channel.keepFiring);
    return channel.keepFiring.send({ incidents, publicUrl: null }, never);
  }

  const levels = (server: TestAlertmanager): string[] =>
    server.firing(clock.now()).map(({ labels }) => labels["severity"] ?? "");

  it("posts many alerts at once, and knows them all afterwards", async () => {
    const server = await start();
    const channel = open([server.url]);
    const about = (id: string, name: string, changes: Partial<Incident> = {}) => ({
      id,
      subject: { node: { cluster: "prod", name, ip: "10.0.0.1" } },
      ...changes,
    });
    const ended = { status: "resolved", endedAtMs: startMs, value: 12 } as const;
    const items = [
      message("escalated", about("a", "node-a", { ...critical, updatedAtMs: startMs + 1 })),
      message("firing", about("b", "node-b")),
      message("test"),
      message("resolved", about("c", "node-c", ended)),
    ].map((message) => ({ message, isFirst: true }));
    await channel.send(message("firing", about("a", "node-a", warning)), never);
    const digest = { id: "digest-1", atMs: startMs, items, publicUrl: null };
    const outcome = await channel.sendDigest?.(digest, never);
    assert.deepEqual(outcome, { outcome: "sent", code: "1 of 1" });
    assert.equal(server.requests.length, 2);
    const nodes = (): (string | undefined)[] =>
      server
        .firing(clock.now())
        .filter(({ labels }) => labels["node"] !== "node-1")
        .map(({ labels }) => `${labels["node"]} ${labels["severity"]}`)
        .toSorted();
    assert.deepEqual(nodes(), ["node-a critical", "node-b critical"]);
    assert.equal(server.firing(clock.now()).length, 3);
    // What a message said again and again leaves out has ended.
    await keep(channel, incident(about("b", "node-b")));
    await clock.advance(1);
    assert.deepEqual(nodes(), ["node-b critical"]);
  });

  it("says of a digest of what is long known that it was said", async () => {
    const server = await start();
    const channel = open([server.url]);
    const newer = { id: "new", startedAtMs: startMs + 1 };
    await channel.send(message("firing", newer), never);
    const items = [{ message: message("firing", { id: "old" }), isFirst: true }];
    const digest = { id: "digest-1", atMs: startMs, items, publicUrl: null };
    assert.deepEqual(await channel.sendDigest?.(digest, never), {
      outcome: "sent",
      code: "superseded",
    });
    assert.equal(server.requests.length, 1);
  });

  it("posts an alert to every replica, below a prefix", async () => {
    const [one, two] = [await start({ prefix: "/am" }), await start()];
    const of = message("firing", {}, { publicUrl: "https://agent.example" });
    const outcome = await open([`${one.url}/am/`, two.url]).send(of, never);
    assert.deepEqual(outcome, { outcome: "sent", code: "2 of 2" });
    for (const { requests } of [one, two])
      assert.deepEqual(requests[0]?.body, [
        {
          labels: {
            alertname: "cpu-high",
            index: "cpu",
            severity: "critical",
            node: "node-1",
            cluster: "prod",
            instance: "10.0.0.1",
          },
          annotations: {
            summary: "cpu 97.3 % on node-1",
            description: "cpu > 80 %",
            condition: "cpu > 80 %",
            value: "97.3",
            peak: "97.3",
            threshold: "80",
            unit: "%",
          },
          startsAt: "2026-01-05T12:00:00.000Z",
          endsAt: "2026-01-05T12:05:00.000Z",
          generatorURL: "https://agent.example/api/alerts/inc-1",
        },
      ]);
  });

  it("ends an alert at its end", async () => {
    const server = await start();
    const channel = open([server.url]);
    await channel.send(message(), never);
    clock.jump(minuteMs);
    const end = { status: "resolved", endedAtMs: startMs + 50_000, updatedAtMs: startMs + 50_000 };
    await channel.send(message("resolved", end as Partial<Incident>, { atMs: clock.now() }), never);
    assert.deepEqual(
      server.known().map(({ endsAtMs }) => endsAtMs - startMs),
      [50_000],
    );
  });

  it("shows a token or a login, and says what to do when it is refused", async () => {
    const token = await start({ authorization: "Bearer am-token" });
    const login = await start({ authorization: `Basic ${btoa("ops:hunter2")}` });
    const sent = { outcome: "sent", code: "1 of 1" };
    assert.deepEqual(await open([token.url], { token: "am-token" }).send(message(), never), sent);
    const of = { username: "ops", password: "hunter2" };
    assert.deepEqual(await open([login.url], of).send(message(), never), sent);
    assert.deepEqual(await open([token.url]).send(message(), never), {
      outcome: "refused",
      code: "http_401",
      reason: `${token.url}: HTTP 401: Unauthorized; check the credentials`,
    });
  });

  it("is content with one replica, and does not wait for one that hangs", async () => {
    const [up, hung] = [await start(), await start()];
    hung.respondWith("hang");
    const down = `http://127.0.0.1:${await freePort()}`;
    const limit = deadline(clock, 10_000);
    const sending = open([down, hung.url, up.url]).send(message(), limit.signal);
    await eventually("it is asked", () => hung.arrived() === 1 && up.requests.length === 1);
    await clock.advance(5_000);
    assert.deepEqual(await sending, { outcome: "sent", code: "1 of 3" });
    limit.clear();
  });

  it("makes of an escalation one alert that ends and one that fires", async () => {
    const server = await start();
    const channel = open([server.url]);
    await channel.send(message("firing", warning), never);
    assert.deepEqual(levels(server), ["warning"]);
    clock.jump(1_000);
    const atMs = clock.now();
    await channel.send(message("escalated", { ...critical, updatedAtMs: atMs }, { atMs }), never);
    assert.deepEqual(levels(server), ["critical"]);
    clock.jump(1_000);
    // Nobody is told that a level went down; the next round says it.
    await keep(channel, incident({ ...warning, updatedAtMs: clock.now() }));
    assert.deepEqual(levels(server), ["warning"]);
  });

  it("makes no alert of a message that comes late", async () => {
    const server = await start();
    const channel = open([server.url]);
    const late = message("firing", warning);
    clock.jump(minuteMs);
    // Critical goes first, and the first message is tried again after it.
    const atMs = clock.now();
    const escalated = message("escalated", { ...critical, updatedAtMs: atMs }, { atMs });
    await channel.send(escalated, never);
    await channel.send(late, never);
    assert.deepEqual(levels(server), ["critical"]);
    // A channel that knows nothing of it does not believe an hour-old message either.
    clock.jump(60 * minuteMs);
    await open([server.url]).send(message("firing", warning), never);
    assert.deepEqual(levels(server), []);
  });

  it("does not end a new incident by the late end of the one before", async () => {
    const server = await start();
    const channel = open([server.url]);
    const end = { endedAtMs: startMs + 1_000, updatedAtMs: startMs + 1_000 };
    clock.jump(minuteMs);
    const now = clock.now();
    const next = { id: "inc-2", startedAtMs: now, updatedAtMs: now };
    await channel.send(message("firing", next, { atMs: now }), never);
    const outcome = await channel.send(message("resolved", { ...end, status: "resolved" }), never);
    assert.deepEqual(outcome, { outcome: "sent", code: "superseded" });
    await keep(channel, incident(next), over(end));
    assert.deepEqual(levels(server), ["critical"]);
  });

  it("says an end again for five minutes, and then nothing more", async () => {
    const server = await start();
    const channel = open([server.url]);
    await keep(channel, incident());
    const ended = over({ endedAtMs: startMs + 1_000, updatedAtMs: startMs + 1_000 });
    const said: (string | null)[] = [];
    for (let minute = 0; minute < 7; minute++) {
      clock.jump(minuteMs);
      said.push((await keep(channel, ended))?.code ?? null);
    }
    assert.deepEqual(said, [...Array<string>(5).fill("1 of 1"), null, null]);
    assert.deepEqual(levels(server), []);
    assert.equal(server.known()[0]?.endsAtMs, startMs + 1_000);
  });

  it("ends what goes on no more without a word, as when it is forgotten or not for the channel now", async () => {
    const server = await start();
    const channel = open([server.url]);
    await keep(channel, incident());
    clock.jump(minuteMs);
    await keep(channel);
    assert.equal(server.known()[0]?.endsAtMs, clock.now());
  });

  it("keeps what fires firing when the clock is set back or ahead", async () => {
    const server = await start();
    const channel = open([server.url]);
    for (const jumpMs of [0, -30 * minuteMs, 90 * minuteMs, -60 * minuteMs]) {
      clock.jump(jumpMs);
      assert.equal((await keep(channel, incident()))?.outcome, "sent");
      assert.deepEqual(levels(server), ["critical"], String(jumpMs));
    }
    clock.jump(-minuteMs);
    const ended = over({ endedAtMs: clock.now() + 30 * minuteMs });
    assert.equal((await keep(channel, ended))?.outcome, "sent");
    assert.deepEqual(levels(server), []);
  });

  it("keeps who caused it while it fires", async () => {
    const server = await start();
    const channel = open([server.url]);
    const stress = { pid: 7, name: "stress", value: 98, unit: "%", owner: null } as const;
    const evidence = { processes: [stress], pressure: null };
    await channel.send(message("firing", {}, { evidence }), never);
    clock.jump(minuteMs);
    await keep(channel, incident());
    assert.equal(server.known()[0]?.annotations["processes"], "stress 98 %");
  });

  it("does not keep a test", async () => {
    const server = await start();
    const channel = open([server.url]);
    await channel.send(message("test", { ...warning, id: "test-1" }), never);
    assert.deepEqual(levels(server), ["warning"]);
    clock.jump(minuteMs);
    assert.equal(await keep(channel), null);
    assert.deepEqual(levels(server), ["warning"], "long enough for people to be told");
    clock.jump(5 * minuteMs);
    assert.deepEqual(levels(server), []);
  });

  it("warns of credentials in clear, refuses settings that cannot be", () => {
    const warned = (more: object): readonly string[] =>
      channelWarnings(spec({ type: "alertmanager", urls: ["http://am.example:9093"], ...more }));
    assert.deepEqual(warned({}), []);
    assert.match(warned({ token: "am-token" }).join(), /^urls: http:\/\/ shows the token/);
    const faults = (more: object): string[] => {
      const result = parseChannel({ type: "alertmanager", ...more }, "channel", noFiles);
      return result.ok ? [] : result.faults.map(({ path }) => path);
    };
    const urls = ["http://am.example:9093"];
    assert.deepEqual(faults({ urls: [] }), ["channel.urls"]);
    assert.deepEqual(faults({ urls: ["http://a/", "http://a"] }), ["channel.urls"]);
    for (const url of ["am:9093", "http://u:p@am", "http://am/?a=b", "http://am/#x"])
      assert.deepEqual(faults({ urls: [url] }), ["channel.urls[0]"], url);
    assert.deepEqual(faults({ urls, username: "ops" }), ["channel.password"]);
    assert.deepEqual(faults({ urls, password: "pass" }), ["channel.username"]);
    assert.deepEqual(faults({ urls, token: "t", username: "o", password: "p" }), ["channel.token"]);
  });

  describe("by the notifier", () => {
    let notifier: Notifier;
    let receipts: ReceiptPort;
    let lines: string[];
    let going: Incident[];

    beforeEach(() => {
      const written = recordingLog(clock);
      lines = written.lines;
      receipts = createMemoryReceipts({ perChannel: 100 });
      going = [];
      notifier = createNotifier({
        plugins: channelPlugins,
        outbox: openOutbox({ clock, log: written.log, receipts }),
        receipts,
        meter: createFleetMeter({ meter: createMemoryMeter(clock), clock, log: written.log }),
        clock,
        log: written.log,
        http,
        redactor: createRedactor(),
        random: () => 0.5,
        language: () => "en",
        node: { cluster: "prod", name: "node-1", ip: "10.0.0.1" },
      });
    });
    afterEach(async () => {
      const stopped = notifier.stop(0);
      await clock.advance(20_000);
      await stopped;
    });

    function configure(urls: readonly string[], more: Record<string, unknown> = {}): void {
      notifier.configure([sourced(spec({ type: "alertmanager", urls, ...more }))]);
    }

    function begin(): void {
      notifier.keepFiring(() => ({ incidents: going, publicUrl: null }));
    }

    /** Lets a round come to its end: everything that waits, waits for the next one. */
    async function roundIsOver(server: TestAlertmanager, rounds: number): Promise<void> {
      await eventually(`round ${rounds}`, () => server.arrived() >= rounds);
      await eventually("it is over", async () => {
        await settle();
        return clock.waiting === 2;
      });
    }

    it("keeps an alert firing for an hour with one replica down, then lets it end", async function () {
      this.timeout(30_000);
      const server = await start();
      configure([`http://127.0.0.1:${await freePort()}`, server.url]);
      going = [incident({ acknowledgedBy: "somebody" })];
      begin();
      await roundIsOver(server, 1);
      for (let minute = 1; minute <= 60; minute++) {
        await clock.advance(minuteMs - 1);
        assert.deepEqual(levels(server), ["critical"], `minute ${minute}`);
        const [alert] = server.known();
        assert.ok((alert?.endsAtMs ?? 0) - clock.now() > 3 * minuteMs, `minute ${minute}`);
        await clock.advance(1);
        await roundIsOver(server, minute + 1);
      }
      assert.equal(server.arrived(), 61);
      assert.equal(server.known().length, 1);
      assert.equal(server.known()[0]?.startsAtMs, startMs);
      const endedAtMs = clock.now();
      going = [over({ endedAtMs, updatedAtMs: endedAtMs })];
      await clock.advance(minuteMs);
      await roundIsOver(server, 62);
      assert.deepEqual(levels(server), []);
      assert.equal(server.known()[0]?.endsAtMs, endedAtMs);
      assert.deepEqual(await receipts.list({ limit: 10 }), []);
      assert.equal(notifier.health().status, "ok");
    });

    it("outlives three rounds in a row that reach nobody, and says that the channel is failing", async () => {
      const server = await start();
      configure([server.url]);
      going = [incident()];
      begin();
      await roundIsOver(server, 1);
      server.respondWith({ status: 503, body: "starting" });
      for (const [failed, status] of ["degraded", "degraded", "down"].entries()) {
        await clock.advance(minuteMs);
        await roundIsOver(server, failed + 2);
        assert.equal(notifier.health().status, status);
      }
      await clock.advance(minuteMs - 1);
      assert.deepEqual(levels(server), ["critical"]);
      assert.match(notifier.health().lastError ?? "", /http_503: .*HTTP 503: starting/);
      server.respondWith(null);
      await clock.advance(1);
      await roundIsOver(server, 5);
      assert.equal(notifier.health().status, "ok");
      const events = lines.map((line) => (JSON.parse(line) as { event: string }).event);
      assert.deepEqual(events, ["channel.failing", "channel.recovered"]);
    });

    it("says only what is for the channel: its levels, its rules, and nothing it has from an Alertmanager", async () => {
      const server = await start();
      const subject = (rule: string, more: object = {}): Incident["subject"] => ({
        ...incident().subject,
        rule,
        ...more,
      });
      going = [
        incident({ id: "1", subject: subject("all") }),
        incident({ id: "2", subject: subject("named", { channels: ["am"] }) }),
        incident({ id: "3", subject: subject("others", { channels: ["feishu"] }) }),
        incident({ id: "4", subject: subject("low"), level: "info" }),
        incident({ id: "5", subject: subject("back", { key: reportedKey("00ff") }) }),
      ];
      configure([server.url], { name: "am", levels: ["critical"] });
      begin();
      await roundIsOver(server, 1);
      const rules = (): string[] =>
        server.firing(clock.now()).map(({ labels }) => labels["alertname"] ?? "");
      assert.deepEqual(rules().sort(), ["all", "named"]);
      for (const one of going) {
        const of = { ...message(), kind: "firing" as const, incident: one };
        await notifier.notify(of, one.subject.channels);
      }
      await eventually("both are told", async () => {
        const list = await receipts.list({ limit: 10 });
        return list.length === 2 && list.every(({ outcome }) => outcome === "sent");
      });
      // Other levels are in force with the next round, without a new channel.
      configure([server.url], { name: "am", levels: ["info"] });
      await clock.advance(minuteMs);
      await eventually("the levels have changed", () => rules().join() === "low");
    });

    it("goes on with changed settings, and says nothing once it is removed or stopped", async () => {
      const [one, two] = [await start(), await start()];
      going = [incident()];
      begin();
      configure([one.url]);
      await roundIsOver(one, 1);
      configure([two.url]);
      await roundIsOver(two, 1);
      await clock.advance(minuteMs);
      await roundIsOver(two, 2);
      assert.equal(one.arrived(), 1);
      notifier.configure([]);
      await clock.advance(10 * minuteMs);
      assert.equal(two.arrived(), 2);
      assert.equal(two.requests.length, 2);
      assert.equal(
        two.known()[0]?.endsAtMs,
        startMs + 6 * minuteMs,
        "a removed channel ends nothing",
      );
    });

    it("is not held up by a round that hangs when it stops", async () => {
      const server = await start();
      server.respondWith("hang");
      configure([server.url]);
      going = [incident()];
      begin();
      await eventually("it is asked", () => server.arrived() === 1);
      await notifier.stop(60_000);
      assert.equal(notifier.health().status, "ok", "a stop is no failure");
    });
  });

  describe("replies of replicas", () => {
    const sent: Outcome = { outcome: "sent", code: "200" };
    const busy: Outcome = { outcome: "retry", code: "http_503", reason: "busy" };
    const resting: Outcome = { ...busy, code: "http_429", retryAfterMs: 9_000 };
    const refused: Outcome = { outcome: "refused", code: "http_400", reason: "bad" };
    const table: readonly [string, readonly Outcome[], Outcome][] = [
      ["all took it", [sent, sent], { outcome: "sent", code: "2 of 2" }],
      ["one took it", [busy, refused, sent], { outcome: "sent", code: "1 of 3" }],
      [
        "none took it, one may later",
        [refused, busy],
        { outcome: "retry", code: "http_503", reason: "0: bad; 1: busy" },
      ],
      [
        "one rests and one does not",
        [resting, busy],
        { outcome: "retry", code: "http_429", reason: "0: busy; 1: busy" },
      ],
      [
        "all rest",
        [resting, { ...resting, retryAfterMs: 5_000 }],
        { outcome: "retry", code: "http_429", reason: "0: busy; 1: busy", retryAfterMs: 5_000 },
      ],
      [
        "all refuse",
        [refused, refused],
        { outcome: "refused", code: "http_400", reason: "0: bad; 1: bad" },
      ],
    ];
    for (const [what, outcomes, expected] of table)
      it(what, () => {
        const replies = outcomes.map((outcome, at) => ({ url: String(at), outcome }));
        assert.deepEqual(readReplicas(replies), expected);
      });
  });
});
