import assert from "node:assert/strict";
import { createHttpClient, type HttpClient } from "../../src/base/http.ts";
import { createRedactor, type Redactor } from "../../src/base/secret.ts";
import type {
  AlertMessage,
  Channel,
  ChannelSpec,
  Meter,
  Outbox,
  Outcome,
  ReceiptPort,
} from "../../src/core/delivery.ts";
import { channelPlugins } from "../../src/notify/index.ts";
import { createFleetMeter } from "../../src/notify/meter.ts";
import { createNotifier, type Notifier } from "../../src/notify/notifier.ts";
import { createMemoryMeter } from "../../src/store/memory/meter.ts";
import type { AgentOutbox } from "../../src/store/outbox.ts";
import { createMemoryReceipts } from "../../src/store/memory/receipts.ts";
import { receipt } from "../support/alerts.ts";
import { eventually, ManualClock, settle } from "../support/clock.ts";
import { openOutbox } from "../support/outbox.ts";
import { startDingtalk, startFeishu, type Robot, type RobotOptions } from "../support/robots.ts";
import {
  message,
  recordingLog,
  sourced,
  spec,
  startMs,
  summary,
  type ReceiptSummary,
} from "./kit.ts";

type Answer = Outcome | Error | "hang";

/** A target in this process that answers as told and remembers what it was given. */
function recorder(clock: ManualClock): Channel & {
  readonly taken: { message: AlertMessage; atMs: number }[];
  readonly closed: () => number;
  readonly finish: (outcome: Outcome) => void;
  answer: (message: AlertMessage) => Answer;
} {
  const taken: { message: AlertMessage; atMs: number }[] = [];
  let closed = 0;
  let finish: (outcome: Outcome) => void = () => {};
  return {
    taken,
    closed: () => closed,
    finish: (outcome) => finish(outcome),
    answer: () => ({ outcome: "sent", code: "0" }),
    async send(of) {
      taken.push({ message: of, atMs: clock.now() });
      const answer = this.answer(of);
      if (answer instanceof Error) throw answer;
      if (answer !== "hang") return answer;
      return new Promise<Outcome>((resolve) => {
        finish = resolve;
      });
    },
    close: async () => {
      closed += 1;
    },
  };
}

/** An outbox some of whose answers are others. */
function through(inner: Outbox, changes: Partial<Outbox>): Outbox {
  return {
    enqueue: (...job) => inner.enqueue(...job),
    kept: () => inner.kept(),
    lead: (queue) => inner.lead(queue),
    withdraw: (channel) => inner.withdraw(channel),
    depth: (queue) => inner.depth(queue),
    own: () => inner.own(),
    ...changes,
  };
}

