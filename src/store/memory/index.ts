import { createStatus } from "../../base/status.ts";
import type { NodeInfo } from "../../core/node.ts";
import { nodeId } from "../../core/node.ts";
import type { Clock } from "../../core/ports.ts";
import type { Backend } from "../contract.ts";
import type { BackendPlugin } from "../plugin.ts";
import { dayMs } from "../slots.ts";
import { createMemoryOutbox } from "./outbox.ts";
import { createMemoryReceipts } from "./receipts.ts";

/** As many receipts of a channel as are kept in Redis. */
const receiptsPerChannel = 1_000;

/** The default of `metrics.retention_days`. */
const defaultRetentionDays = 7;

/** A day of a node. */
interface Day {
  readonly blocks: Map<number, Uint8Array>;
  readonly schemas: Map<number, string>;
  /** Unix milliseconds. */
  expiresAtMs: number;
}

/** The blocks and schemas of every node, dropped when they expire. */
function createDays(clock: Clock) {
  const days = new Map<string, Day>();
  const placeOf = (node: string, day: number): string => `${node} ${day}`;
  const drop = (): void => {
    for (const [place, { expiresAtMs }] of days) if (expiresAtMs <= clock.now()) days.delete(place);
  };
  return {
    get: (node: string, day: number): Day | undefined => {
      drop();
      return days.get(placeOf(node, day));
    },
    open: (node: string, day: number, expireAt: number): Day => {
      const place = placeOf(node, day);
      const found = days.get(place) ?? { blocks: new Map(), schemas: new Map(), expiresAtMs: 0 };
      days.set(place, found);
      found.expiresAtMs = expireAt * 1_000;
      return found;
    },
  };
}

type Series = Pick<
  Backend,
  "readBlocks" | "writeBlocks" | "expireDays" | "readSchemas" | "addSchema"
>;

function createSeries(clock: Clock): Series {
  const days = createDays(clock);
  return {
    readBlocks: async (node, day, blocks) => {
      const found = days.get(node, day);
      return blocks.map((block) => found?.blocks.get(block) ?? null);
    },
    writeBlocks: async (node, writes, expireAt) => {
      for (const { day, block, blob } of writes)
        days.open(node, day, expireAt(day)).blocks.set(block, blob);
    },
    expireDays: async (node, list, expireAt) => {
      for (const day of list) {
        const found = days.get(node, day);
        if (found !== undefined) found.expiresAtMs = expireAt(day) * 1_000;
      }
    },
    readSchemas: async (node, day) => new Map(days.get(node, day)?.schemas),
    addSchema: async (node, day, { number, json, expireAt }) => {
      const { schemas } = days.open(node, day, expireAt);
      if (schemas.has(number)) return false;
      schemas.set(number, json);
      return true;
    },
  };
}

type Small = Pick<Backend, "states" | "heartbeat" | "nodes" | "putDocument" | "getDocument">;

function createSmall(clock: Clock, retentionDays: () => number): Small {
  const states = new Map<string, Map<string, string>>();
  const nodes = new Map<string, NodeInfo>();
  const documents = new Map<string, string>();
  return {
    states: (node) => ({
      load: async () => new Map(states.get(node)),
      save: async (changes) => {
        const kept = states.get(node) ?? new Map<string, string>();
        states.set(node, kept);
        for (const [key, value] of changes)
          if (value === null) kept.delete(key);
          else kept.set(key, value);
      },
    }),
    heartbeat: async (info) => {
      nodes.set(nodeId(info), info);
    },
    nodes: async () => {
      const oldestMs = clock.now() - retentionDays() * dayMs;
      for (const [node, { lastSeenMs }] of nodes) if (lastSeenMs < oldestMs) nodes.delete(node);
      return [...nodes.values()];
    },
    putDocument: async (node, kind, json) => {
      documents.set(JSON.stringify([node, kind]), json);
    },
    getDocument: async (node, kind) => documents.get(JSON.stringify([node, kind])) ?? null,
  };
}

/** A backend in the memory of this agent: it knows only this node, and forgets with the process. */
export function createMemoryBackend({
  clock,
  retentionDays = () => defaultRetentionDays,
}: {
  readonly clock: Clock;
  readonly retentionDays?: () => number;
}): Backend {
  const status = createStatus(clock, "ok");
  return {
    name: "memory",
    start: () => {},
    stop: async () => {},
    status: () => status.current,
    epoch: () => 1,
    ...createSeries(clock),
    ...createSmall(clock, retentionDays),
    receipts: createMemoryReceipts({ perChannel: receiptsPerChannel }),
    outbox: createMemoryOutbox(),
  };
}

export const memory = {
  name: "memory",
  doc: "In the memory of the agent: nothing is shared, nothing survives a restart",
  create: (_settings, deps) => createMemoryBackend(deps),
} as const satisfies BackendPlugin;
