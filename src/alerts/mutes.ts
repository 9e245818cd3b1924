import type { Incident, Transition } from "../core/alert.ts";
import type { Inhibition, MessageTopic, Mute, QuietHours } from "../core/mute.ts";
import type { Clock } from "../core/ports.ts";
import { globMatches } from "../core/rule.ts";
import { muteOf } from "./mute.ts";
import type { Silences } from "./silences.ts";

/** What the configuration says of messages that are held back. */
export interface MuteSettings {
  readonly quietHours: readonly QuietHours[];
  readonly inhibit: readonly Inhibition[];
}

/** Whatever holds messages back. */
export interface Mutes {
  /** Learns what is in force when people are about to be told of some topics; waits a moment at most, never rejects. */
  learn(topics: readonly MessageTopic[], open: readonly Incident[]): Promise<void>;
  /** Why people are told nothing of a topic now, by what is known; null: they are told. */
  of(topic: MessageTopic, open: readonly Incident[]): Mute | null;
  /** Transitions in the order in which they are to be decided: those of rules that inhibit others first. */
  inOrder(transitions: readonly Transition[]): readonly Transition[];
}

/** While it holds something back, whether a silence was ended early is asked this often; each sample would be too often. */
const askAgainMs = 60_000;

/** Silences of the fleet, quiet hours and inhibition together. */
export function createMutes(deps: {
  readonly silences: Pick<Silences, "known" | "ageMs" | "refresh">;
  readonly settings: () => MuteSettings;
  readonly clock: Clock;
}): Mutes {
  const { silences, settings, clock } = deps;
  const of: Mutes["of"] = (topic, open) =>
    muteOf(topic, { ...settings(), silences: silences.known, open }, clock.now());
  return {
    of,
    learn: async (topics, open) => {
      const mutes = topics.map((topic) => of(topic, open));
      const isNews = mutes.includes(null);
      const isOld = silences.ageMs >= askAgainMs;
      if (isNews || (isOld && mutes.some((mute) => mute?.reason === "silenced")))
        await silences.refresh();
    },
    inOrder: (transitions) => {
      const { inhibit } = settings();
      if (inhibit.length === 0) return transitions;
      const order = ({ subject }: Transition): number =>
        inhibit.some(({ when }) => globMatches(when, subject.rule)) ? 0 : 1;
      return transitions.toSorted((a, b) => order(a) - order(b));
    },
  };
}
