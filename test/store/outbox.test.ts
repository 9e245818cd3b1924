import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import type { Job, Lead, Outbox, Queue } from "../../src/core/delivery.ts";
import type { Clock } from "../../src/core/ports.ts";
import { createKeptReceipts } from "../../src/store/kept-receipts.ts";
import { createMemoryReceipts } from "../../src/store/memory/receipts.ts";
import { eventually, ManualClock } from "../support/clock.ts";
import { job, pending, sent } from "../support/jobs.ts";
import { recordLog } from "../support/log.ts";
import { openOutbox, outboxDir } from "../support/outbox.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { openQueues, type QueueAgent } from "../support/redis-outbox.ts";

const queue: Queue = { channel: "ops", robot: "feishu:1", isOwn: false };
const put = (outbox: Outbox, id: string, of: Parameters<typeof job>[1] = {}): Promise<void> =>
  outbox.enqueue(queue, job(id, of), pending(job(id, of)));
const over = (id: string) => ({ job: job(id), receipt: sent(job(id)), retryInMs: null });

async function leads(outbox: Outbox, of = queue): Promise<Lead> {
  const leading = await outbox.lead(of);
  assert.ok("lead" in leading, "it leads");
  return leading.lead;
}

async function ids(lead: Lead): Promise<string[]> {
  return (await lead.waiting(100)).map(({ job }) => job.id);
}

describe("the outbox of an agent alone", () => {
  let dir: string;
  let clock: Clock;
  beforeEach(() => {
    dir = outboxDir();
    clock = new ManualClock(5_000);
  });

  const open = (log = recordLog().log) =>
    openOutbox({ clock, log, receipts: createMemoryReceipts({ perChannel: 9 }), dir });

  it("gives the next run what this one had not sent, at its time", async () => {
    const first = open();
    for (const id of ["a", "b", "b"]) await put(first, id);
    const lead = await leads(first);
    assert.deepEqual(await ids(lead), ["a", "b"]);
    const tried = job("b", { attempts: 3 });
    await lead.settle([over("a"), { job: tried, receipt: pending(tried), retryInMs: 700 }]);
    assert.deepEqual(await first.lead(queue), { waitMs: 700 });
    await first.kept();
    const second = open();
    await second.load();
    assert.deepEqual(await second.lead(queue), { waitMs: 700 });
    await (clock as ManualClock).advance(700);
    const again = await leads(second);
    assert.deepEqual(await again.waiting(9), [{ job: tried, dueInMs: 0 }]);
    assert.deepEqual(second.own(), new Map([["ops", { count: 1, oldestAtMs: 1_000 }]]));
    await again.settle([over("b")]);
    await second.kept();
    const third = open();
    await third.load();
    assert.equal(third.here, 0);
  });

  it("hands what waits to the channel's new robot, and takes out what cannot be sent any more", async () => {
    const outbox = open();
    await put(outbox, "a");
    assert.deepEqual(await ids(await leads(outbox, { ...queue, robot: "feishu:2" })), ["a"]);
    assert.deepEqual(
      (await outbox.withdraw("ops")).map(({ id }) => id),
      ["a"],
    );
    assert.deepEqual(await outbox.lead(queue), { waitMs: null });
  });

  it("reads what an older version kept, and drops no message for evidence it cannot read", async () => {
    const use = { pid: 7, name: "stress", value: 98, unit: "%", owner: null } as const;
    const { evidence: _none, ...older } = job("old").message;
    const stall = { avg10: 43.2, avg60: 1 };
    const pressure = { cpu: { some: stall, full: null }, io: { some: stall, full: stall } };
    const evidences = {
      odd: [{ ...use, unit: "MB" }],
      list: [use],
      new: { processes: [use], pressure },
      alone: { processes: null, pressure },
      none: { processes: [use], pressure: null },
      bad: { processes: [use], pressure: { io: 1 } },
    };
    const kept = [
      { ...job("old"), notBeforeMs: 1, message: older },
      ...Object.entries(evidences).map(([id, evidence]) => ({
        ...job(id),
        notBeforeMs: 1,
        message: { ...older, evidence },
      })),
    ];
    await writeFile(path.join(dir, "outbox.json"), JSON.stringify(kept));
    const outbox = open();
    await outbox.load();
    const found = await (await leads(outbox)).waiting(10);
    assert.deepEqual(
      found.map(({ job: { id, message } }) => [id, message.evidence]),
      [
        ["old", null],
        ["odd", null],
        ["list", { processes: [use], pressure: null }],
        ["new", { processes: [use], pressure }],
        ["alone", { processes: null, pressure }],
        ["none", { processes: [use], pressure: null }],
        ["bad", null],
      ],
    );
  });

  it("starts empty from garbage, and says so without showing it", async () => {
    for (const garbage of ["{hunter2", '[{"id":"hunter2"}]', '{"jobs":["hunter2"]}']) {
      await writeFile(path.join(dir, "outbox.json"), garbage);
      const { log, of, text } = recordLog();
      const outbox = open(log);
      await outbox.load();
      assert.equal(outbox.here, 0);
      assert.deepEqual(of("warn"), ["messages of an earlier run unreadable"]);
      assert.doesNotMatch(text(), /hunter2/);
    }
  });

  it("gives up what nobody could send for a day, and reads what it can of a garbled file", async () => {
    const first = open();
    await put(first, "old");
    await put(first, "new", { createdAtMs: 90_000_000 });
    await first.kept();
    const file = path.join(dir, "outbox.json");
    const saved = JSON.parse(await readFile(file, "utf8")) as { jobs: unknown[] };
    saved.jobs.push({ hunter2: true });
    await writeFile(file, JSON.stringify(saved));
    clock = new ManualClock(91_000_000);
    const { log, of, text } = recordLog();
    const next = open(log);
    await next.load();
    assert.deepEqual(await ids(await leads(next)), ["new"]);
    assert.deepEqual(of("warn"), [
      "message given up: nobody could send it for a day",
      "messages of an earlier run unreadable",
    ]);
    assert.doesNotMatch(text(), /hunter2/);
  });

  it("sends at once what was decided before the clock was set back", async () => {
    const outbox = open();
    await put(outbox, "a", { createdAtMs: clock.now() + 7_200_000 });
    assert.deepEqual(await ids(await leads(outbox)), ["a"]);
  });

  it("says once that receipts are lost, and goes on", async () => {
    const { log, of } = recordLog();
    const receipts = {
      ...createMemoryReceipts({ perChannel: 9 }),
      put: () => Promise.reject(new Error("away")),
    };
    const outbox = openOutbox({ clock, log, receipts, dir });
    await put(outbox, "a");
    await put(outbox, "b");
    await (await leads(outbox)).settle([over("a")]);
    assert.deepEqual(of("warn"), ["receipt.lost"]);
    assert.deepEqual(await ids(await leads(outbox)), ["b"]);
  });
});

