import { Redis } from "ioredis";
import { backoffMs } from "../../base/backoff.ts";
import { createStatus } from "../../base/status.ts";
import { AgentError, errorText } from "../../core/errors.ts";
import type { Clock, ComponentStatus, Log } from "../../core/ports.ts";
import type { RedisTarget } from "./settings.ts";

/** A command as it is sent; a name that ends in `Buffer` has its reply as bytes. */
export type RedisCommand = readonly [name: string, ...args: readonly (string | number | Buffer)[]];

/** The one connection to Redis: nothing queues, every answer has a deadline, every reply is looked at. */
export interface RedisConnection {
  start(): void;
  stop(): Promise<void>;
  status(): ComponentStatus;
  /** Counts the times that what was written before may be gone: connections, and losses noticed in between. */
  epoch(): number;
  /** Says that keys are gone that were there: flushed or evicted. Everything that is known is written again. */
  renew(): void;
  /**
   * Sends commands, all of one slot, in one pipeline; their replies in the same order. Rejects with STORE_UNAVAILABLE
   * when one of them fails.
   */
  run(commands: readonly RedisCommand[]): Promise<readonly unknown[]>;
}

/** A frozen Redis holds up nobody for longer; only this makes a sent command give up. */
const commandTimeoutMs = 3_000;

/** A connection on which a command got no answer for so long is closed and made anew. */
const socketTimeoutMs = 4_000;

const connectTimeoutMs = 5_000;

/** Finds out that a host has vanished behind an idle connection. */
const keepAliveMs = 30_000;

const retryLimits = { firstMs: 50, maxMs: 5_000 };

function createClient(target: RedisTarget): Redis {
  return new Redis({
    ...target,
    lazyConnect: true,
    // RESP2 also goes through proxies, and needs no right to HELLO.
    protocol: 2,
    disableClientInfo: true,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    // None: what waits for an answer fails as soon as the connection is lost.
    maxRetriesPerRequest: 0,
    commandTimeout: commandTimeoutMs,
    socketTimeout: socketTimeoutMs,
    connectTimeout: connectTimeoutMs,
    keepAlive: keepAliveMs,
    retryStrategy: (attempt) => backoffMs(attempt, retryLimits, Math.random),
    // After a failover behind one address the old master refuses writes; the new one answers on a new connection.
    reconnectOnError: (cause) => cause.message.startsWith("READONLY"),
  });
}

/** Whether Redis itself answered, with an error; everything else means that it did not answer. */
function isReply(cause: unknown): boolean {
  return cause instanceof Error && cause.name === "ReplyError";
}

/** The client's own errors hold the arguments of the command, a password too: only their text goes on. */
function refusal(command: string, cause: unknown): AgentError {
  const verb = isReply(cause) ? "refused" : "did not answer";
  return new AgentError("STORE_UNAVAILABLE", `redis ${verb} ${command}: ${errorText(cause)}`);
}

function notConnected(lastError: string | null): AgentError {
  const why = lastError === null ? "" : `: ${lastError}`;
  return new AgentError("STORE_UNAVAILABLE", `redis is not connected${why}`);
}

/** State of the connection; says once that it is gone and once that it is back. */
function createWatch(clock: Clock, log: Log) {
  const status = createStatus(clock, "starting");
  return {
    get current(): ComponentStatus {
      return status.current;
    },
    lost: (reason: string): void => {
      if (status.set("down", reason))
        log.warn("redis unavailable", { reason, meanwhile: "everything stays in memory" });
    },
    back: (): void => {
      const wasDown = status.current.status === "down";
      if (status.set("ok") && wasDown) log.info("redis available again");
    },
  };
}

/** Runs a pipeline; the first command that failed decides what is thrown. */
async function send(
  client: Redis,
  commands: readonly RedisCommand[],
  fail: (command: string, cause: unknown) => AgentError,
): Promise<readonly unknown[]> {
  const replies = await client
    .pipeline(commands.map((command) => [...command]))
    .exec()
    .catch((cause: unknown) => {
      throw fail(commands[0]?.[0] ?? "", cause);
    });
  return (replies ?? []).map(([cause, reply], index) => {
    if (cause !== null) throw fail(commands[index]?.[0] ?? "", cause);
    return reply;
  });
}

export function createConnection(
  target: RedisTarget,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
): RedisConnection {
  const client = createClient(target);
  const watch = createWatch(clock, log);
  let stopped = false;
  let epoch = 0;
  const lost = (reason: string): void => {
    if (!stopped) watch.lost(reason);
  };
  client.on("error", (cause: unknown) => lost(errorText(cause)));
  client.on("close", () => {
    // After a failed try, the error has already said why.
    if (watch.current.status !== "down") lost("connection closed");
  });
  client.on("ready", () => {
    epoch++;
    watch.back();
  });
  const fail = (command: string, cause: unknown): AgentError => {
    if (!isReply(cause)) lost(errorText(cause));
    return refusal(command, cause);
  };
  return {
    start: () => {
      // Why it failed arrives as an `error` event, now and at each further try.
      client.connect().catch(() => undefined);
    },
    stop: async () => {
      stopped = true;
      client.disconnect();
      // A frozen Redis would not close its end, and hold this process.
      client.stream?.destroy();
    },
    status: () => watch.current,
    epoch: () => epoch,
    renew: () => {
      epoch++;
      log.warn("redis lost keys; writing them again");
    },
    run: async (commands) => {
      if (client.status !== "ready") throw notConnected(watch.current.lastError);
      const replies = await send(client, commands, fail);
      if (!stopped) watch.back();
      return replies;
    },
  };
}
