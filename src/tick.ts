import { errorText } from "./core/errors.ts";
import type { Clock, Log } from "./core/ports.ts";
import type { Row } from "./core/series.ts";
import type { Incidents } from "./alerts/incidents.ts";
import type { Collection } from "./collect/runner.ts";
import type { Engine } from "./rules/engine.ts";
import type { SeriesStore } from "./store/contract.ts";
import type { States } from "./store/states.ts";

export interface TickDeps {
  readonly collection: Collection;
  readonly series: SeriesStore;
  readonly engine: Engine;
  readonly incidents: Incidents;
  readonly states: States;
  readonly clock: Clock;
  readonly log: Log;
  readonly intervalMs: () => number;
  /** How long after the samples they are written to the store. */
  readonly writeDelayMs: () => number;
  readonly onError: (cause: unknown) => void;
}

/** Sources that are away may name other channels; what is owed is told to those that are known after so long. */
const owedPatienceMs = 60_000;

/** One tick after another: collect → store → judge → alert. */
export class Ticker {
  readonly #deps: TickDeps;
  #judging = false;
  #judgingSinceMs = 0;
  /** Rows are judged one after another, and not on the way to the next sample: saving a state may take a while. */
  #judged: Promise<void> = Promise.resolve();
  readonly #stopped = new AbortController();
  #ticks = 0;
  #lastDurationMs = 0;

  constructor(deps: TickDeps) {
    this.#deps = deps;
  }

  get ticks(): number {
    return this.#ticks;
  }

  /** Wall time of the last collection. */
  get lastDurationMs(): number {
    return this.#lastDurationMs;
  }

  /** Judging begins when the states of an earlier run are there; sampling does not wait for them. */
  beginJudging(): void {
    this.#judging = true;
    this.#judgingSinceMs = this.#deps.clock.monotonic();
  }

  async run(slotMs: number): Promise<void> {
    const { clock, collection, series } = this.#deps;
    const startedMs = clock.monotonic();
    const row = await collection.collect(slotMs);
    series.append(row);
    // Not waited for: a store that hangs must not hold up the next sample.
    void this.#writeLater();
    this.#ticks += 1;
    this.#lastDurationMs = clock.monotonic() - startedMs;
    if (this.#judging)
      this.#judged = this.#judged.then(() => this.#judge(row)).catch(this.#deps.onError);
  }

  /** Nothing is written later any more: whoever stops writes what is left. */
  stop(): void {
    this.#stopped.abort();
  }

  /** Resolves when every row so far is judged and told. */
  async idle(): Promise<void> {
    await this.#judged;
  }

  async #writeLater(): Promise<void> {
    const { clock, series, writeDelayMs } = this.#deps;
    await clock.sleep(writeDelayMs(), this.#stopped.signal);
    if (!this.#stopped.signal.aborted) await series.flush();
  }

  async #judge(row: Row): Promise<void> {
    const { engine, incidents, states, log, clock, intervalMs } = this.#deps;
    const transitions = engine.judge(row, intervalMs());
    await engine.save().catch((cause: unknown) => {
      log.debug("alert states not saved yet", { cause: errorText(cause) });
    });
    await incidents.handle(transitions);
    const { live, blind } = this.#standing();
    incidents.markNoData(blind);
    const stands = { has: (key: string) => live.has(key) || engine.awaits(key) };
    if (engine.complete) await incidents.endOrphans(stands, row.slotMs);
    if (engine.complete || clock.monotonic() - this.#judgingSinceMs >= owedPatienceMs)
      await incidents.tellOwed();
    await incidents.tick(row.slotMs);
    void states.flush();
  }

  /** Alerts of the engine that fire, and those of them whose samples are missing. */
  #standing(): { live: Set<string>; blind: Set<string> } {
    const live = new Set<string>();
    const blind = new Set<string>();
    for (const [key, { level, noDataSinceMs }] of this.#deps.engine.states()) {
      if (level === null) continue;
      live.add(key);
      if (noDataSinceMs !== null) blind.add(key);
    }
    return { live, blind };
  }
}
