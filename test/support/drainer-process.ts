/** One agent that does nothing but lead a queue: for tests that kill it. Prints a line with each message it sends. */
import { systemClock } from "../../src/base/clock.ts";
import { createRedactor } from "../../src/base/secret.ts";
import type { Channel } from "../../src/core/delivery.ts";
import { Drainer } from "../../src/notify/drainer.ts";
import { emptyTally } from "../../src/notify/ledger.ts";
import { createMemoryMeter } from "../../src/store/memory/meter.ts";
import { openOutbox } from "./outbox.ts";
import { redisSettings } from "./redis.ts";
import { openQueues } from "./redis-outbox.ts";
import { recordLog } from "./log.ts";

const [port = "", url = "", leadMs = "300"] = process.argv.slice(2);

const { outbox: shared, receipts } = await openQueues(redisSettings(Number(port)), {
  leadMs: Number(leadMs),
  graceMs: 0,
});
const { log } = recordLog();
const channel: Channel = {
  send: async (message, signal) => {
    process.stdout.write(`${message.id}\n`);
    const answer = await fetch(url, { method: "POST", body: message.id, signal });
    return { outcome: "sent", code: String(answer.status) };
  },
  close: async () => {},
};
const drainer = new Drainer(
  {
    name: "ops",
    type: "test",
    channel,
    queue: { channel: "ops", robot: "test:1", isOwn: false },
    limits: [],
    tally: emptyTally(),
  },
  {
    outbox: openOutbox({ clock: systemClock, log, receipts, shared }),
    receipts,
    meter: createMemoryMeter(systemClock),
    clock: systemClock,
    log,
    redactor: createRedactor(),
    random: Math.random,
  },
  Promise.resolve(),
);
// Whoever sends nothing of its own looks only now and then; here it is to take over at once.
setInterval(() => drainer.wake(), 20);
