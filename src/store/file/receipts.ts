import type { Receipt, ReceiptPort } from "../../core/delivery.ts";
import { newestFirst } from "../memory/receipts.ts";
import { receiptSchema, receiptsPerChannel } from "../receipt.ts";
import type { RecordLog } from "./log.ts";
import { keysBelow, partsOf, type SmallDeps, smallKey, valuesOf } from "./small.ts";

const kind = "receipt";

/** Where a receipt stands, known from its key without reading it. */
interface Place {
  readonly key: string;
  readonly id: string;
  readonly createdAtMs: number;
}

function byAge(a: Place, b: Place): number {
  return b.createdAtMs - a.createdAtMs || (a.id < b.id ? 1 : -1);
}

function placesOf(keys: readonly string[]): readonly Place[] {
  return keys
    .map((key) => {
      const [, , createdAtMs, id] = partsOf(key);
      return { key, id: String(id), createdAtMs: Number(createdAtMs) };
    })
    .sort(byAge);
}

/** What has to go for a receipt: the one it replaces, and the oldest of its channel when there are too many. */
function replaced(keys: readonly string[], id: string): readonly string[] {
  const end = `,${JSON.stringify(id)}]`;
  const same = keys.filter((key) => key.endsWith(end));
  if (keys.length - same.length < receiptsPerChannel) return same;
  const others = placesOf(keys.filter((key) => !key.endsWith(end)));
  return [...same, ...others.slice(receiptsPerChannel - 1).map(({ key }) => key)];
}

/** Receipts by channel, time and id; the oldest of a channel go when there are too many. */
export function createFileReceipts({ gate, use, readJson }: SmallDeps): ReceiptPort {
  const read = async (log: RecordLog, found: readonly Place[]): Promise<readonly Receipt[]> => {
    const values = await valuesOf(
      log,
      found.map(({ key }) => key),
    );
    return values.flatMap(([, text]) => readJson(receiptSchema, text, "receipt") ?? []);
  };
  return {
    put: (receipt) =>
      gate.write("small", () =>
        use(async (log) => {
          const { channel, id, createdAtMs } = receipt;
          const gone = replaced(keysBelow(await log.keys(), kind, channel), id);
          const changes = new Map<string, Buffer | null>(gone.map((key) => [key, null]));
          const key = smallKey(kind, channel, createdAtMs, id);
          changes.set(key, Buffer.from(JSON.stringify(receipt)));
          await log.write(changes);
        }),
      ),
    find: (channel, ids) =>
      gate.read(() =>
        use(async (log) => {
          const wanted = new Set(ids);
          const all = placesOf(keysBelow(await log.keys(), kind, channel));
          return read(
            log,
            all.filter(({ id }) => wanted.has(id)),
          );
        }),
      ),
    list: ({ channel, alert, limit }) =>
      gate.read(() =>
        use(async (log) => {
          const of = channel === undefined ? [kind] : [kind, channel];
          const found = placesOf(keysBelow(await log.keys(), ...of));
          const wanted = alert === undefined ? found.slice(0, limit) : found;
          return (await read(log, wanted))
            .filter((receipt) => alert === undefined || receipt.alert === alert)
            .toSorted(newestFirst)
            .slice(0, limit);
        }),
      ),
  };
}
