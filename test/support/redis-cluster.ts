import type { ChildProcess } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Cluster, Redis } from "ioredis";
import type { RedisSettings } from "../../src/store/redis/settings.ts";
import { eventually } from "./clock.ts";
import { endServer, freePort, launchServer, redisSettings } from "./redis.ts";
import { tlsArguments, type TlsPaths } from "./tls.ts";

const slotCount = 16_384;

export interface ClusterOptions {
  /** Three without it; slots are spread over them. */
  readonly masters?: number;
  /** Replicas of each master. */
  readonly replicas?: number;
  /** How long a node must be silent to be taken for dead. */
  readonly nodeTimeoutMs?: number;
  /** Further arguments of each server. */
  readonly args?: readonly string[];
  /** With TLS the plain port stays for the tests' own client. */
  readonly tls?: TlsPaths;
}

export interface ClusterServer {
  readonly port: number;
  /** The port that nodes speak to one another by. */
  readonly bus: number;
  readonly client: Redis;
  readonly id: string;
  freeze(): void;
  thaw(): void;
  kill(): Promise<void>;
}

/** A real Redis Cluster of a test, on loopback. */
export interface TestCluster {
  /** Masters first, in the order of their slots, then their replicas. */
  readonly servers: readonly ClusterServer[];
  /** Starts one more master, which has no slot yet. */
  join(): Promise<ClusterServer>;
  /** A client that follows the cluster, to look at what is there. */
  readonly client: Cluster;
  settings(changes?: Partial<RedisSettings>): RedisSettings;
  slotOf(key: string): Promise<number>;
  /** Who serves a slot. */
  ownerOf(slot: number): Promise<ClusterServer>;
  /**
   * Moves a slot with its keys as `redis-cli --cluster reshard` does: announced, key by key, handed over. `between` runs
   * after each key, while the slot is at two places.
   */
  moveSlot(slot: number, to: ClusterServer, between?: () => Promise<void>): Promise<void>;
  stop(): Promise<void>;
}

async function start(dir: string, options: ClusterOptions): Promise<ClusterServer> {
  const port = await freePort();
  const bus = await freePort();
  const { tls } = options;
  const secure = tls === undefined ? null : await freePort();
  const child: ChildProcess = await launchServer([
    ...`--port ${port} --bind 127.0.0.1 --save  --appendonly no --cluster-enabled yes`.split(" "),
    ...`--cluster-node-timeout ${options.nodeTimeoutMs ?? 1_000} --cluster-port ${bus}`.split(" "),
    "--cluster-config-file",
    `nodes-${port}.conf`,
    "--dir",
    dir,
    ...(tls === undefined
      ? []
      : ["--tls-port", String(secure), "--tls-cluster", "yes", ...tlsArguments(tls)]),
    ...(options.args ?? []),
  ]);
  const client = new Redis({ host: "127.0.0.1", port, protocol: 2, retryStrategy: () => 50 });
  client.on("error", () => {
    // Tests end servers on purpose; a command that fails says so itself.
  });
  const id = await client.cluster("MYID");
  return {
    port: secure ?? port,
    bus,
    client,
    id,
    freeze: () => child.kill("SIGSTOP"),
    thaw: () => child.kill("SIGCONT"),
    kill: async () => {
      client.disconnect();
      await endServer(child);
    },
  };
}

async function meetAll(servers: readonly ClusterServer[]): Promise<void> {
  const [first, ...others] = servers;
  for (const { port, bus } of others)
    await first!.client.call("CLUSTER", "MEET", "127.0.0.1", port, bus);
  await eventually("all know one another", async () => {
    const known = await Promise.all(servers.map(({ client }) => client.cluster("INFO")));
    return known.every((info) => info.includes(`cluster_known_nodes:${servers.length}`));
  });
}

async function share(servers: readonly ClusterServer[], masters: number): Promise<void> {
  for (let at = 0; at < masters; at++) {
    const from = Math.floor((slotCount * at) / masters);
    const to = Math.floor((slotCount * (at + 1)) / masters) - 1;
    await servers[at]!.client.call("CLUSTER", "ADDSLOTSRANGE", from, to);
  }
  for (let at = masters; at < servers.length; at++)
    await servers[at]!.client.call("CLUSTER", "REPLICATE", servers[at % masters]!.id);
  await eventually("the cluster is complete", async () => {
    const states = await Promise.all(servers.map(({ client }) => client.cluster("INFO")));
    const copies = await Promise.all(
      servers.slice(masters).map(({ client }) => client.info("replication")),
    );
    return (
      states.every((info) => info.includes("cluster_state:ok")) &&
      copies.every((info) => info.includes("master_link_status:up"))
    );
  });
}

/** Starts nodes of a Redis Cluster on loopback and joins them; `stop` it when the test is over. */
export async function startCluster(options: ClusterOptions = {}): Promise<TestCluster> {
  const { masters = 3, replicas = 0 } = options;
  const dir = await mkdtemp(join(tmpdir(), "targetvpc-cluster-"));
  const servers: ClusterServer[] = [];
  for (let at = 0; at < masters * (1 + replicas); at++) servers.push(await start(dir, options));
  await meetAll(servers);
  await share(servers, masters);
  const nodes = servers.map(({ port }) => ({ host: "127.0.0.1", port }));
  const plain = servers.map(({ client }) => ({ host: "127.0.0.1", port: client.options.port! }));
  const client = new Cluster(plain, { redisOptions: { protocol: 2 } });
  client.on("error", () => {
    // As above.
  });
  const ownerOf = async (slot: number): Promise<ClusterServer> => {
    const ranges = (await servers[0]!.client.cluster("SLOTS")) as unknown as [
      number,
      number,
      unknown[],
    ][];
    const range = ranges.find(([from, to]) => from <= slot && slot <= to);
    return servers.find(({ id }) => id === range?.[2][2])!;
  };
  return {
    servers,
    join: async () => {
      const another = await start(dir, options);
      servers.push(another);
      await meetAll(servers);
      await eventually("it knows who has which slot", async () =>
        (await another.client.cluster("INFO")).includes("cluster_state:ok"),
      );
      return another;
    },
    client,
    settings: (changes = {}) => redisSettings(1, { clusterNodes: nodes, ...changes }),
    slotOf: (key) => servers[0]!.client.cluster("KEYSLOT", key),
    ownerOf,
    moveSlot: async (slot, to, between) => {
      const from = await ownerOf(slot);
      if (from === to) return;
      await to.client.call("CLUSTER", "SETSLOT", slot, "IMPORTING", from.id);
      await from.client.call("CLUSTER", "SETSLOT", slot, "MIGRATING", to.id);
      for (;;) {
        const keys = await from.client.cluster("GETKEYSINSLOT", slot, 1);
        if (keys.length === 0) break;
        await between?.();
        const target = ["127.0.0.1", to.port, "", 0, 5_000, "KEYS", ...keys];
        await from.client.call("MIGRATE", ...target);
        await between?.();
      }
      await to.client.call("CLUSTER", "SETSLOT", slot, "NODE", to.id);
      await from.client.call("CLUSTER", "SETSLOT", slot, "NODE", to.id);
      for (const { client: other } of servers)
        if (other !== to.client && other !== from.client)
          await other.call("CLUSTER", "SETSLOT", slot, "NODE", to.id);
    },
    stop: async () => {
      client.disconnect();
      for (const server of servers) server.thaw();
      await Promise.all(servers.map((server) => server.kill()));
      await rm(dir, { recursive: true, force: true });
    },
  };
}
