import type { Redis, RedisOptions } from "ioredis";
import { backoffMs } from "../../base/backoff.ts";
import type { RedisAccess } from "./settings.ts";

/** A connection on which a command got no answer for so long is closed and made anew. */
const socketTimeoutMs = 4_000;

const connectTimeoutMs = 5_000;

/** Finds out that a host has vanished behind an idle connection. */
const keepAliveMs = 30_000;

const retryLimits = { firstMs: 50, maxMs: 5_000 };

export function retryMs(attempt: number): number {
  return backoffMs(attempt, retryLimits, Math.random);
}

/** What every connection to a server is made with. */
export function commonOptions({ username, password, tls }: RedisAccess) {
  return {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(tls === undefined ? {} : { tls }),
    // RESP2 also goes through proxies, and needs no right to HELLO.
    protocol: 2,
    disableClientInfo: true,
    // By ourselves: its own prints to the console when INFO is not allowed.
    enableReadyCheck: false,
    autoResendUnfulfilledCommands: false,
    // None: what waits for an answer fails as soon as the connection is lost.
    maxRetriesPerRequest: 0,
    socketTimeout: socketTimeoutMs,
    connectTimeout: connectTimeoutMs,
    keepAlive: keepAliveMs,
  } as const satisfies RedisOptions;
}

/** Closes a connection now: a frozen Redis would not close its end, and hold this process. */
export function drop(client: Redis): void {
  client.disconnect();
  client.stream?.destroy();
}
