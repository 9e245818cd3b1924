import type { ChildProcess } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import type { RedisSettings } from "../../src/store/redis/settings.ts";
import { eventually } from "./clock.ts";
import {
  endServer,
  freePort,
  launchServer,
  redisSettings,
  startRedis,
  type TestRedis,
} from "./redis.ts";
import { readTls, tlsArguments, type TlsPaths } from "./tls.ts";

export interface SentinelOptions {
  /** One without it. */
  readonly sentinels?: number;
  /** How long a master must be silent to be taken for dead. */
  readonly downAfterMs?: number;
  /** Of the Sentinels themselves. */
  readonly sentinelPassword?: string;
  /** Further arguments of both servers. */
  readonly args?: readonly string[];
  /** All speak TLS only to one another and to agents; the servers' plain ports stay for the tests' own clients. */
  readonly tls?: TlsPaths;
}

/** A master with a replica, and Sentinels that watch both. */
export interface TestSentinels {
  readonly name: string;
  readonly master: TestRedis;
  readonly replica: TestRedis;
  readonly ports: readonly number[];
  settings(changes?: Partial<RedisSettings>): RedisSettings;
  /** The replica is where the master is now. */
  inSync(): Promise<void>;
  /** Waits until the replica has become the master. */
  promoted(): Promise<void>;
  stop(): Promise<void>;
}

async function startSentinel(
  dir: string,
  masterPort: number,
  options: SentinelOptions,
): Promise<{ port: number; child: ChildProcess }> {
  const port = await freePort();
  const { sentinels = 1, downAfterMs = 500, sentinelPassword, tls } = options;
  const file = join(dir, `sentinel-${port}.conf`);
  const lines = [
    ...(tls === undefined ? [`port ${port}`] : ["port 0", `tls-port ${port}`]),
    ...(tls === undefined ? [] : ["tls-replication yes", ...tlsLines(tls)]),
    "bind 127.0.0.1",
    `dir ${dir}`,
    ...(sentinelPassword === undefined ? [] : [`requirepass ${sentinelPassword}`]),
    ...(sentinelPassword === undefined ? [] : [`sentinel sentinel-pass ${sentinelPassword}`]),
    `sentinel monitor mymaster 127.0.0.1 ${masterPort} ${Math.floor(sentinels / 2) + 1}`,
    `sentinel down-after-milliseconds mymaster ${downAfterMs}`,
    "sentinel failover-timeout mymaster 3000",
  ];
  await writeFile(file, lines.join("\n"));
  return { port, child: await launchServer([file, "--sentinel"]) };
}

function tlsLines(tls: TlsPaths): string[] {
  const words = tlsArguments(tls);
  return [0, 2, 4].map((at) => `${words[at]!.slice(2)} ${words[at + 1]}`);
}

/** Starts a master, a replica and Sentinels on loopback; `stop` it when the test is over. */
export async function startSentinels(options: SentinelOptions = {}): Promise<TestSentinels> {
  const dir = await mkdtemp(join(tmpdir(), "targetvpc-sentinel-"));
  const { tls, args = [] } = options;
  const secure = async (): Promise<{ port: number | null; args: string[] }> => {
    if (tls === undefined) return { port: null, args: [...args] };
    const port = await freePort();
    const own = ["--tls-port", String(port), "--tls-replication", "yes", ...tlsArguments(tls)];
    return { port, args: [...args, ...own] };
  };
  const first = await secure();
  const master = await startRedis({ args: first.args });
  const watched = first.port ?? master.port;
  const copies = ["--replicaof", "127.0.0.1", String(watched), "--repl-diskless-sync-delay", "0"];
  const replica = await startRedis({ args: [...(await secure()).args, ...copies] });
  const sentinels: Awaited<ReturnType<typeof startSentinel>>[] = [];
  for (let at = 0; at < (options.sentinels ?? 1); at++)
    sentinels.push(await startSentinel(dir, watched, options));
  const ports = sentinels.map(({ port }) => port);
  const offset = (info: string): string | undefined => /master_repl_offset:(\d+)/.exec(info)?.[1];
  const inSync = (): Promise<void> =>
    eventually("the replica is in sync", async () => {
      const [own, copy] = [
        await master.client.info("replication"),
        await replica.client.info("replication"),
      ];
      return copy.includes("master_link_status:up") && offset(own) === offset(copy);
    });
  await inSync();
  for (const { port } of sentinels) {
    const client = new Redis({
      host: "127.0.0.1",
      port,
      protocol: 2,
      ...(options.sentinelPassword === undefined ? {} : { password: options.sentinelPassword }),
      ...(tls === undefined ? {} : { tls: { rejectUnauthorized: false, ...readTls(tls) } }),
    });
    try {
      await eventually(
        "the Sentinels know the replica",
        async () => {
          const found = (await client.call("SENTINEL", "REPLICAS", "mymaster")) as unknown[];
          return found.length > 0;
        },
        20_000,
      );
    } finally {
      client.disconnect();
    }
  }
  return {
    name: "mymaster",
    master,
    replica,
    ports,
    settings: (changes = {}) =>
      redisSettings(1, {
        sentinels: ports.map((port) => ({ host: "127.0.0.1", port })),
        sentinelName: "mymaster",
        ...changes,
      }),
    inSync,
    promoted: () =>
      eventually(
        "the replica is the master",
        async () => (await replica.client.info("replication")).includes("role:master"),
        20_000,
      ),
    stop: async () => {
      await Promise.all(sentinels.map(({ child }) => endServer(child)));
      await Promise.all([master.stop(), replica.stop()]);
      await rm(dir, { recursive: true, force: true });
    },
  };
}
