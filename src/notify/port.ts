import type { HttpClient } from "../base/http.ts";
import type {
  AlertMessage,
  Channel,
  ChannelSpec,
  Language,
  Ongoing,
  Outcome,
  RateLimit,
} from "../core/delivery.ts";
import type { NodeIdentity } from "../core/node.ts";
import type { ComponentStatus } from "../core/ports.ts";
import type { Sourced } from "../core/rule.ts";
import type { AnyChannelPlugin } from "./contract.ts";
import type { Tally } from "./ledger.ts";
import type { ChannelState } from "./states.ts";
import type { DrainerDeps } from "./target.ts";

export interface NotifierDeps extends DrainerDeps {
  readonly plugins: readonly AnyChannelPlugin[];
  readonly http: HttpClient;
  /** The language of channels that set none. */
  readonly language: () => Language;
  /** Who a test message is from. */
  readonly node: NodeIdentity;
}

/** Counters of one target, for metrics. */
export interface TargetStats {
  readonly channel: string;
  readonly type: string;
  readonly counts: Readonly<Tally>;
}

/** Messages that may leave by a channel, as far as this agent has sent some of late. */
export interface Tokens {
  readonly channel: string;
  readonly left: number;
}

/** A configured channel that is in use, and whether messages arrive by it. */
export interface ChannelHealth {
  readonly name: string;
  readonly status: ComponentStatus;
  /** Messages that were refused or given up since the agent started. */
  readonly lost: number;
}

/** Hands messages to every channel they are for, and knows what became of them. */
export interface Notifier {
  /** Puts channels in force: new ones start, changed ones are replaced, the others go. */
  configure(channels: readonly Sourced<ChannelSpec>[]): void;
  /** Adds a target that no source configures; `deliver` reaches it, `notify` does not. */
  attach(name: string, type: string, channel: Channel, limits: readonly RateLimit[]): void;
  /**
   * One job for each enabled channel that takes the message's level; `only` these names when given. `again`: it may have
   * been told already. Never rejects.
   */
  notify(message: AlertMessage, only: readonly string[] | null, again?: boolean): Promise<void>;
  /** From now on channels that must be told again and again what fires are told, of what is for them. */
  keepFiring(ongoing: () => Ongoing): void;
  /** One job for one target. Never rejects. */
  deliver(target: string, message: AlertMessage, again?: boolean): Promise<void>;
  /** A test message at once; null: no such channel. */
  test(name: string): Promise<Outcome | null>;
  states(): Promise<readonly ChannelState[]>;
  /** All configured channels as one part of the agent. */
  health(): ComponentStatus;
  stats(): readonly TargetStats[];
  /** How each channel in use is doing, by what this agent knows. */
  channels(): readonly ChannelHealth[];
  /** Only of channels by which this agent has sent within the last minute: others would have to ask the store. */
  tokens(): Promise<readonly Tokens[]>;
  /** Takes no more jobs, waits for what is on its way, at most the grace; closes the channels. */
  stop(graceMs: number): Promise<void>;
}
