import { Redis } from "ioredis";
import { systemClock } from "../../base/clock.ts";
import { errorText } from "../../core/errors.ts";
import { commonOptions, drop, retryMs } from "./options.ts";
import { addressText, type RedisAccess, type RedisAddress } from "./settings.ts";

/** A node without slots of use, not asked for so long, is left. */
const idleMs = 60_000;

export interface ClusterNode {
  readonly address: RedisAddress;
  readonly client: Redis;
  /** Why it could not be connected to last. */
  lastError: string | null;
  usedMs: number;
}

export interface NodesDeps {
  readonly access: RedisAccess;
  /** Whether a node is still needed although nobody has asked it for a while. */
  readonly isMaster: (address: RedisAddress) => boolean;
  readonly connected: (node: ClusterNode) => void;
  readonly lost: () => void;
}

/** Connections to nodes of a cluster, made when they are needed. */
export class ClusterNodes {
  readonly #deps: NodesDeps;
  readonly #nodes = new Map<string, ClusterNode>();
  #closed = false;

  constructor(deps: NodesDeps) {
    this.#deps = deps;
  }

  /** The node at an address; what is sent to it waits until it is connected, or fails when that fails. */
  at(address: RedisAddress): ClusterNode {
    const key = addressText(address);
    const node = this.#nodes.get(key) ?? this.#open(key, address);
    node.usedMs = systemClock.monotonic();
    return node;
  }

  close(): void {
    this.#closed = true;
    for (const { client } of this.#nodes.values()) drop(client);
  }

  /** Leaves the nodes that are of no use any more. */
  tidy(): void {
    for (const node of this.#nodes.values()) if (!this.#isWanted(node)) node.client.disconnect();
  }

  #isWanted({ address, usedMs }: ClusterNode): boolean {
    if (this.#closed) return false;
    return this.#deps.isMaster(address) || systemClock.monotonic() - usedMs < idleMs;
  }

  #open(key: string, address: RedisAddress): ClusterNode {
    const client = new Redis({
      ...commonOptions(this.#deps.access),
      host: address.host,
      port: address.port,
      lazyConnect: true,
      retryStrategy: (attempt) => (this.#isWanted(node) ? retryMs(attempt) : null),
    });
    const node: ClusterNode = { address, client, lastError: null, usedMs: 0 };
    this.#nodes.set(key, node);
    client.on("error", (cause: unknown) => (node.lastError = errorText(cause)));
    client.on("ready", () => {
      node.lastError = null;
      this.#deps.connected(node);
    });
    client.on("close", () => {
      if (!this.#closed) this.#deps.lost();
    });
    client.on("end", () => {
      if (this.#nodes.get(key) === node) this.#nodes.delete(key);
    });
    return node;
  }
}
