import { createStatus } from "../../base/status.ts";
import type { NodeInfo } from "../../core/node.ts";
import { nodeId } from "../../core/node.ts";
import type { Clock } from "../../core/ports.ts";
import { rowsName, type Backend, type DayPart, type DayStore } from "../contract.ts";
import type { BackendPlugin } from "../plugin.ts";
import { receiptsPerChannel } from "../receipt.ts";
import { dayMs } from "../slots.ts";
import { createMemoryAcknowledgements, createMemoryKeys } from "./links.ts";
import { createMemoryMeter } from "./meter.ts";
import { createMemoryReceipts } from "./receipts.ts";
import { createMemoryHistory } from "./history.ts";
import { createMemorySilences } from "./silences.ts";

/** The default of `metrics.retention_days`. */
const defaultRetentionDays = 7;

/** A part of a day of a node. */
interface Part {
  readonly values: Map<string, Uint8Array>;
  readonly schemas: Map<number, string>;
  /** Unix milliseconds. */
  expiresAtMs: number;
}

/** What is kept of the days of every node, dropped when it expires. */
function createDays(clock: Clock) {
  const parts = new Map<string, Part>();
  const placeOf = (node: string, day: number, part: DayPart): string => `${part} ${day} ${node}`;
  const drop = (): void => {
    for (const [place, { expiresAtMs }] of parts)
      if (expiresAtMs <= clock.now()) parts.delete(place);
  };
  return {
    get: (node: string, day: number, part: DayPart): Part | undefined => {
      drop();
      return parts.get(placeOf(node, day, part));
    },
    open: (node: string, day: number, part: DayPart, expireAt: number): Part => {
      const place = placeOf(node, day, part);
      const found = parts.get(place) ?? { values: new Map(), schemas: new Map(), expiresAtMs: 0 };
      parts.set(place, found);
      found.expiresAtMs = expireAt * 1_000;
      return found;
    },
  };
}

type Days = ReturnType<typeof createDays>;

function sameBytes(a: Uint8Array | null, b: Uint8Array | null): boolean {
  return a === null || b === null ? a === b : Buffer.compare(a, b) === 0;
}

function createCompact(days: Days): Backend["compact"] {
  return async (node, day, { blocks, rows, columns, expireAt }) => {
    const from = days.get(node, day, "blocks")?.values;
    const known = days.get(node, day, "columns")?.values.get(rowsName) ?? null;
    const isAsRead = [...blocks].every(([name, blob]) => sameBytes(from?.get(name) ?? null, blob));
    if (!isAsRead || !sameBytes(known, rows)) return false;
    const into = days.open(node, day, "columns", expireAt).values;
    for (const [name, column] of columns) into.set(name, column);
    for (const name of blocks.keys()) from?.delete(name);
    return true;
  };
}

function createSeries(clock: Clock): DayStore {
  const days = createDays(clock);
  return {
    read: async (node, wanted) =>
      wanted.map(({ part, day, names }) => {
        const values = days.get(node, day, part)?.values;
        return names.map((name) => values?.get(name) ?? null);
      }),
    names: async (node, day, part) => [...(days.get(node, day, part)?.values.keys() ?? [])],
    writeBlocks: async (node, writes, expireAt) => {
      for (const { day, block, blob } of writes)
        days.open(node, day, "blocks", expireAt(day)).values.set(block, blob);
    },
    writeTier: async (node, day, values, expireAt) => {
      const tier = days.open(node, day, "tier", expireAt).values;
      for (const [name, value] of values) tier.set(name, value);
    },
    compact: createCompact(days),
    expireDays: async (node, part, list, expireAt) => {
      for (const day of list)
        for (const one of part === "tier" ? [part] : [part, "columns" as const]) {
          const found = days.get(node, day, one);
          if (found !== undefined) found.expiresAtMs = expireAt(day) * 1_000;
        }
    },
    readSchemas: async (node, day) => new Map(days.get(node, day, "blocks")?.schemas),
    addSchema: async (node, day, { number, json, expireAt }) => {
      const { schemas } = days.open(node, day, "blocks", expireAt);
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
    silences: createMemorySilences(clock),
    history: createMemoryHistory(clock),
    acknowledgements: createMemoryAcknowledgements(clock),
    signingKeys: createMemoryKeys(),
    outbox: null,
    meter: createMemoryMeter(clock),
  };
}

export const memory = {
  name: "memory",
  doc: "In the memory of the agent: nothing is shared, nothing survives a restart",
  create: (_settings, deps) => createMemoryBackend(deps),
} as const satisfies BackendPlugin;
