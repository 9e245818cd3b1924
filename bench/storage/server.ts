import { readFile } from "node:fs/promises";
import { systemClock } from "../../src/base/clock.ts";
import { errorText } from "../../src/core/errors.ts";
import { startRedis, type RedisOptions, type TestRedis } from "../../test/support/redis.ts";

/** What a Redis has done since it was started. */
export interface ServerCounters {
  /** Commands, those of the benchmark's own looking left out. */
  readonly commands: number;
  /** Time inside commands. */
  readonly commandUs: number;
  readonly receivedBytes: number;
  /** CPU of the process by its own account. */
  readonly cpuUs: number;
}

/** A real Redis that is measured. */
export interface Server {
  readonly redis: TestRedis;
  readonly version: string;
  counters(): Promise<ServerCounters>;
  /** Memory of what is stored, with all its overhead, without that of connections and scripts. */
  storedBytes(): Promise<number>;
  /** CPU of the process by /proc, a hundredth of a second exact. */
  cpuSeconds(): Promise<number>;
  empty(): Promise<void>;
  stop(): Promise<void>;
}

/** Commands of the benchmark itself, and what clients say when they connect. */
const looking = new Set([
  "info",
  "config|set",
  "memory|usage",
  "dbsize",
  "flushall",
  "select",
  "auth",
]);

/** A server looks at the buffers of its clients once a second, and makes them small again after two idle ones. */
const settleMs = 3_500;

/** The kernel counts CPU in hundredths of a second. */
const ticksASecond = 100;

function fieldsOf(info: string): ReadonlyMap<string, string> {
  return new Map(
    info.split("\r\n").flatMap((line) => {
      const colon = line.indexOf(":");
      return colon < 0 ? [] : [[line.slice(0, colon), line.slice(colon + 1)] as const];
    }),
  );
}

function numberIn(fields: ReadonlyMap<string, string>, name: string): number {
  return Number(fields.get(name) ?? 0);
}

function countersOf(fields: ReadonlyMap<string, string>): ServerCounters {
  let [commands, commandUs] = [0, 0];
  for (const [name, text] of fields) {
    if (!name.startsWith("cmdstat_") || looking.has(name.slice("cmdstat_".length))) continue;
    commands += Number(/calls=(\d+)/.exec(text)?.[1] ?? 0);
    commandUs += Number(/usec=(\d+)/.exec(text)?.[1] ?? 0);
  }
  const cpuSeconds = numberIn(fields, "used_cpu_sys") + numberIn(fields, "used_cpu_user");
  return {
    commands,
    commandUs,
    receivedBytes: numberIn(fields, "total_net_input_bytes"),
    cpuUs: cpuSeconds * 1e6,
  };
}

/** CPU seconds of a process by its counters in /proc. */
export async function processCpuSeconds(pid: number): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, "utf8")).split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) / ticksASecond;
}

/** Since 7.0 each command has a histogram of 20 kB from its first call on, which would count as what is stored. */
async function forgetLatencies({ client }: TestRedis): Promise<void> {
  await client.config("SET", "latency-tracking", "no").catch((cause: unknown) => {
    if (!errorText(cause).includes("nknown option") && !errorText(cause).includes("Unsupported"))
      throw cause;
  });
}

/** Starts a Redis of its own. */
export async function startServer(options: RedisOptions = {}): Promise<Server> {
  const redis = await startRedis(options);
  const info = async (): Promise<ReadonlyMap<string, string>> =>
    fieldsOf(await redis.client.info("everything"));
  await redis.client.connect();
  await forgetLatencies(redis);
  const first = await info();
  return {
    redis,
    version: first.get("redis_version") ?? "?",
    counters: async () => countersOf(await info()),
    storedBytes: async () => {
      await systemClock.sleep(settleMs);
      const fields = await info();
      return (
        numberIn(fields, "used_memory") -
        numberIn(fields, "mem_clients_normal") -
        numberIn(fields, "used_memory_scripts")
      );
    },
    cpuSeconds: () => processCpuSeconds(numberIn(first, "process_id")),
    empty: async () => {
      await redis.client.flushall();
    },
    stop: () => redis.stop(),
  };
}
