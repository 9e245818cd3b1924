/**
 * A process that takes care of the closed days of a node, for tests that kill it: `node compactor.ts PORT PREFIX NOW`.
 * It says `begun` before it begins, and `done` when no blocks of a day before NOW (Unix milliseconds) are left.
 */
import { createRedisBackend } from "../../src/store/redis/index.ts";
import { dayOf } from "../../src/store/slots.ts";
import { eventually, ManualClock } from "./clock.ts";
import { recordLog } from "./log.ts";
import { redisSettings } from "./redis.ts";
import { seriesStore } from "./store.ts";

const [port, prefix = "", now] = process.argv.slice(2);
const node = "prod/node-1";
const clock = new ManualClock(Number(now));
const backend = createRedisBackend(redisSettings(Number(port), { prefix }), {
  clock,
  log: recordLog().log,
  retentionDays: () => 7,
});
backend.start();
await eventually("redis is connected", () => backend.status().status === "ok");
const store = seriesStore(backend, clock);
process.stdout.write("begun\n");
const day = dayOf(Number(now)) - 1;
while ((await backend.names(node, day, "blocks")).length > 0) {
  await clock.advance(900_000);
  await store.keep();
}
process.stdout.write("done\n");
await backend.stop();
