import { Redis, type RedisOptions } from "ioredis";
import { errorText } from "../../core/errors.ts";
import type { RedisCommand } from "./commands.ts";
import { factsOf, greeting, isAbsence, mustServe, type Reply, type ServerFacts } from "./server.ts";
import { commonOptions, drop, retryMs } from "./options.ts";
import { sentinelReason, type SentinelTarget } from "./sentinel.ts";
import type { RedisTarget } from "./settings.ts";

/** What happens to a link. */
export interface LinkEvents {
  /** Connected, and somebody of use is there. */
  readonly ready: () => void;
  /** Not connected any more, or still not. */
  readonly lost: (reason: string) => void;
  /** What was written before may be gone: a server was connected to, or another became the master. */
  readonly renewed: () => void;
  /** What a server says of itself. */
  readonly met: (facts: ServerFacts) => void;
}

/** A connection that keeps itself, to one server or to a cluster. */
export interface Link {
  /** Begins to connect; returns at once. */
  connect(): void;
  close(): void;
  readonly isReady: boolean;
  /** Sends commands of one place in one pipeline; a reply or a cause for each. Rejects when none was got. */
  send(commands: readonly RedisCommand[], signal: AbortSignal): Promise<readonly Reply[]>;
  /** Looks for the master anew. */
  renew(): void;
}

/** A Sentinel that does not answer is passed over. */
const sentinelTimeoutMs = 2_000;

/** Sends a pipeline to one server. */
export async function pipeline(
  client: Redis,
  commands: readonly RedisCommand[],
): Promise<readonly Reply[]> {
  return (await client.pipeline(commands.map((command) => [...command])).exec()) ?? [];
}

type SingleTarget = Exclude<RedisTarget, { form: "cluster" }>;

function whereOf(target: SingleTarget) {
  if (target.form === "server") {
    const { host, port, db } = target;
    return { host, port, db } as const satisfies RedisOptions;
  }
  const { sentinels, name, db, sentinelPassword, tls } = target;
  return {
    sentinels: sentinels.map(({ host, port }) => ({ host, port })),
    name,
    db,
    role: "master",
    sentinelCommandTimeout: sentinelTimeoutMs,
    sentinelRetryStrategy: retryMs,
    ...(sentinelPassword === undefined ? {} : { sentinelPassword }),
    ...(tls === undefined ? {} : { sentinelTLS: tls, enableTLSForSentinelMode: true }),
  } as const satisfies RedisOptions;
}

/** Asks a server that has just been connected to; throws why it is of no use. */
async function meet(client: Redis, db: number): Promise<ServerFacts> {
  // The client has asked for it, but would go on in another database when that is refused.
  if (db > 0) await client.select(db);
  const replies = await pipeline(client, greeting);
  const [[refused] = [null]] = replies;
  if (refused !== null && isAbsence(refused.message)) throw refused;
  const facts = factsOf(replies);
  mustServe(facts);
  return facts;
}

class ServerLink implements Link {
  readonly #target: SingleTarget;
  readonly #events: LinkEvents;
  readonly #client: Redis;
  #attempts = 0;
  #met = false;
  #asking = false;
  /** Why there is no connection; null: that is not known yet. */
  #said: string | null = null;

  constructor(target: SingleTarget, events: LinkEvents) {
    this.#target = target;
    this.#events = events;
    this.#client = new Redis({
      ...commonOptions(target),
      ...whereOf(target),
      lazyConnect: true,
      enableOfflineQueue: false,
      // Its own count begins anew with each connection, also to a server that is of no use.
      retryStrategy: () => retryMs(++this.#attempts),
    });
    this.#client.on("error", (cause: unknown) => this.#tell(cause));
    this.#client.on("connect", () => (this.#said = null));
    this.#client.on("close", () => {
      // After a failed try, the error has already said why.
      if (this.#met || this.#said === null) events.lost("connection closed");
      this.#met = false;
    });
    this.#client.on("ready", () => void this.#greet());
  }

  get isReady(): boolean {
    return this.#met && this.#client.status === "ready";
  }

  connect(): void {
    // Why it failed arrives as an `error` event, now and at each further try.
    this.#client.connect().catch(() => undefined);
  }

  close(): void {
    drop(this.#client);
  }

  renew(): void {
    // Otherwise it is at it already, and would give up for good if it were disturbed.
    if (this.#client.status !== "ready") return;
    this.#met = false;
    this.#client.disconnect(true);
  }

  send(commands: readonly RedisCommand[]): Promise<readonly Reply[]> {
    return pipeline(this.#client, commands);
  }

  #tell(cause: unknown): void {
    this.#said = errorText(cause);
    if (this.#target.form === "sentinel" && this.#said.startsWith("All sentinels"))
      void this.#tellOfSentinels(this.#target, this.#said);
    else this.#events.lost(this.#said);
  }

  /** Once at a time: they are asked again and again meanwhile. */
  async #tellOfSentinels(target: SentinelTarget, otherwise: string): Promise<void> {
    if (this.#asking) return;
    this.#asking = true;
    const reason = await sentinelReason(target);
    this.#asking = false;
    if (!this.isReady) this.#events.lost(reason ?? otherwise);
  }

  async #greet(): Promise<void> {
    try {
      const facts = await meet(this.#client, this.#target.db);
      this.#attempts = 0;
      this.#met = true;
      this.#events.renewed();
      this.#events.met(facts);
      this.#events.ready();
    } catch (cause) {
      this.#tell(cause);
      this.renew();
    }
  }
}

/** A link to one server, or to the master that Sentinels name. */
export function createServerLink(target: SingleTarget, events: LinkEvents): Link {
  return new ServerLink(target, events);
}
