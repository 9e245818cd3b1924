import type { Incident } from "../core/alert.ts";
import {
  weekdays,
  type Inhibition,
  type MessageTopic,
  type Mute,
  type QuietHours,
} from "../core/mute.ts";
import { nodeId, type NodeIdentity } from "../core/node.ts";
import { globMatches } from "../core/rule.ts";
import type { Labels } from "../core/series.ts";
import { silenceState, type Silence } from "../core/silence.ts";

function anyMatches(patterns: readonly string[] | null, ...texts: readonly string[]): boolean {
  return (
    patterns === null ||
    patterns.some((pattern) => texts.some((text) => globMatches(pattern, text)))
  );
}

function isOfNode(patterns: readonly string[] | null, node: NodeIdentity): boolean {
  return anyMatches(patterns, node.name, nodeId(node));
}

/** Whether labels fit the patterns of a silence; `only`: and are no more than those. */
function hasLabels(labels: Labels, patterns: Labels, only: boolean): boolean {
  const entries = Object.entries(patterns);
  return (
    (!only || Object.keys(labels).length === entries.length) &&
    entries.every(
      ([name, pattern]) => Object.hasOwn(labels, name) && globMatches(pattern, labels[name] ?? ""),
    )
  );
}

/** Whether a silence is about a message at some time. */
export function isSilenced(
  silence: Silence,
  { subject, level }: MessageTopic,
  nowMs: number,
): boolean {
  const { node, cluster, rule, index, level: levels, labels, onlyLabels } = silence.matchers;
  return (
    silenceState(silence, nowMs) === "active" &&
    isOfNode(node, subject.node) &&
    anyMatches(cluster, subject.node.cluster) &&
    anyMatches(rule, subject.rule) &&
    anyMatches(index, subject.index) &&
    (levels === null || levels.includes(level)) &&
    hasLabels(subject.labels, labels, onlyLabels === true)
  );
}

const minutesPerHour = 60;

/** What the clocks of a time zone show: the day of the week, 0 for Monday, and the minute of the day. */
export function wallClock(timezone: string, nowMs: number): { day: number; minute: number } {
  const parts = new Intl.DateTimeFormat("en-US", {
    timeZone: timezone,
    weekday: "short",
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
  }).formatToParts(nowMs);
  const part = (type: string): string => parts.find((one) => one.type === type)?.value ?? "";
  return {
    day: weekdays.findIndex((day) => day === part("weekday").toLowerCase()),
    minute: Number(part("hour")) * minutesPerHour + Number(part("minute")),
  };
}

/** Whether it is the time of quiet hours. What the clocks show decides, also on the days they are changed. */
export function isQuietTime(hours: QuietHours, nowMs: number): boolean {
  const { days, fromMinute, toMinute, timezone } = hours;
  const { day, minute } = wallClock(timezone, nowMs);
  const begins = (at: number): boolean => days.some((name) => name === weekdays[at]);
  if (fromMinute < toMinute) return begins(day) && minute >= fromMinute && minute < toMinute;
  const yesterday = (day + weekdays.length - 1) % weekdays.length;
  return (begins(day) && minute >= fromMinute) || (begins(yesterday) && minute < toMinute);
}

/** Whether quiet hours are about a message at some time. */
export function isQuiet(
  hours: QuietHours,
  { subject, level }: MessageTopic,
  nowMs: number,
): boolean {
  return (
    hours.levels.includes(level) &&
    anyMatches(hours.rules, subject.rule) &&
    isOfNode(hours.nodes, subject.node) &&
    isQuietTime(hours, nowMs)
  );
}

/** The open incident because of which nothing is told of a subject; a rule that inhibits is never muted by its own entry. */
export function inhibitorOf(
  { when, mutes }: Inhibition,
  { subject }: MessageTopic,
  open: readonly Incident[],
): Incident | undefined {
  if (!anyMatches(mutes, subject.rule) || globMatches(when, subject.rule)) return undefined;
  return open.find(
    ({ subject: other }) =>
      globMatches(when, other.rule) && nodeId(other.node) === nodeId(subject.node),
  );
}

/** All that may hold messages back. */
export interface MutesInForce {
  readonly silences: readonly Silence[];
  readonly quietHours: readonly QuietHours[];
  readonly inhibit: readonly Inhibition[];
  /** Every incident that is open on this agent, of foreign alerts too. */
  readonly open: readonly Incident[];
}

/** Why people are told nothing of a topic at some time; null: they are told. Pure. */
export function muteOf(topic: MessageTopic, inForce: MutesInForce, nowMs: number): Mute | null {
  const silence = inForce.silences.find((one) => isSilenced(one, topic, nowMs));
  if (silence !== undefined) return { reason: "silenced", id: silence.id };
  const hours = inForce.quietHours.find((one) => isQuiet(one, topic, nowMs));
  if (hours !== undefined) return { reason: "quiet_hours", id: hours.name };
  for (const inhibition of inForce.inhibit) {
    const inhibitor = inhibitorOf(inhibition, topic, inForce.open);
    if (inhibitor !== undefined) return { reason: "inhibited", id: inhibitor.id };
  }
  return null;
}
