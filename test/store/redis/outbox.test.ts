import assert from "node:assert/strict";
import { systemClock } from "../../../src/base/clock.ts";
import type { Lead, Queue } from "../../../src/core/delivery.ts";
import { createKeys } from "../../../src/store/redis/keys.ts";
import type { OutboxTimes } from "../../../src/store/redis/outbox.ts";
import type { RedisSettings } from "../../../src/store/redis/settings.ts";
import { eventually } from "../../support/clock.ts";
import { job, pending, sent } from "../../support/jobs.ts";
import { startRedis } from "../../support/redis.ts";
import { openQueues, type QueueAgent } from "../../support/redis-outbox.ts";
import { startCluster } from "../../support/redis-cluster.ts";

const queue: Queue = { channel: "ops", robot: "feishu:1", isOwn: false };

interface Server {
  settings(changes: Partial<RedisSettings>): RedisSettings;
  stop(): Promise<void>;
}

for (const [title, start] of [
  ["redis", () => startRedis()],
  ["redis cluster", () => startCluster()],
] as const)
  describe(`the outbox in a ${title}`, () => {
    let server: Server;
    let opened: QueueAgent[];
    let used = 0;
    before(async () => {
      server = await start();
    });
    after(() => server.stop());
    beforeEach(() => {
      used++;
      opened = [];
    });
    afterEach(async () => {
      for (const one of opened) await one.stop();
    });

    const agent = async (times?: OutboxTimes): Promise<QueueAgent> => {
      const one = await openQueues(server.settings({ prefix: `t${used}` }), times);
      opened.push(one);
      return one;
    };
    const put = ({ outbox }: QueueAgent, id: string, of: Parameters<typeof job>[1] = {}) =>
      outbox.enqueue(queue, job(id, of), pending(job(id, of)));
    const leads = async ({ outbox }: QueueAgent): Promise<Lead> => {
      const leading = await outbox.lead(queue);
      assert.ok("lead" in leading, "it leads");
      return leading.lead;
    };
    const ids = async (lead: Lead): Promise<string[]> =>
      (await lead.waiting(100)).map(({ job }) => job.id);
    const over = (id: string) => ({ job: job(id), receipt: sent(job(id)), retryInMs: null });

    it("takes each job once, and none that a receipt says is over", async () => {
      const one = await agent();
      assert.equal(await put(one, "a"), "waits");
      assert.equal(await put(one, "a", { attempts: 7 }), "waits");
      const lead = await leads(one);
      const waiting = await lead.waiting(9);
      assert.deepEqual(
        waiting.map(({ job }) => job),
        [job("a")],
      );
      assert.deepEqual(await one.receipts.list({ limit: 9 }), [pending(job("a"))]);
      assert.equal(await lead.settle([over("a")]), true);
      assert.equal(await put(one, "a"), "over");
      assert.deepEqual(await one.receipts.list({ limit: 9 }), [sent(job("a"))]);
      assert.deepEqual(await one.outbox.lead(queue), { waitMs: null });
      assert.equal(await one.outbox.depth(queue), 0);
    });

    it("lets one lead until it is over, dead for some seconds, or gives way", async () => {
      const [one, two] = [await agent(), await agent()];
      await put(one, "a");
      const first = await leads(one);
      const told = await two.outbox.lead(queue);
      assert.ok("waitMs" in told && told.waitMs !== null && told.waitMs > 0 && told.waitMs <= 300);
      assert.equal(await first.keep(), true);
      await first.end();
      await (await leads(two)).end();
      await leads(one);
      await eventually("its lead is over", async () => "lead" in (await two.outbox.lead(queue)));
    });

    it("settles nothing for whoever has lost the lead, though it may have sent it", async () => {
      const [dead, alive] = [await agent(), await agent()];
      await put(dead, "a");
      await put(dead, "b");
      const lost = await leads(dead);
      assert.deepEqual((await ids(lost)).sort(), ["a", "b"]);
      await eventually("another leads", async () => "lead" in (await alive.outbox.lead(queue)));
      assert.equal(await lost.keep(), false);
      const again = {
        job: job("b", { attempts: 1 }),
        receipt: pending(job("b")),
        retryInMs: 60_000,
      };
      assert.equal(await lost.settle([over("a"), again]), false);
      await lost.end();
      const lead = await leads(alive);
      assert.deepEqual((await ids(lead)).sort(), ["a", "b"]);
      assert.deepEqual(
        (await alive.receipts.list({ limit: 9 })).map(({ outcome }) => outcome),
        ["pending", "pending"],
      );
      assert.equal(await lead.settle([over("a"), over("b")]), true);
    });

    it("still takes the word of whose lead is over when nobody else has led since", async () => {
      const [one, two] = [await agent({ leadMs: 1, graceMs: 0 }), await agent()];
      await put(one, "a");
      const lead = await leads(one);
      await eventually("it is over", async () => systemClock.sleep(5).then(() => true));
      assert.equal(await lead.settle([over("a")]), true);
      assert.deepEqual(await two.outbox.lead(queue), { waitMs: null });
    });

    it("gives back later what is to be tried again, with what became of it", async () => {
      const one = await agent();
      await put(one, "a");
      await put(one, "b");
      const lead = await leads(one);
      const tried = job("a", { attempts: 1 });
      const receipt = { ...pending(tried), outcome: "retrying", attempts: 1 } as const;
      await lead.settle([{ job: tried, receipt, retryInMs: 400 }, over("b")]);
      const [waiting] = await lead.waiting(9);
      assert.deepEqual(waiting?.job, tried);
      assert.ok(waiting.dueInMs > 0 && waiting.dueInMs <= 400);
      const next = await one.outbox.lead(queue);
      assert.ok("waitMs" in next && next.waitMs !== null && next.waitMs <= 400);
      await eventually("it is due", async () => "lead" in (await one.outbox.lead(queue)));
      assert.equal((await (await leads(one)).waiting(9))[0]?.dueInMs, 0);
      const filed = await one.receipts.list({ limit: 9 });
      assert.deepEqual(filed.map(({ outcome }) => outcome).sort(), ["retrying", "sent"]);
    });

    it("tells what became of jobs, and takes out what arrived another way", async () => {
      const one = await agent();
      for (const id of ["waits", "over", "out"]) await put(one, id);
      const lead = await leads(one);
      await lead.settle([over("over")]);
      await one.outbox.remove(queue, ["out"]);
      assert.deepEqual(
        await one.outbox.look(queue, ["waits", "over", "out", "never"]),
        new Map([
          ["waits", "waits"],
          ["over", "over"],
          ["out", "over"],
        ]),
      );
      // Somebody who read it before puts it back: it is gone all the same.
      await lead.settle([{ job: job("out"), receipt: pending(job("out")), retryInMs: 1 }]);
      assert.deepEqual(await ids(lead), ["waits"]);
    });

    it("keeps queues of one name apart by their robot", async () => {
      const one = await agent();
      await put(one, "a");
      const other = { ...queue, robot: "feishu:2" };
      assert.deepEqual(await one.outbox.lead(other), { waitMs: null });
      assert.equal(await one.outbox.depth(other), 0);
    });

    it("leaves alone for a while what was there before the connection", async () => {
      const one = await agent();
      await put(one, "old");
      const two = await agent({ leadMs: 300, graceMs: 700 });
      const told = await two.outbox.lead(queue);
      assert.ok("waitMs" in told && told.waitMs !== null && told.waitMs <= 700);
      await put(two, "new");
      assert.deepEqual(await ids(await leads(two)), ["new"]);
      await eventually("both", async () => (await ids(await leads(two))).length === 2);
    });

    it("leaves a job that it cannot read to others, and says so", async () => {
      const one = await agent();
      await put(one, "good");
      await put(one, "bad");
      const { jobs } = createKeys(`t${used}`).queue(queue);
      await one.connection.run([["hset", jobs, "bad", '{"hunter2":1}']]);
      const lead = await leads(one);
      assert.deepEqual(await ids(lead), ["good"]);
      assert.equal(await one.outbox.depth(queue), 2);
      assert.deepEqual(one.log.of("warn"), ["stored entry unreadable"]);
      assert.doesNotMatch(one.log.text(), /hunter2/);
      await lead.settle([over("good")]);
      const next = await one.outbox.lead(queue);
      assert.ok("waitMs" in next && (next.waitMs ?? 0) > 590_000, "it is no reason to hurry");
    });

    it("remembers what is over though its receipt has gone", async () => {
      const one = await agent();
      await put(one, "old", { createdAtMs: 1 });
      await (
        await leads(one)
      ).settle([
        {
          job: job("old", { createdAtMs: 1 }),
          receipt: sent(job("old", { createdAtMs: 1 })),
          retryInMs: null,
        },
      ]);
      for (let n = 0; n < 1_000; n++)
        await one.receipts.put(sent(job(`r${n}`, { createdAtMs: 2 + n })));
      assert.equal((await one.receipts.find("ops", ["old"])).length, 0);
      assert.deepEqual(await one.outbox.look(queue, ["old"]), new Map([["old", "over"]]));
      assert.equal(await put(one, "old"), "over");
    });

    it("gives jobs out in the order they came, whatever is to be tried again when", async () => {
      const one = await agent();
      for (const id of ["first", "second"]) await put(one, id);
      const lead = await leads(one);
      const tried = job("first", { attempts: 1 });
      await lead.settle([{ job: tried, receipt: pending(tried), retryInMs: 60_000 }]);
      await put(one, "third");
      assert.deepEqual(await ids(lead), ["first", "second", "third"]);
      assert.deepEqual(
        (await lead.waiting(2)).map(({ job: { id } }) => id),
        ["first", "second"],
      );
    });

    it("is not held up by a lead from before the server's clock was set back", async () => {
      const one = await agent();
      await put(one, "a");
      const { lead } = createKeys(`t${used}`).queue(queue);
      await one.connection.run([
        ["hset", lead, "holder", "dead", "fence", 7, "until", Date.now() + 3_600_000],
      ]);
      const told = await one.outbox.lead(queue);
      assert.ok("waitMs" in told && (told.waitMs ?? 0) <= 300 && told.isLed === true);
    });

    it("does not wait for a time from before the server's clock was set back", async () => {
      const one = await agent();
      await put(one, "a");
      const { waiting } = createKeys(`t${used}`).queue(queue);
      await one.connection.run([["zadd", waiting, Date.now() + 86_400_000, "a"]]);
      assert.deepEqual(await ids(await leads(one)), ["a"]);
    });

    it("lets no receipt of before replace the one that says that it is over", async () => {
      const one = await agent();
      await one.receipts.put(sent(job("a")));
      await one.receipts.put(pending(job("a")));
      assert.deepEqual(await one.receipts.list({ limit: 9 }), [sent(job("a"))]);
    });

    it("keeps nothing for ever", async () => {
      const one = await agent();
      await put(one, "a");
      await leads(one);
      const { waiting, jobs, lead } = createKeys(`t${used}`).queue(queue);
      for (const key of [waiting, jobs, lead]) {
        const [left] = await one.connection.run([
          ["eval", 'return redis.call("PTTL", KEYS[1])', 1, key],
        ]);
        assert.ok(Number(left) > 24 * 3_600_000 && Number(left) <= 25 * 3_600_000, key);
      }
    });
  });
