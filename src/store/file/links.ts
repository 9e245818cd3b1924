import type {
  Acknowledgement,
  AcknowledgementPort,
  SigningKey,
  SigningKeyPort,
} from "../../core/action.ts";
import {
  acknowledgementSchema,
  keptAcknowledgements,
  replacedAcknowledgements,
  replacedPeriods,
  signingKeySchema,
} from "../link.ts";
import type { RecordLog } from "./log.ts";
import { keysBelow, type SmallDeps, smallKey, valuesOf } from "./small.ts";

const ackKind = "acknowledgement";
const keyKind = "signing_key";

/** Acknowledgements of the agents that share the directory, each under its alert. */
export function createFileAcknowledgements({
  gate,
  use,
  clock,
  readJson,
}: SmallDeps): AcknowledgementPort {
  const all = async (log: RecordLog): Promise<readonly Acknowledgement[]> => {
    const found = await valuesOf(log, keysBelow(await log.keys(), ackKind));
    return found.flatMap(([, text]) => readJson(acknowledgementSchema, text, ackKind) ?? []);
  };
  return {
    put: (one) =>
      gate.write("small", () =>
        use(async (log) => {
          const gone = replacedAcknowledgements(await all(log), one, clock.now());
          const changes = new Map<string, Buffer | null>(
            gone.map((alert) => [smallKey(ackKind, alert), null]),
          );
          changes.set(smallKey(ackKind, one.alert), Buffer.from(JSON.stringify(one)));
          await log.write(changes);
        }),
      ),
    list: () =>
      gate.read(() => use(async (log) => keptAcknowledgements(await all(log), clock.now()))),
  };
}

/** Keys of the agents that share the directory, each under its period. */
export function createFileKeys({ gate, use, readJson }: SmallDeps): SigningKeyPort {
  const all = async (log: RecordLog): Promise<readonly SigningKey[]> => {
    const found = await valuesOf(log, keysBelow(await log.keys(), keyKind));
    return found.flatMap(([, text]) => readJson(signingKeySchema, text, keyKind) ?? []);
  };
  return {
    settle: (key) =>
      gate.write("small", () =>
        use(async (log) => {
          const name = smallKey(keyKind, key.period);
          const puts = new Map([[name, Buffer.from(JSON.stringify(key))]]);
          await log.swap({ expected: new Map([[name, null]]), puts });
          const known = await all(log);
          const gone = replacedPeriods(known, key);
          if (gone.length > 0)
            await log.write(new Map(gone.map((period) => [smallKey(keyKind, period), null])));
          return known.find(({ period }) => period === key.period) ?? key;
        }),
      ),
    list: () => gate.read(() => use(all)),
  };
}
