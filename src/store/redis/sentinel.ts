import { Redis } from "ioredis";
import { errorText } from "../../core/errors.ts";
import { commonOptions, drop } from "./options.ts";
import { addressText, type RedisAddress, type RedisTarget } from "./settings.ts";

export type SentinelTarget = Extract<RedisTarget, { form: "sentinel" }>;

/**
 * Why a Sentinel does not name the master; null: it does. The client itself tells neither a certificate that is not
 * trusted nor a wrong password, only that the connection was closed.
 */
async function reasonAt(target: SentinelTarget, address: RedisAddress): Promise<string | null> {
  const { name, sentinelPassword: password, tls } = target;
  const client = new Redis({
    ...commonOptions({
      ...(password === undefined ? {} : { password }),
      ...(tls === undefined ? {} : { tls }),
    }),
    ...address,
    lazyConnect: true,
    retryStrategy: null,
  });
  let said: string | null = null;
  client.on("error", (cause: unknown) => (said ??= errorText(cause)));
  try {
    await client.connect();
    const found = await client.call("SENTINEL", "get-master-addr-by-name", name);
    if (found === null) said = `it knows no master "${name}" (redis.sentinel_name)`;
  } catch (cause) {
    said ??= errorText(cause);
  }
  drop(client);
  return said === null ? null : `Sentinel ${addressText(address)}: ${said}`;
}

/** Why no Sentinel names the master, by the first of them; null: it does now. */
export async function sentinelReason(target: SentinelTarget): Promise<string | null> {
  const [first] = target.sentinels;
  return first === undefined ? null : reasonAt(target, first);
}
