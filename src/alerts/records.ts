import * as v from "valibot";
import { Unsaved } from "../base/saved.ts";
import { errorText } from "../core/errors.ts";
import type { Clock, Log, StatePort } from "../core/ports.ts";
import { parseRecord, type AlertRecord } from "./record.ts";

export interface RecordsDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly port: StatePort;
}

/** What is remembered of every alert, by its key, and saved as it changes. */
export class Records {
  readonly #deps: RecordsDeps;
  readonly #unsaved: Unsaved;
  readonly #records = new Map<string, AlertRecord>();
  readonly #savedAtMs = new Map<string, number>();

  constructor(deps: RecordsDeps) {
    this.#deps = deps;
    this.#unsaved = new Unsaved(deps.port);
  }

  /** Takes up the records of an earlier run and answers with them; what is unreadable is dropped with a warning. */
  async restore(): Promise<readonly (readonly [key: string, AlertRecord])[]> {
    const restored: (readonly [string, AlertRecord])[] = [];
    for (const [key, text] of await this.#deps.port.load()) {
      try {
        const record = parseRecord(text);
        this.#records.set(key, record);
        restored.push([key, record]);
      } catch (cause) {
        const why = cause instanceof v.ValiError ? cause.message : errorText(cause);
        this.#deps.log.warn("incident unreadable", { alert: key, cause: why });
        this.#unsaved.set(key, null);
      }
    }
    return restored;
  }

  get(key: string): AlertRecord | undefined {
    return this.#records.get(key);
  }

  all(): readonly (readonly [key: string, AlertRecord])[] {
    return [...this.#records];
  }

  /** Remembers a record, and has it saved unless it was saved less than `leastMs` ago. */
  set(key: string, record: AlertRecord, leastMs = 0): void {
    this.#records.set(key, record);
    const nowMs = this.#deps.clock.now();
    if (nowMs - (this.#savedAtMs.get(key) ?? 0) < leastMs) return;
    this.#savedAtMs.set(key, nowMs);
    this.#unsaved.set(key, JSON.stringify(record));
  }

  forget(key: string): void {
    this.#records.delete(key);
    this.#savedAtMs.delete(key);
    this.#unsaved.set(key, null);
  }

  /** Saves what has changed. Never rejects: what could not be saved is tried again the next time. */
  async save(): Promise<void> {
    try {
      await this.#unsaved.save();
    } catch (cause) {
      this.#deps.log.debug("incidents not saved yet", { cause: errorText(cause) });
    }
  }
}
