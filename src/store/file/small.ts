import * as v from "valibot";
import { type NodeInfo, nodeId } from "../../core/node.ts";
import type { Clock } from "../../core/ports.ts";
import type { Backend } from "../contract.ts";
import type { JsonReader } from "../garbled.ts";
import { dayMs } from "../slots.ts";
import type { Gate } from "./gate.ts";
import type { RecordLog } from "./log.ts";

export interface SmallDeps {
  readonly clock: Clock;
  readonly gate: Gate;
  /** The log of everything but the days. */
  readonly use: <T>(work: (log: RecordLog) => Promise<T>) => Promise<T>;
  readonly readJson: JsonReader;
  readonly retentionDays: () => number;
}

const infoSchema = v.object({
  cluster: v.string(),
  name: v.string(),
  ip: v.string(),
  version: v.string(),
  lastSeenMs: v.number(),
});

/** A key of some parts, the first of which say what it is of. */
export function smallKey(...parts: readonly (string | number)[]): string {
  return JSON.stringify(parts);
}

/** The keys that begin with some parts. */
export function keysBelow(keys: readonly string[], ...parts: readonly string[]): readonly string[] {
  const start = `${JSON.stringify(parts).slice(0, -1)},`;
  return keys.filter((key) => key.startsWith(start));
}

/** The parts of a key, which only this agent has written. */
export function partsOf(key: string): readonly unknown[] {
  const parts: unknown = JSON.parse(key);
  return Array.isArray(parts) ? parts : [];
}

/** The values of some keys that have one. */
export async function valuesOf(
  log: RecordLog,
  keys: readonly string[],
): Promise<readonly (readonly [key: string, value: string])[]> {
  const values = await log.read(keys);
  return keys.flatMap((key, index) => {
    const value = values[index] ?? null;
    return value === null ? [] : [[key, value.toString()] as const];
  });
}

function createStates({ gate, use }: SmallDeps): Backend["states"] {
  return (node) => ({
    load: () =>
      gate.read(() =>
        use(async (log) => {
          const found = await valuesOf(log, keysBelow(await log.keys(), "state", node));
          return new Map(found.map(([key, value]) => [String(partsOf(key)[2]), value]));
        }),
      ),
    save: (changes) =>
      gate.write("small", () =>
        use((log) =>
          log.write(
            new Map(
              [...changes].map(([name, value]) => [
                smallKey("state", node, name),
                value === null ? null : Buffer.from(value),
              ]),
            ),
          ),
        ),
      ),
  });
}

function createNodes(deps: SmallDeps): Pick<Backend, "heartbeat" | "nodes"> {
  const { gate, use, clock, readJson, retentionDays } = deps;
  const known = async (log: RecordLog): Promise<readonly NodeInfo[]> => {
    const found = await valuesOf(log, keysBelow(await log.keys(), "node"));
    return found.flatMap(([, text]) => readJson(infoSchema, text, "node") ?? []);
  };
  const isDead = ({ lastSeenMs }: NodeInfo): boolean =>
    lastSeenMs < clock.now() - retentionDays() * dayMs;
  return {
    heartbeat: ({ cluster, name, ip, version, lastSeenMs }) =>
      gate.write("small", () =>
        use(async (log) => {
          const id = nodeId({ cluster, name });
          const json = JSON.stringify({ cluster, name, ip, version, lastSeenMs });
          const changes = new Map<string, Buffer | null>();
          const keys = await log.keys();
          for (const dead of (await known(log)).filter(isDead).map(nodeId)) {
            changes.set(smallKey("node", dead), null);
            for (const kind of ["state", "document"])
              for (const key of keysBelow(keys, kind, dead)) changes.set(key, null);
          }
          changes.set(smallKey("node", id), Buffer.from(json));
          await log.write(changes);
        }),
      ),
    nodes: () =>
      gate.read(() => use(async (log) => (await known(log)).filter((info) => !isDead(info)))),
  };
}

type Small = Pick<Backend, "states" | "heartbeat" | "nodes" | "putDocument" | "getDocument">;

/** Alert states, small documents, and who lives. */
export function createFileSmall(deps: SmallDeps): Small {
  const { gate, use } = deps;
  return {
    states: createStates(deps),
    ...createNodes(deps),
    putDocument: (node, kind, json) =>
      gate.write("small", () =>
        use((log) => log.write(new Map([[smallKey("document", node, kind), Buffer.from(json)]]))),
      ),
    getDocument: (node, kind) =>
      gate.read(() =>
        use(async (log) => {
          const [found = null] = await log.read([smallKey("document", node, kind)]);
          return found?.toString() ?? null;
        }),
      ),
  };
}