describe("the outbox of an agent that shares a store", () => {
  let server: TestRedis;
  let used = 0;
  let opened: QueueAgent[];
  before(async () => {
    server = await startRedis({ args: ["--appendonly", "yes", "--appendfsync", "always"] });
  });
  after(() => server.stop());
  beforeEach(() => {
    used++;
    opened = [];
  });
  afterEach(async () => {
    for (const one of opened) await one.stop();
  });

  /** One more agent, or an agent's next run. */
  const agent = async (dir = outboxDir()) => {
    const queues = await openQueues(server.settings({ prefix: `t${used}` }));
    opened.push(queues);
    const { outbox: shared } = queues;
    const { log, of } = recordLog();
    const { receipts: stored } = queues;
    const receipts = createKeptReceipts({ receipts: stored, clock: systemClock, log });
    const outbox = openOutbox({ clock: systemClock, log, receipts, shared, dir });
    return { outbox, queues, of };
  };
  const settleSent = async (lead: Lead): Promise<Job[]> => {
    const jobs = (await lead.waiting(100)).map(({ job }) => job);
    const all = jobs.map((one) => ({ job: one, receipt: sent(one), retryInMs: null }));
    assert.equal(await lead.settle(all), true);
    return jobs;
  };

  it("gives what a dead agent left to another", async () => {
    const [dead, alive] = [await agent(), await agent()];
    await put(dead.outbox, "a");
    await leads(dead.outbox);
    await eventually("another leads", async () => "lead" in (await alive.outbox.lead(queue)));
    assert.deepEqual(
      (await settleSent(await leads(alive.outbox))).map(({ id }) => id),
      ["a"],
    );
  });

  it("finds out that another has sent its jobs", async () => {
    const [maker, sender] = [await agent(), await agent()];
    await put(maker.outbox, "a");
    await settleSent(await leads(sender.outbox));
    assert.equal(maker.outbox.own().get("ops")?.count, 1);
    await eventually("it knows", async () => {
      await maker.outbox.lead(queue);
      return maker.outbox.own().size === 0;
    });
  });

  it("gives the store again what it lost", async () => {
    const one = await agent();
    await put(one.outbox, "a");
    await server.client.flushall();
    await eventually("it is there again", async () => "lead" in (await one.outbox.lead(queue)));
    assert.deepEqual(await ids(await leads(one.outbox)), ["a"]);
  });

  it("does not send again what an earlier run of it had sent", async () => {
    const dir = outboxDir();
    const one = await agent(dir);
    await put(one.outbox, "a", { createdAtMs: Date.now() });
    await one.outbox.kept();
    const other = await agent();
    await settleSent(await leads(other.outbox));
    const next = await agent(dir);
    await next.outbox.load();
    assert.equal(next.outbox.here, 1);
    assert.deepEqual(await next.outbox.lead(queue), { waitMs: null });
    assert.equal(next.outbox.own().size, 0);
  });

  it("sends alone while the store stands still, and the store does not send it again", async () => {
    const [one, other] = [await agent(), await agent()];
    // What it knows of the server's time is from before.
    await put(one.outbox, "before");
    await settleSent(await leads(one.outbox));
    server.freeze();
    const began = performance.now();
    await put(one.outbox, "a");
    const lead = await leads(one.outbox);
    assert.ok(performance.now() - began < 1_500, "soon enough");
    assert.deepEqual(await ids(lead), ["a"]);
    // The server takes the command of somebody who has gone another way.
    await systemClock.sleep(1_600);
    await settleSent(lead);
    server.thaw();
    await eventually("it is connected", () => other.queues.connection.status().status === "ok");
    for (let n = 0; n < 20; n++) {
      assert.ok(!("lead" in (await other.outbox.lead(queue))), "nothing is there");
      await systemClock.sleep(50);
    }
    assert.ok(one.of("warn").includes("messages sent by this agent alone"));
  });

  it("sends alone what the store takes a moment too late, and the store does not send it again", async () => {
    const [one, other] = [await agent(), await agent()];
    await put(one.outbox, "before");
    await settleSent(await leads(one.outbox));
    await server.client.call("CLIENT", "PAUSE", "900");
    await put(one.outbox, "a");
    assert.deepEqual(await ids(await leads(one.outbox)), ["a"]);
    await systemClock.sleep(500);
    assert.ok(!("lead" in (await other.outbox.lead(queue))), "nothing is there");
    await settleSent(await leads(one.outbox));
  });

  it("takes out of the store what it had sent when that died before it could be told", async () => {
    const dir = outboxDir();
    const one = await agent(dir);
    await put(one.outbox, "a");
    await put(one.outbox, "b");
    const lead = await leads(one.outbox);
    await server.kill();
    await settleSent({ ...lead, waiting: async () => [{ job: job("a"), dueInMs: 0 }] });
    await one.outbox.kept();
    const saved = await readFile(path.join(dir, "outbox.json"), "utf8");
    assert.match(saved, /"leftovers":\[\{.*"ids":\["a"\]/);
    await server.restart();
    // The next run of it does so.
    const next = await agent(dir);
    await next.outbox.load();
    await eventually("it leads", async () => "lead" in (await next.outbox.lead(queue)));
    assert.deepEqual(await ids(await leads(next.outbox)), ["b"]);
  });

  it("takes jobs back from a store that is away for long, and no sooner", async () => {
    const clock = new ManualClock(1_000_000);
    const queues = await openQueues(server.settings({ prefix: `t${used}` }));
    opened.push(queues);
    const { outbox: shared, receipts } = queues;
    const { log } = recordLog();
    const outbox = openOutbox({ clock, log, receipts, shared });
    await put(outbox, "a", { createdAtMs: clock.now() });
    await server.kill();
    await eventually("it is lost", async () => !("lead" in (await outbox.lead(queue))));
    await clock.advance(14_000);
    assert.deepEqual(await outbox.lead(queue), { waitMs: 1_000 });
    await clock.advance(2_000);
    assert.deepEqual(await ids(await leads(outbox)), ["a"]);
    await server.restart();
    await eventually("it is back", () => queues.connection.status().status === "ok");
  });

  it("looks every ten minutes for what others left behind, at one queue after another", async () => {
    const clock = new ManualClock(1_000_000);
    const queues = await openQueues(server.settings({ prefix: `t${used}` }));
    opened.push(queues);
    const { outbox: shared, receipts } = queues;
    const { log } = recordLog();
    const outbox = openOutbox({ clock, log, receipts, shared });
    const other = { ...queue, channel: "mail" };
    for (const one of [queue, other]) assert.deepEqual(await outbox.lead(one), { waitMs: null });
    const dead = await agent();
    await put(dead.outbox, "a");
    await clock.advance(1_199_000);
    assert.deepEqual(await outbox.lead(queue), { waitMs: null }, "two queues, each in its turn");
    await clock.advance(2_000);
    assert.deepEqual(await ids(await leads(outbox)), ["a"]);
  });
});
