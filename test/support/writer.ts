/**
 * A process that writes ticks as fast as it can, for tests that kill it: `node writer.ts PORT PREFIX`. Each line on its
 * input is the tick to begin with; each tick that is written is a line on its output.
 */
import { once } from "node:events";
import { createInterface } from "node:readline";
import { createRedisBackend } from "../../src/store/redis/index.ts";
import { eventually, ManualClock } from "./clock.ts";
import { recordLog } from "./log.ts";
import { redisSettings } from "./redis.ts";
import { seriesStore, tickRow, tickStartMs, tickStepMs } from "./store.ts";

const [port, prefix = ""] = process.argv.slice(2);
const [line] = (await once(createInterface(process.stdin), "line")) as [string];
const clock = new ManualClock(tickStartMs + Number(line) * tickStepMs);
const backend = createRedisBackend(redisSettings(Number(port), { prefix }), {
  clock,
  log: recordLog().log,
  retentionDays: () => 7,
});
backend.start();
await eventually("redis is connected", () => backend.status().status === "ok");
const store = seriesStore(backend, clock);
for (let tick = Number(line); ; tick++) {
  store.append(tickRow(tick));
  await store.flush();
  if (store.counters().dirtyBlocks === 0) process.stdout.write(`${tick}\n`);
  await clock.advance(tickStepMs);
}