describe("notifier", () => {
  let clock: ManualClock;
  let outbox: AgentOutbox;
  let receipts: ReceiptPort;
  let meter: Meter;
  let http: HttpClient;
  let redactor: Redactor;
  let lines: string[];
  let notifier: Notifier;
  let robots: Robot[];
  let random: () => number;

  function start(
    parts: { outbox?: (inner: Outbox) => Outbox; receipts?: ReceiptPort } = {},
  ): Notifier {
    const { log, lines: written } = recordingLog(clock, redactor);
    lines = written;
    const filed = parts.receipts ?? receipts;
    outbox = openOutbox({ clock, log, receipts: filed });
    return createNotifier({
      plugins: channelPlugins,
      outbox: parts.outbox?.(outbox) ?? outbox,
      receipts: filed,
      meter: createFleetMeter({ meter, clock, log }),
      clock,
      log,
      http,
      redactor,
      random: () => random(),
      language: () => "en",
      node: { cluster: "prod", name: "node-1", ip: "10.0.0.1" },
    });
  }

  beforeEach(() => {
    clock = new ManualClock(startMs);
    receipts = createMemoryReceipts({ perChannel: 1_000 });
    meter = createMemoryMeter(clock);
    http = createHttpClient();
    redactor = createRedactor();
    robots = [];
    random = () => 0.5;
    notifier = start();
  });

  afterEach(async () => {
    const stopped = notifier.stop(0);
    await clock.advance(20_000);
    await stopped;
    http.close();
    await Promise.all(robots.map((robot) => robot.close()));
  });

  async function feishu(options: RobotOptions = {}): Promise<Robot> {
    const robot = await startFeishu({ clock, ...options });
    robots.push(robot);
    return robot;
  }

  async function dingtalk(options: RobotOptions = {}): Promise<Robot> {
    const robot = await startDingtalk({ clock, ...options });
    robots.push(robot);
    return robot;
  }

  function configure(...specs: readonly ChannelSpec[]): void {
    notifier.configure(specs.map(sourced));
  }

  function feishuSpec(robot: Robot, more: Record<string, unknown> = {}): ChannelSpec {
    return spec({ type: "feishu", webhook_url: robot.url, ...more });
  }

  async function all(of = notifier): Promise<ReceiptSummary[]> {
    assert.ok(of);
    return (await receipts.list({ limit: 1_000 })).map(summary).reverse();
  }

  async function outcomes(channel: string): Promise<string[]> {
    return (await receipts.list({ channel, limit: 1_000 })).map(({ outcome }) => outcome).reverse();
  }

  it("brings a message to every channel and files what each answered", async () => {
    const [one, two] = [await feishu(), await dingtalk()];
    configure(feishuSpec(one), spec({ type: "dingtalk", webhook_url: two.url, secret: "SECx" }));
    const of = message();
    await notifier.notify(of, null);
    await eventually("both have it", () => one.received.length === 1 && two.received.length === 1);
    await eventually("both receipts are settled", async () =>
      (await all()).every(({ outcome }) => outcome === "sent"),
    );
    const [receipt] = await receipts.list({ channel: "feishu", limit: 9 });
    assert.deepEqual(receipt, {
      id: `${of.id}:feishu`,
      alert: "inc-1",
      channel: "feishu",
      type: "feishu",
      kind: "firing",
      outcome: "sent",
      attempts: 1,
      code: "0",
      message: null,
      digest: null,
      createdAtMs: startMs,
      settledAtMs: startMs,
    });
    assert.equal(outbox.own().size, 0);
  });

  it("sends at once, without a tick of the clock", async () => {
    const target = recorder(clock);
    notifier.attach("admin", "admin", target, []);
    await settle();
    await notifier.deliver("admin", message());
    await settle();
    assert.equal(target.taken.length, 1);
    assert.equal(target.taken[0]?.atMs, startMs);
  });

  it("files a pending receipt before anything is sent", async () => {
    const target = recorder(clock);
    target.answer = () => "hang";
    notifier.attach("admin", "admin", target, []);
    await notifier.deliver("admin", message());
    await settle();
    assert.deepEqual(await all(), [
      { channel: "admin", kind: "firing", outcome: "pending", attempts: 0, code: null },
    ]);
    target.finish({ outcome: "sent", code: "7" });
    await settle();
    assert.deepEqual(await all(), [
      { channel: "admin", kind: "firing", outcome: "sent", attempts: 1, code: "7" },
    ]);
  });

  it("asks only channels that take the level, recoveries by the level of their incident", async () => {
    const [some, every] = [await feishu(), await feishu({ token: "f1" })];
    configure(
      feishuSpec(some, { name: "some", levels: ["critical"] }),
      feishuSpec(every, { name: "every" }),
      feishuSpec(every, { name: "off", enabled: false }),
    );
    await notifier.notify(message("firing", { level: "warning" }), null);
    await notifier.notify(message("resolved", { level: "warning", id: "inc-2" }), null);
    await notifier.notify(message("resolved", { level: "critical", id: "inc-3" }), null);
    await eventually("two are out", () => every.received.length === 2);
    await settle(20);
    await clock.advance(5_000);
    await eventually(
      "all are out",
      () => every.received.length === 3 && some.received.length === 1,
    );
    assert.match(some.received[0]?.title ?? "", /RESOLVED/);
    assert.deepEqual(await outcomes("off"), []);
  });

  it("asks only the channels a rule names, and says when there is no such channel", async () => {
    const [one, two] = [await feishu(), await feishu({ token: "f1" })];
    configure(feishuSpec(one, { name: "one" }), feishuSpec(two, { name: "two" }));
    await notifier.notify(message(), ["two", "three"]);
    await eventually("two has it", () => two.received.length === 1);
    assert.equal(one.requests(), 0);
    assert.ok(lines.some((line) => line.includes("channel.unknown") && line.includes("three")));
  });

  it("delivers to an attached target alone, and never notifies it", async () => {
    const target = recorder(clock);
    notifier.attach("admin", "admin", target, []);
    await notifier.notify(message(), null);
    await settle();
    assert.equal(target.taken.length, 0);
    await notifier.deliver("nobody", message());
    assert.ok(lines.some((line) => line.includes("channel.unknown") && line.includes("nobody")));
    assert.throws(() => notifier.attach("admin", "admin", target, []), /name is taken/);
  });

  it("tries again after growing delays, and tells of trouble and recovery once each", async () => {
    const target = recorder(clock);
    target.answer = () =>
      target.taken.length < 5
        ? { outcome: "retry", code: "network", reason: "down" }
        : { outcome: "sent", code: "0" };
    notifier.attach("admin", "admin", target, []);
    await notifier.deliver("admin", message());
    await clock.advance(60_000);
    // Between half and all of 1, 2, 4, 8 s; random is one half here.
    assert.deepEqual(
      target.taken.map(({ atMs }) => atMs - startMs),
      [0, 750, 2_250, 5_250, 11_250],
    );
    assert.deepEqual(await all(), [
      { channel: "admin", kind: "firing", outcome: "sent", attempts: 5, code: "0" },
    ]);
    const events = lines.map((line) => JSON.parse(line) as { level: string; event: string });
    assert.deepEqual(
      events.map(({ level, event }) => `${level} ${event}`),
      ["warn channel.failing", "info channel.recovered"],
    );
    assert.deepEqual(notifier.stats(), [
      {
        channel: "admin",
        type: "admin",
        counts: {
          sent: 1,
          retrying: 4,
          refused: 0,
          dead: 0,
          codes: new Map([
            ["retrying network", { outcome: "retrying", code: "network", count: 4 }],
            ["sent 0", { outcome: "sent", code: "0", count: 1 }],
          ]),
          // More than ten seconds, less than thirty.
          latency: { counts: [0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1], count: 1, sumMs: 11_250 },
        },
      },
    ]);
  });

  it("shows a message that is tried again as retrying, with the reason", async () => {
    const target = recorder(clock);
    target.answer = () => ({ outcome: "retry", code: "http_503", reason: "HTTP 503" });
    notifier.attach("admin", "admin", target, []);
    await notifier.deliver("admin", message());
    await settle();
    const [receipt] = await receipts.list({ limit: 1 });
    assert.deepEqual(
      [receipt?.outcome, receipt?.code, receipt?.message, receipt?.settledAtMs],
      ["retrying", "http_503", "HTTP 503", null],
    );
  });

  it("sends nothing to a service before the time it named", async () => {
    const target = recorder(clock);
    target.answer = () =>
      target.taken.length === 1
        ? { outcome: "retry", code: "130101", reason: "blocked", retryAfterMs: 600_000 }
        : { outcome: "sent", code: "0" };
    notifier.attach("admin", "admin", target, []);
    await notifier.deliver("admin", message());
    await settle();
    await notifier.deliver("admin", message("firing", { id: "inc-2" }));
    await clock.advance(599_000);
    assert.equal(target.taken.length, 1);
    await clock.advance(2_000);
    assert.equal(target.taken.length, 3);
  });

  it("waits at most five minutes between tries and gives up after a day", async () => {
    const target = recorder(clock);
    target.answer = () => ({ outcome: "retry", code: "network", reason: "no route" });
    notifier.attach("admin", "admin", target, []);
    await notifier.deliver("admin", message());
    await clock.advance(23 * 3_600_000);
    assert.deepEqual(await outcomes("admin"), ["retrying"]);
    const gaps = target.taken.slice(1).map(({ atMs }, i) => atMs - (target.taken[i]?.atMs ?? 0));
    assert.equal(Math.max(...gaps), 225_000);
    await clock.advance(2 * 3_600_000);
    const [receipt] = await receipts.list({ limit: 1 });
    assert.equal(receipt?.outcome, "dead");
    assert.match(receipt?.message ?? "", /given up after \d+ attempts: no route/);
    assert.equal(outbox.own().size, 0);
  });

  it("takes a refusal for an answer", async () => {
    const target = recorder(clock);
    target.answer = () => ({ outcome: "refused", code: "19001", reason: "wrong token" });
    notifier.attach("admin", "admin", target, []);
    await notifier.deliver("admin", message());
    await clock.advance(3_600_000);
    assert.equal(target.taken.length, 1);
    assert.deepEqual(await all(), [
      { channel: "admin", kind: "firing", outcome: "refused", attempts: 1, code: "19001" },
    ]);
  });

  it("survives a channel that throws, and files what it said without secrets", async () => {
    const robot = await feishu();
    configure(feishuSpec(robot, { secret: "the-signing-secret" }));
    const target = recorder(clock);
    target.answer = () =>
      target.taken.length === 1
        ? new Error(`boom at ${robot.url} with the-signing-secret`)
        : { outcome: "sent", code: "0" };
    notifier.attach("admin", "admin", target, []);
    await notifier.deliver("admin", message());
    await settle();
    const [receipt] = await receipts.list({ channel: "admin", limit: 1 });
    assert.equal(receipt?.outcome, "retrying");
    assert.equal(receipt?.code, "exception");
    assert.equal(receipt?.message, "boom at *** with ***");
    assert.ok(!lines.join().includes("the-signing-secret") && !lines.join().includes(robot.token));
    await clock.advance(5_000);
    assert.deepEqual(await outcomes("admin"), ["sent"]);
  });

  it("cuts off a channel that hangs at ten seconds, even one that does not listen", async () => {
    const target = recorder(clock);
    target.answer = () => (target.taken.length === 1 ? "hang" : { outcome: "sent", code: "0" });
    notifier.attach("admin", "admin", target, []);
    await notifier.deliver("admin", message());
    await clock.advance(9_900);
    assert.deepEqual(await outcomes("admin"), ["pending"]);
    await clock.advance(200);
    const [receipt] = await receipts.list({ limit: 1 });
    assert.deepEqual([receipt?.outcome, receipt?.code], ["retrying", "timeout"]);
    await clock.advance(2_000);
    assert.deepEqual(await outcomes("admin"), ["sent"]);
  });

  it("does not let one channel's trouble delay another", async () => {
    const [stuck, fine] = [recorder(clock), recorder(clock)];
    stuck.answer = () => "hang";
    notifier.attach("stuck", "x", stuck, []);
    notifier.attach("fine", "x", fine, []);
    await notifier.deliver("stuck", message());
    for (let i = 0; i < 5; i++)
      await notifier.deliver("fine", message("firing", { id: `inc-${i}` }));
    await settle(20);
    assert.equal(fine.taken.length, 5);
    assert.equal(fine.taken[4]?.atMs, startMs);
  });

  it("keeps to the limits of a robot and sends critical ones first", async () => {
    const target = recorder(clock);
    notifier.attach("robot", "x", target, [{ count: 18, perMs: 60_000 }]);
    for (let i = 0; i < 30; i++)
      await notifier.deliver("robot", message("firing", { id: `w-${i}`, level: "warning" }));
    await settle(200);
    assert.equal(target.taken.length, 18);
    await notifier.deliver("robot", message("firing", { id: "critical", level: "critical" }));
    await clock.advance(59_999);
    assert.equal(target.taken.length, 18);
    await clock.advance(1);
    await settle(200);
    assert.equal(target.taken[18]?.message.incident.id, "critical");
    assert.equal(target.taken.length, 31);
  });

  it("tells a burst in a few messages, and files which of them told what", async () => {
    const robot = await dingtalk();
    configure(spec({ type: "dingtalk", webhook_url: robot.url }));
    const node = (i: number) => ({ cluster: "prod", name: `node-${i}`, ip: "192.0.2.1" });
    for (let i = 0; i < 50; i++)
      await notifier.notify(
        message("firing", { id: `inc-${i}`, subject: { node: node(i) } }),
        null,
      );
    await eventually("everything is told", async () => {
      await clock.advance(500);
      return (await outcomes("dingtalk")).every((outcome) => outcome === "sent");
    });
    assert.ok(robot.received.length <= 4, `${robot.received.length} messages`);
    const words = new Set(robot.received.flatMap(({ text }) => text.split(/[^\w-]+/)));
    for (let i = 0; i < 50; i++) assert.ok(words.has(`node-${i}`), `node-${i}`);
    const digests = (await receipts.list({ limit: 100 })).map(({ digest }) => digest);
    assert.ok(digests.includes(null), "the first is told alone");
    assert.ok(digests.some((digest) => digest?.startsWith("digest-")));
    assert.deepEqual(new Set(robot.answers), new Set([0]));
  });

  it("tries a digest again as one, and settles nobody who is in it before it arrives", async () => {
    const robot = await feishu();
    let seed = 1;
    // Delays that differ, as they do.
    random = () => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647;
    robot.respondWith({ status: 500, body: "" });
    configure(feishuSpec(robot));
    for (let i = 0; i < 9; i++) await notifier.notify(message("firing", { id: `inc-${i}` }), null);
    await eventually("some failed", () => robot.requests() === 2);
    await settle(20);
    await clock.advance(60_000);
    assert.ok((await outcomes("feishu")).every((outcome) => outcome === "retrying"));
    robot.respondWith(null);
    await eventually("all are settled", async () => {
      await clock.advance(10_000);
      return (await outcomes("feishu")).every((outcome) => outcome === "sent");
    });
    assert.ok(robot.received.length <= 5, `${robot.received.length} messages`);
  });

  it("lets two channels of one robot share its limit, though the outbox takes its time", async () => {
    notifier = start({
      outbox: (inner) =>
        through(inner, {
          lead: async (queue) => {
            await settle(1);
            return inner.lead(queue);
          },
        }),
    });
    const robot = await dingtalk();
    configure(
      spec({ type: "dingtalk", name: "a", webhook_url: robot.url }),
      spec({ type: "dingtalk", name: "b", webhook_url: robot.url }),
    );
    for (let i = 0; i < 17; i++) await notifier.test("a");
    // Until then two messages a few seconds apart are as many as people can read.
    await clock.advance(15_000);
    await notifier.notify(message(), null);
    await eventually("the limit is used up", () => robot.received.length === 18);
    await settle(50);
    assert.equal(robot.received.length, 18);
    assert.deepEqual(
      (await notifier.states()).map(({ tokensLeft }) => tokensLeft),
      [0, 0],
    );
  });

  it("does not tell of a recovery before the news that is still to be told", async () => {
    const target = recorder(clock);
    let down = true;
    target.answer = () =>
      down ? { outcome: "retry", code: "network", reason: "down" } : { outcome: "sent", code: "0" };
    notifier.attach("admin", "admin", target, []);
    await notifier.deliver("admin", message("firing", { level: "warning" }));
    await clock.advance(10_000);
    down = false;
    await notifier.deliver("admin", message("resolved"));
    await clock.advance(60_000);
    const sent = target.taken.slice(-2).map(({ message: { kind } }) => kind);
    assert.deepEqual(sent, ["firing", "resolved"]);
    assert.deepEqual(await outcomes("admin"), ["sent", "sent"]);
  });

  it("goes on with the same channel when only its levels change", async () => {
    const robot = await feishu();
    configure(feishuSpec(robot));
    await notifier.notify(message(), null);
    await eventually("it is there", async () => (await outcomes("feishu")).includes("sent"));
    configure(feishuSpec(robot, { levels: ["info"] }));
    await notifier.notify(message(), null);
    await settle();
    assert.equal(robot.requests(), 1);
    assert.equal((await notifier.states())[0]?.tokensLeft, 4);
  });

  it("replaces a channel whose secret changed, though neither prints", async () => {
    const robot = await feishu({ secret: "right-secret" });
    configure(feishuSpec(robot, { secret: "wrong-secret" }));
    await notifier.notify(message(), null);
    await eventually("it is refused", async () => (await outcomes("feishu")).includes("refused"));
    assert.equal(notifier.health().status, "degraded");
    configure(feishuSpec(robot, { secret: "right-secret" }));
    await notifier.notify(message(), null);
    await eventually("it is taken", () => robot.received.length === 1);
    await eventually("all is well", () => notifier.health().status === "ok");
    assert.ok(!lines.join().includes("right-secret") && !lines.join().includes("wrong-secret"));
  });

  it("hands waiting messages to the channel that replaces one", async () => {
    const [old, fresh] = [await feishu(), await feishu({ token: "f-new" })];
    old.respondWith({ status: 500, body: "" });
    configure(feishuSpec(old));
    await notifier.notify(message(), null);
    await eventually("the old one failed", async () =>
      (await outcomes("feishu")).includes("retrying"),
    );
    configure(feishuSpec(fresh));
    await clock.advance(5_000);
    await eventually("the new one has it", async () => {
      await clock.advance(100);
      return fresh.received.length === 1;
    });
  });

  it("lets the old channel finish before the new one begins, so that nothing is sent twice", async () => {
    const [old, fresh] = [await feishu(), await feishu({ token: "f-new" })];
    old.respondWith("hang");
    configure(feishuSpec(old));
    await notifier.notify(message(), null);
    await eventually("the old one has it", () => old.requests() === 1);
    configure(feishuSpec(fresh));
    await settle(20);
    assert.equal(fresh.requests(), 0);
    await clock.advance(12_000);
    await eventually("the new one has it", async () => {
      await clock.advance(100);
      return fresh.received.length === 1;
    });
  });

  for (const [what, removed] of [
    ["hands a message to the channel that replaced its own meanwhile", false],
    ["refuses a message whose channel went meanwhile", true],
  ] as const)
    it(what, async () => {
      let take: () => void = () => {};
      const taken = new Promise<void>((resolve) => {
        take = resolve;
      });
      notifier = start({
        outbox: (inner) =>
          through(inner, {
            enqueue: async (...job) => {
              await taken;
              await inner.enqueue(...job);
            },
          }),
      });
      const [old, fresh] = [await feishu(), await feishu({ token: "f-new" })];
      configure(feishuSpec(old));
      const notified = notifier.notify(message(), null);
      await settle();
      configure(...(removed ? [] : [feishuSpec(fresh)]));
      await settle(20);
      take();
      await notified;
      await eventually(
        "it is settled",
        async () => !(await outcomes("feishu")).includes("pending"),
      );
      assert.deepEqual(await outcomes("feishu"), [removed ? "refused" : "sent"]);
      assert.equal(fresh.received.length, removed ? 0 : 1);
      assert.equal(old.requests(), 0);
    });

  it("refuses what waits for a channel that was removed or disabled", async () => {
    for (const [name, code] of [
      ["gone", "channel_removed"],
      ["off", "channel_disabled"],
    ] as const) {
      const robot = await feishu();
      robot.respondWith({ status: 500, body: "" });
      configure(feishuSpec(robot, { name }));
      await notifier.notify(message(), null);
      await eventually("it failed once", async () => (await outcomes(name)).includes("retrying"));
      configure(
        ...(code === "channel_disabled" ? [feishuSpec(robot, { name, enabled: false })] : []),
      );
      await eventually("it is settled", async () => (await outcomes(name)).includes("refused"));
      const [receipt] = await receipts.list({ channel: name, limit: 1 });
      assert.equal(receipt?.code, code);
      assert.equal(outbox.own().size, 0);
    }
    assert.equal((await notifier.states())[0]?.status.status, "disabled");
    assert.equal(notifier.health().status, "disabled");
  });

  it("forgets trouble when nothing waits any more, as another agent has sent it, but no refusal", async () => {
    const robot = await feishu();
    let isTaken = false;
    notifier = start({
      outbox: (inner) =>
        through(inner, {
          lead: async (queue) => (isTaken ? { waitMs: null } : inner.lead(queue)),
        }),
    });
    configure(feishuSpec(robot));
    const statusNow = async (): Promise<string | undefined> =>
      (await notifier.states())[0]?.status.status;
    robot.respondWith({ status: 500, body: "" });
    await notifier.notify(message(), null);
    await eventually("it is down", async () => {
      await clock.advance(5_000);
      return (await statusNow()) === "down";
    });
    isTaken = true;
    await clock.advance(8 * 60_000);
    assert.equal(await statusNow(), "down");
    await clock.advance(4 * 60_000);
    assert.equal(await statusNow(), "ok");
    isTaken = false;
    robot.respondWith({ body: { code: 19001, msg: "no such robot" } });
    await eventually("it is refused", async () => {
      await clock.advance(60_000);
      return (await outcomes("feishu")).includes("refused");
    });
    await clock.advance(30 * 60_000);
    assert.notEqual(await statusNow(), "ok");
  });

  it("goes from ok over degraded to down, and back", async () => {
    const robot = await feishu();
    configure(feishuSpec(robot));
    assert.equal(notifier.health().status, "ok");
    robot.respondWith({ status: 500, body: "" });
    const states: string[] = [];
    for (let i = 0; i < 3; i++) {
      await notifier.test("feishu");
      states.push(notifier.health().status);
    }
    assert.deepEqual(states, ["degraded", "degraded", "down"]);
    assert.equal(notifier.health().lastError, "http_500: HTTP 500");
    robot.respondWith(null);
    await notifier.test("feishu");
    assert.deepEqual([notifier.health().status, notifier.health().lastError], ["ok", null]);
  });

  it("sends a test through the real way, files it, and never tries it again", async () => {
    const robot = await feishu({ secret: "s3cret" });
    configure(feishuSpec(robot, { secret: "s3cret" }));
    assert.deepEqual(await notifier.test("feishu"), { outcome: "sent", code: "0" });
    assert.equal(robot.received[0]?.title, "[TEST] TargetVPC: test message from node-1");
    robot.respondWith({ status: 500, body: "" });
    assert.equal((await notifier.test("feishu"))?.outcome, "retry");
    await clock.advance(600_000);
    assert.equal(robot.requests(), 2);
    assert.deepEqual((await all()).map(({ kind, outcome }) => `${kind} ${outcome}`).sort(), [
      "test dead",
      "test sent",
    ]);
  });

  it("answers a test of no channel with null, and of a disabled one with a refusal", async () => {
    const robot = await feishu();
    configure(feishuSpec(robot, { enabled: false }));
    assert.equal(await notifier.test("nobody"), null);
    assert.equal((await notifier.test("feishu"))?.code, "channel_disabled");
    assert.equal(robot.requests(), 0);
  });

  it("does not break a limit for a test", async () => {
    const robot = await feishu();
    configure(feishuSpec(robot));
    for (let i = 0; i < 5; i++) await notifier.test("feishu");
    const outcome = await notifier.test("feishu");
    assert.equal(outcome?.code, "rate_limited");
    assert.equal(robot.requests(), 5);
  });

  it("shows what waits and what may leave", async () => {
    const robot = await dingtalk();
    configure(spec({ type: "dingtalk", webhook_url: robot.url }));
    robot.respondWith("hang");
    for (let i = 0; i < 3; i++) await notifier.notify(message("firing", { id: `inc-${i}` }), null);
    await eventually("one is on its way", () => robot.requests() === 1);
    const [state] = await notifier.states();
    assert.equal(state?.pending, 3);
    assert.equal(state?.tokensLeft, 17);
    assert.equal(state?.sentToday, 1);
    assert.equal(state?.spec.source, "file");
    assert.equal(state?.status.status, "ok");
  });

  it("waits for the message on its way when it stops, and closes the channel", async () => {
    const target = recorder(clock);
    target.answer = () => "hang";
    notifier.attach("admin", "admin", target, []);
    await notifier.deliver("admin", message());
    await notifier.deliver("admin", message("firing", { id: "inc-2" }));
    await settle();
    const stopped = notifier.stop(2_000);
    await settle();
    assert.equal(target.closed(), 0);
    target.finish({ outcome: "sent", code: "0" });
    await stopped;
    assert.equal(target.closed(), 1);
    assert.deepEqual((await outcomes("admin")).sort(), ["pending", "sent"]);
    assert.equal(target.taken.length, 1);
  });

  it("leaves a message that outlasts the grace in the outbox", async () => {
    const target = recorder(clock);
    target.answer = () => "hang";
    notifier.attach("admin", "admin", target, []);
    await notifier.deliver("admin", message());
    await settle();
    const stopped = notifier.stop(2_000);
    await clock.advance(2_000);
    await stopped;
    assert.deepEqual(await all(), [
      { channel: "admin", kind: "firing", outcome: "retrying", attempts: 1, code: "aborted" },
    ]);
    assert.equal(outbox.own().get("admin")?.count, 1);
    assert.ok(!lines.some((line) => line.includes("channel.failing")));
  });

  it("takes up what an earlier run left behind", async () => {
    const target = recorder(clock);
    const queue = { channel: "admin", robot: "admin:admin", isOwn: true };
    const left = { id: "left", channel: "admin", attempts: 2 };
    const job = { ...left, message: message(), createdAtMs: startMs - 5_000 };
    await outbox.enqueue(queue, job, receipt("left", { channel: "admin" }));
    const leading = await outbox.lead(queue);
    assert.ok("lead" in leading);
    const settled = { job, receipt: receipt("left", { channel: "admin" }), retryInMs: 3_000 };
    await leading.lead.settle([settled]);
    notifier.attach("admin", "admin", target, []);
    await clock.advance(2_900);
    assert.equal(target.taken.length, 0);
    await clock.advance(200);
    assert.equal(target.taken.length, 1);
    assert.equal((await all())[0]?.attempts, 3);
  });

  it("does not tell again what a receipt says is settled, and tells what is not", async () => {
    const robot = await feishu();
    configure(feishuSpec(robot));
    const of = message();
    await notifier.notify(of, null);
    await eventually("it is settled", async () => (await outcomes("feishu"))[0] === "sent");
    await notifier.notify(of, null, true);
    const other = message();
    await notifier.notify(other, null, true);
    await eventually("the other one is sent", () => robot.received.length === 2);
    await settle();
    assert.equal(robot.received.length, 2);
    assert.equal((await receipts.list({ limit: 10 })).length, 2);
  });

  it("tells again rather than not when receipts cannot be read", async () => {
    const robot = await feishu();
    const unreadable: ReceiptPort = {
      ...receipts,
      list: () => Promise.reject(new Error("away")),
    };
    await notifier.stop(0);
    notifier = start({ receipts: unreadable });
    configure(feishuSpec(robot));
    await notifier.notify(message(), null, true);
    await eventually("it is sent", () => robot.received.length === 1);
  });

  it("comes back when the outbox does, and says so once", async () => {
    let broken = true;
    notifier = start({
      outbox: (inner) =>
        through(inner, {
          lead: async (queue) => {
            if (broken) throw new Error("store away");
            return inner.lead(queue);
          },
        }),
    });
    const target = recorder(clock);
    notifier.attach("admin", "admin", target, []);
    await notifier.deliver("admin", message());
    await clock.advance(60_000);
    assert.equal(lines.filter((line) => line.includes("outbox.failing")).length, 1);
    broken = false;
    await clock.advance(40_000);
    assert.equal(target.taken.length, 1);
  });

  it("sends though receipts cannot be filed, and says so once", async () => {
    notifier = start({
      receipts: {
        ...receipts,
        put: async () => {
          throw new Error("store away");
        },
      },
    });
    const target = recorder(clock);
    notifier.attach("admin", "admin", target, []);
    await notifier.deliver("admin", message());
    await notifier.deliver("admin", message());
    await settle(20);
    assert.equal(target.taken.length, 2);
    assert.equal(lines.filter((line) => line.includes("receipt.lost")).length, 1);
  });

  it("lets a configured channel not take the name of an attached target", async () => {
    const robot = await feishu();
    const target = recorder(clock);
    notifier.attach("admin", "admin", target, []);
    configure(feishuSpec(robot, { name: "admin" }));
    await notifier.notify(message(), null);
    await settle();
    assert.equal(robot.requests(), 0);
    assert.ok(lines.some((line) => line.includes("channel.name_taken")));
  });
});
