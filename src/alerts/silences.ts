import { atMost } from "../base/every.ts";
import { errorText } from "../core/errors.ts";
import type { Clock, Log } from "../core/ports.ts";
import { silenceState, type Silence, type SilencePort } from "../core/silence.ts";

export interface SilencesDeps {
  readonly port: SilencePort;
  /** Where they are kept beside the agent, for when the shared store is away; neither rejects. */
  readonly saved: {
    readonly load: () => Promise<readonly Silence[]>;
    readonly save: (silences: readonly Silence[]) => Promise<void>;
  };
  readonly clock: Clock;
  readonly log: Log;
}

/** A message is held up no longer than this by a store that hangs; one that is there answers within milliseconds. */
const patienceMs = 300;

/** What is known of the fleet's silences: asked for when it matters, never polled. */
export class Silences {
  readonly #deps: SilencesDeps;
  #known: readonly Silence[] = [];
  #savedText = "[]";
  #askedAtMs = Number.NEGATIVE_INFINITY;
  #asking: Promise<void> | null = null;

  constructor(deps: SilencesDeps) {
    this.#deps = deps;
  }

  /** Takes up what an earlier run knew. Never rejects. */
  async restore(): Promise<void> {
    const saved = await this.#deps.saved.load();
    // What the store has told meanwhile is newer.
    if (Number.isFinite(this.#askedAtMs)) return;
    this.#known = saved;
    this.#savedText = JSON.stringify(saved);
  }

  /** What the store told last, or a run before; those that are over too. */
  get known(): readonly Silence[] {
    return this.#known;
  }

  /** How long ago the store was last asked, in milliseconds. */
  get ageMs(): number {
    return this.#deps.clock.monotonic() - this.#askedAtMs;
  }

  /** Asks the store, and waits a moment for its answer; without one, what was known stays. Never rejects. */
  async refresh(): Promise<void> {
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = null;
    });
    await atMost(this.#deps.clock, patienceMs, this.#asking);
  }

  /** Has a silence in the store, and in force here at once. Rejects when the store does not take it. */
  async put(silence: Silence): Promise<void> {
    await this.#deps.port.put(silence);
    this.#learn([...this.#known.filter(({ id }) => id !== silence.id), silence]);
  }

  /** The silence of an id, one that is over too; null: there is none. Rejects as the store does. */
  async find(id: string): Promise<Silence | null> {
    return (await this.#deps.port.list()).find((silence) => silence.id === id) ?? null;
  }

  /** Ends a silence now; one that is over stays as it is. Null: there is none of that id. Rejects as the store does. */
  async end(id: string): Promise<Silence | null> {
    const found = await this.find(id);
    if (found === null) return null;
    const nowMs = this.#deps.clock.now();
    if (silenceState(found, nowMs) === "expired") return found;
    const ended = { ...found, endsAtMs: nowMs };
    await this.put(ended);
    return ended;
  }

  async #ask(): Promise<void> {
    const { port, clock, log } = this.#deps;
    this.#askedAtMs = clock.monotonic();
    try {
      this.#learn(await port.list());
    } catch (cause) {
      log.debug("silences not read from the store", { cause: errorText(cause) });
    }
  }

  #learn(silences: readonly Silence[]): void {
    this.#known = silences.toSorted((a, b) => (a.id < b.id ? -1 : 1));
    const text = JSON.stringify(this.#known);
    if (text === this.#savedText) return;
    this.#savedText = text;
    // Not waited for: a message must not wait for a disk.
    void this.#deps.saved.save(this.#known);
  }
}
