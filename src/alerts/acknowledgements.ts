import { atMost } from "../base/every.ts";
import type { Acknowledgement, AcknowledgementPort } from "../core/action.ts";
import { errorText } from "../core/errors.ts";
import type { Clock, Log } from "../core/ports.ts";
import { withIncident, type AlertRecord } from "./record.ts";
import type { Records } from "./records.ts";

/** A message is held up no longer than this by a store that hangs; one that is there answers within milliseconds. */
const patienceMs = 300;

/** Who takes care of what in the fleet: asked for before an alert is told again, never polled. */
export class Acknowledgements {
  readonly #deps: {
    readonly port: AcknowledgementPort;
    readonly clock: Clock;
    readonly log: Log;
  };
  #known: ReadonlyMap<string, Acknowledgement> = new Map();
  #askedAtMs = Number.NEGATIVE_INFINITY;
  #asking: Promise<void> | null = null;

  constructor(deps: { port: AcknowledgementPort; clock: Clock; log: Log }) {
    this.#deps = deps;
  }

  /** How long ago the store was last asked, in milliseconds. */
  get ageMs(): number {
    return this.#deps.clock.monotonic() - this.#askedAtMs;
  }

  /**
   * Asks the store, waits a moment for its answer, and has records take up what is known then. Never rejects: without
   * an answer, what was known stays.
   */
  async teach(records: Pick<Records, "all" | "set">): Promise<void> {
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = null;
    });
    await atMost(this.#deps.clock, patienceMs, this.#asking);
    for (const [key, record] of records.all()) {
      const taken = takeUp(record, this.#known.get(record.incident.id));
      if (taken !== null) records.set(key, taken);
    }
  }

  async #ask(): Promise<void> {
    const { port, clock, log } = this.#deps;
    this.#askedAtMs = clock.monotonic();
    try {
      this.#known = new Map((await port.list()).map((one) => [one.alert, one]));
    } catch (cause) {
      log.debug("acknowledgements not read from the store", { cause: errorText(cause) });
    }
  }
}

/**
 * A record that takes up what somebody said elsewhere; null: nothing new. Each is taken up once, so that one which an
 * escalation has broken stays broken. Pure.
 */
function takeUp(record: AlertRecord, said: Acknowledgement | undefined): AlertRecord | null {
  if (said === undefined || record.incident.status !== "firing") return null;
  if (record.acknowledgement === said.id) return null;
  return {
    ...withIncident(record, { acknowledgedBy: said.by }),
    acknowledgement: said.id,
  };
}
