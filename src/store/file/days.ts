import {
  type Backend,
  type DayFields,
  type DayPart,
  type DayValues,
  rowsName,
} from "../contract.ts";
import {
  createDayLogs,
  type DayFile,
  type DayLogs,
  type DayLogsDeps,
  expiryKey,
  type Of,
} from "./day-logs.ts";
import type { Gate } from "./gate.ts";
import type { RecordLog } from "./log.ts";

export interface DaysDeps extends DayLogsDeps {
  readonly gate: Gate;
}

const fileOf: Readonly<Record<DayPart, DayFile>> = {
  blocks: "blocks",
  columns: "blocks",
  tier: "tier",
};

/** What the keys in the files begin with. */
const prefixes: Readonly<Record<DayPart | "schemas", string>> = {
  blocks: "b:",
  columns: "k:",
  tier: "d:",
  schemas: "s:",
};

const text = (value: string): Buffer => Buffer.from(value);

type Pair = readonly [key: string, value: Uint8Array];

function named(part: DayPart, values: ReadonlyMap<string, Uint8Array>): readonly Pair[] {
  return [...values].map(([name, value]) => [prefixes[part] + name, value]);
}

function expiry(at: number): Pair {
  return [expiryKey, text(String(at))];
}

/** The names that have a value, of one kind. */
async function namesOf(log: RecordLog, kind: DayPart | "schemas"): Promise<readonly string[]> {
  const prefix = prefixes[kind];
  return (await log.keys())
    .filter((key) => key.startsWith(prefix))
    .map((key) => key.slice(prefix.length));
}

function createSchemas({ gate }: DaysDeps, logs: DayLogs) {
  const keyOf = (number: number): string => `${prefixes.schemas}${number}`;
  const schemas: Pick<Backend, "readSchemas" | "addSchema"> = {
    readSchemas: (node, day) =>
      gate.read(() =>
        logs.read({ node, day, file: "blocks" }, new Map<number, string>(), async (log) => {
          const numbers = (await namesOf(log, "schemas")).map(Number);
          const values = await log.read(numbers.map(keyOf));
          return new Map(
            numbers.flatMap((number, index) => {
              const value = values[index] ?? null;
              return value === null ? [] : [[number, value.toString()]];
            }),
          );
        }),
      ),
    addSchema: (node, day, { number, json, expireAt }) =>
      gate.write("days", () =>
        logs.write({ node, day, file: "blocks" }, (log) =>
          log.swap({
            expected: new Map([[keyOf(number), null]]),
            puts: new Map([[keyOf(number), text(json)], expiry(expireAt)]),
          }),
        ),
      ),
  };
  return schemas;
}

function createCompact({ gate }: DaysDeps, logs: DayLogs): Backend["compact"] {
  return (node, day, { blocks, rows, columns, expireAt }) => {
    const expected = new Map<string, Uint8Array | null>(named("blocks", blocks));
    expected.set(prefixes.columns + rowsName, rows);
    const puts = new Map([...named("columns", columns), expiry(expireAt)]);
    return gate.write("days", () =>
      logs.write({ node, day, file: "blocks" }, (log) => log.swap({ expected, puts })),
    );
  };
}

type Writes = Pick<Backend, "writeBlocks" | "writeTier" | "expireDays">;

function createWrites({ gate }: DaysDeps, logs: DayLogs): Writes {
  const write = (of: Of, values: readonly Pair[], expireAt: number): Promise<void> =>
    logs.write(of, (log) => log.write(new Map([...values, expiry(expireAt)])));
  return {
    writeBlocks: (node, writes, expireAt) =>
      gate.write("days", async () => {
        for (const [day, ofDay] of Map.groupBy(writes, ({ day }) => day)) {
          const blobs = ofDay.map(({ block, blob }): Pair => [prefixes.blocks + block, blob]);
          await write({ node, day, file: "blocks" }, blobs, expireAt(day));
        }
      }),
    writeTier: (node, day, values, expireAt) =>
      gate.write("days", async () => {
        if (values.size > 0)
          await write({ node, day, file: "tier" }, named("tier", values), expireAt);
      }),
    expireDays: (node, part, list, expireAt) =>
      gate.write("days", async () => {
        for (const day of list)
          await logs.write({ node, day, file: part }, async (log) => {
            if ((await log.keys()).length > 0) await log.write(new Map([expiry(expireAt(day))]));
          });
      }),
  };
}

type Days = Pick<Backend, "read" | "names" | "compact" | "readSchemas" | "addSchema"> & Writes;

/** What is kept of the days of every node, and how that of the past is taken away. */
export function createFileDays(deps: DaysDeps): { days: Days; sweep: () => Promise<void> } {
  const { gate } = deps;
  const logs = createDayLogs(deps);
  const read = (node: string, { part, day, names }: DayFields): Promise<DayValues> =>
    logs.read<DayValues>(
      { node, day, file: fileOf[part] },
      names.map(() => null),
      (log) => log.read(names.map((name) => prefixes[part] + name)),
    );
  const days: Days = {
    read: (node, wanted) =>
      gate.read(async () => {
        const found: DayValues[] = [];
        for (const one of wanted) found.push(await read(node, one));
        return found;
      }),
    names: (node, day, part) =>
      gate.read(() =>
        logs.read({ node, day, file: fileOf[part] }, [], (log) => namesOf(log, part)),
      ),
    compact: createCompact(deps, logs),
    ...createWrites(deps, logs),
    ...createSchemas(deps, logs),
  };
  return { days, sweep: logs.sweep };
}
