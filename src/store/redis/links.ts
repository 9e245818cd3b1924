import type {
  Acknowledgement,
  AcknowledgementPort,
  SigningKey,
  SigningKeyPort,
} from "../../core/action.ts";
import {
  acknowledgementSchema,
  acknowledgementsKeptMs,
  keptAcknowledgements,
  keysExpireSeconds,
  maxAcknowledgements,
  replacedAcknowledgements,
  replacedPeriods,
  signingKeySchema,
} from "../link.ts";
import type { SmallDeps } from "./nodes.ts";
import { pairsReply } from "./replies.ts";

/** Acknowledgements of the whole fleet in one hash by alert, which expires when the last of them is old. */
export function createRedisAcknowledgements({
  connection,
  keys,
  clock,
  readJson,
}: SmallDeps): AcknowledgementPort {
  const key = keys.acknowledgements;
  const all = async (): Promise<readonly Acknowledgement[]> => {
    const [reply] = await connection.run([["hgetall", key]]);
    return pairsReply(reply).flatMap(
      ([, text]) => readJson(acknowledgementSchema, text, "acknowledgement") ?? [],
    );
  };
  return {
    put: async (one) => {
      const gone = replacedAcknowledgements(await all(), one, clock.now());
      if (gone.length > 0) await connection.run([["hdel", key, ...gone]]);
      await connection.run([
        ["hset", key, one.alert, JSON.stringify(one)],
        ["expire", key, acknowledgementsKeptMs / 1_000],
      ]);
    },
    // Many who add one at the same moment may exceed the cap a little.
    list: async () =>
      keptAcknowledgements(await all(), clock.now()).slice(0, 2 * maxAcknowledgements),
  };
}

/** Keys of the whole fleet in one hash by period; the first to name one of a period has made it for all. */
export function createRedisKeys({ connection, keys, readJson }: SmallDeps): SigningKeyPort {
  const hash = keys.signing;
  const list = async (): Promise<readonly SigningKey[]> => {
    const [reply] = await connection.run([["hgetall", hash]]);
    return pairsReply(reply).flatMap(
      ([, text]) => readJson(signingKeySchema, text, "signing key") ?? [],
    );
  };
  return {
    settle: async (key) => {
      const period = String(key.period);
      await connection.run([
        ["hsetnx", hash, period, JSON.stringify(key)],
        ["expire", hash, keysExpireSeconds],
      ]);
      const all = await list();
      const settled = all.find((one) => one.period === key.period);
      const gone = replacedPeriods(all, key).map(String);
      if (settled === undefined) gone.push(period);
      if (gone.length > 0) await connection.run([["hdel", hash, ...gone]]);
      // What stands there and is no key is gone now, so the second try has its place.
      if (settled !== undefined) return settled;
      await connection.run([["hsetnx", hash, period, JSON.stringify(key)]]);
      return (await list()).find((one) => one.period === key.period) ?? key;
    },
    list,
  };
}
