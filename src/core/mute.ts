import type { AlertSubject } from "./alert.ts";
import type { Level } from "./rule.ts";

/** Monday first, as a week has them in ISO 8601. */
export const weekdays = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;
export type Weekday = (typeof weekdays)[number];

/** Hours that come again, in which people are told nothing about some alerts. */
export interface QuietHours {
  readonly name: string;
  /** The days on which they begin. */
  readonly days: readonly Weekday[];
  /** Minutes since midnight. */
  readonly fromMinute: number;
  /** The same, up to 1440; not after the beginning: on the next day. */
  readonly toMinute: number;
  /** A name of the IANA database, whose clock counts. */
  readonly timezone: string;
  readonly levels: readonly Level[];
  /** Patterns on names of rules, one of which fits; null: all. */
  readonly rules: readonly string[] | null;
  /** Patterns on the name of a node or on `cluster/name`; null: all. */
  readonly nodes: readonly string[] | null;
}

/** While one alert of a node fires, people are told nothing about others of it. */
export interface Inhibition {
  /** A pattern on the rule that fires. */
  readonly when: string;
  /** Patterns on the rules people are told nothing of. */
  readonly mutes: readonly string[];
}

/** What a message would be about. */
export interface MessageTopic {
  readonly subject: AlertSubject;
  readonly level: Level;
}

/** Why a message is held back. */
export interface Mute {
  readonly reason: "silenced" | "quiet_hours" | "inhibited";
  /** The silence's id, the name of the quiet hours, or the id of the incident that inhibits. */
  readonly id: string;
}

const minutesPerHour = 60;

function clockText(minute: number): string {
  const two = (value: number): string => String(value).padStart(2, "0");
  return `${two(Math.floor(minute / minutesPerHour))}:${two(minute % minutesPerHour)}`;
}

/** Quiet hours in the words of the config file. */
export function showQuietHours(hours: QuietHours): Readonly<Record<string, unknown>> {
  const { name, days, fromMinute, toMinute, timezone, levels, rules, nodes } = hours;
  return {
    name,
    days,
    from: clockText(fromMinute),
    to: clockText(toMinute),
    timezone,
    levels,
    ...(rules === null ? {} : { rules }),
    ...(nodes === null ? {} : { nodes }),
  };
}

/** A mute in the words of the API. */
export function muteText({ reason, id }: Mute): string {
  switch (reason) {
    case "silenced":
      return `silenced: silence ${id}`;
    case "quiet_hours":
      return `quiet_hours: "${id}"`;
    case "inhibited":
      return `inhibited: incident ${id} on the same node`;
  }
}
