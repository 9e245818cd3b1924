import * as v from "valibot";
import { atMost } from "../base/every.ts";
import { errorText } from "../core/errors.ts";
import type { Clock, Log, StatePort } from "../core/ports.ts";
import type { LocalFiles } from "./local.ts";

/** A value with the time it was given, so that of two places the newer one is believed. Null: deleted. */
interface Stamped {
  readonly atMs: number;
  readonly value: string | null;
}

const stamped = v.object({ atMs: v.number(), value: v.nullable(v.string()) });
const savedFile = v.record(v.string(), stamped);

/** How long an alert may wait for its state to be saved in both places; a place that hangs is not waited for. */
const patienceMs = 250;
/** Deletions are remembered this long, for a shared store that was away meanwhile. */
const keepDeletedMs = 7 * 86_400_000;

export interface StatesDeps {
  readonly remote: StatePort;
  readonly local: LocalFiles;
  readonly file: string;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Alert states in two places, the shared store and a local file: either of them may be away. What could not reach the
 * shared store is sent again by `flush`.
 */
export class States {
  readonly #deps: StatesDeps;
  readonly #entries = new Map<string, Stamped>();
  #unsent = new Map<string, string | null>();
  #sending: Promise<void> | null = null;
  #again = false;
  #complete = false;

  constructor(deps: StatesDeps) {
    this.#deps = deps;
  }

  /** Whether the shared store has told what it knew; until then `load` should be called again. */
  get complete(): boolean {
    return this.#complete;
  }

  /** Reads both places; of each entry the newest counts, also against what was saved meanwhile. Never rejects. */
  async load(): Promise<void> {
    const local = await this.#loadLocal();
    const remote = await this.#loadRemote();
    for (const [key, entry] of [...local, ...remote]) {
      const known = this.#entries.get(key);
      if (known === undefined || known.atMs < entry.atMs) this.#entries.set(key, entry);
    }
    for (const [key, entry] of this.#entries) {
      const shared = remote.get(key);
      if (shared !== undefined ? shared.atMs < entry.atMs : entry.value !== null)
        this.#unsent.set(key, entry.value === null ? null : JSON.stringify(entry));
    }
  }

  /** Has everything sent again with the next flush: the shared store may have come back empty. */
  resend(): void {
    for (const [key, entry] of this.#entries)
      if (entry.value !== null) this.#unsent.set(key, JSON.stringify(entry));
  }

  /** The entries whose key starts with a prefix, as a port of their own. */
  port(prefix: string): StatePort {
    return {
      load: async () => {
        const own = [...this.#entries].filter(([key]) => key.startsWith(prefix));
        return new Map(
          own.flatMap(([key, { value }]) =>
            value === null ? [] : [[key.slice(prefix.length), value]],
          ),
        );
      },
      save: async (changes) => {
        await this.#save(new Map([...changes].map(([key, value]) => [prefix + key, value])));
      },
    };
  }

  /** Sends what the shared store has not got yet; never rejects. One sending at a time. */
  async flush(): Promise<void> {
    this.#again = true;
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = null;
    });
    await this.#sending;
  }

  async #sendAll(): Promise<void> {
    while (this.#again && this.#unsent.size > 0) {
      this.#again = false;
      await this.#send();
    }
  }

  async #send(): Promise<void> {
    const changes = this.#unsent;
    this.#unsent = new Map();
    try {
      await this.#deps.remote.save(changes);
    } catch (cause) {
      this.#unsent = new Map([...changes, ...this.#unsent]);
      this.#deps.log.debug("alert states wait for the store", { cause: errorText(cause) });
    }
  }

  async #save(changes: ReadonlyMap<string, string | null>): Promise<void> {
    const atMs = this.#deps.clock.now();
    for (const [key, value] of changes) {
      this.#entries.set(key, { atMs, value });
      this.#unsent.set(key, value === null ? null : JSON.stringify({ atMs, value }));
    }
    for (const [key, entry] of this.#entries)
      if (entry.value === null && atMs - entry.atMs > keepDeletedMs) this.#entries.delete(key);
    const text = JSON.stringify(Object.fromEntries(this.#entries));
    const both = Promise.all([this.#deps.local.write(this.#deps.file, text), this.flush()]);
    await atMost(this.#deps.clock, patienceMs, both);
  }

  async #loadLocal(): Promise<ReadonlyMap<string, Stamped>> {
    const text = await this.#deps.local.read(this.#deps.file);
    if (text === null) return new Map();
    try {
      return new Map(Object.entries(v.parse(savedFile, JSON.parse(text))));
    } catch (cause) {
      this.#deps.log.warn("local alert states unreadable", {
        file: this.#deps.file,
        cause: errorText(cause),
      });
      return new Map();
    }
  }

  async #loadRemote(): Promise<ReadonlyMap<string, Stamped>> {
    const found = new Map<string, Stamped>();
    try {
      for (const [key, text] of await this.#deps.remote.load()) {
        const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), stamped), text);
        if (parsed.success) found.set(key, parsed.output);
        else this.#deps.log.warn("alert state unreadable in the store", { alert: key });
      }
      this.#complete = true;
    } catch (cause) {
      this.#deps.log.debug("alert states not read from the store", { cause: errorText(cause) });
    }
    return found;
  }
}
