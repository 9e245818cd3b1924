import type { Transition } from "../core/alert.ts";
import type { Mute } from "../core/mute.ts";
import type { Clock, Log, StatePort } from "../core/ports.ts";
import type { Acknowledgements } from "./acknowledgements.ts";
import type { DecideSettings, Decision } from "./decide.ts";
import type { Mutes } from "./mutes.ts";
import type { News } from "./record.ts";

/** News on their way to people and records. */
export interface Telling extends News {
  /** It may have been told already: whoever told it did not live to say so. */
  readonly again: boolean;
}

/** What was decided about a transition. */
export interface Concluded {
  readonly news: News;
  readonly suppressed: Decision["suppressed"];
  /** What holds the message back; null: nothing. */
  readonly mute: Mute | null;
}

/** An alert as somebody else reports it, again and again while it fires. */
export interface Report {
  /** `fired` or `resolved`; whether it fires anew or goes on follows from what is known of it. */
  readonly transition: Transition;
  /** When it is over unless it is reported again, Unix milliseconds. */
  readonly untilMs: number;
}

export interface IncidentDeps {
  readonly clock: Clock;
  readonly port: StatePort;
  readonly log: Log;
  readonly settings: () => DecideSettings;
  readonly newId: () => string;
  /** What holds messages back; without it, nothing does. */
  readonly mutes?: Mutes;
  /** Who takes care of alerts by what was said to other agents; without it, only what is said here counts. */
  readonly acknowledgements?: Acknowledgements;
  /** Called after the new state was saved (or saving failed and was logged). What it rejects is told again later. */
  readonly tell: (telling: Telling) => Promise<void>;
  /** Resolves when what was told so far would be found after a crash; without it, it is at once. */
  readonly kept?: () => Promise<void>;
}
