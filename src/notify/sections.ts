import type { Incident } from "../core/alert.ts";
import type { Digest, DigestItem } from "../core/delivery.ts";
import { nodeId } from "../core/node.ts";
import { levels, type Level } from "../core/rule.ts";
import { isClosed, oneLine, type Tone } from "./render.ts";
import type { Words } from "./words.ts";

/**
 * How an incident of a digest stands: the level at which it fires; `closed`: it ended though its value still breaches;
 * `brief`: it began and ended before anybody was told; `resolved`: it is over.
 */
export type Standing = Level | "closed" | "brief" | "resolved";

/** The most urgent first. */
const standings: readonly Standing[] = [...levels.toReversed(), "closed", "brief", "resolved"];

/** One incident of a section. */
export interface Entry {
  readonly item: DigestItem;
  /** `node-7`, `node-7 /data`: a node, and what of it; with its cluster where there are several. */
  readonly name: string;
}

/** The incidents of one rule that stand alike. */
export interface Section {
  readonly rule: string;
  readonly standing: Standing;
  /** At least one. */
  readonly entries: readonly Entry[];
  readonly worst: Entry;
}

/** What the name of a node, a section's heading or its level say already. */
const saidElsewhere = new Set(["alertname", "cluster", "instance", "node", "severity"]);

/** Names longer than this come last, so that they take nobody's place. */
const longNameBytes = 300;

function standingOf({ message, isFirst }: DigestItem): Standing {
  if (message.kind !== "resolved") return message.incident.level;
  if (isClosed(message)) return "closed";
  return isFirst ? "brief" : "resolved";
}

/** How far a value is on the breaching side. */
function excess({ value, threshold, subject: { operator } }: Incident): number {
  if (value === null) return Number.NEGATIVE_INFINITY;
  const distance = value - (threshold ?? 0);
  return operator?.startsWith("<") === true ? -distance : distance;
}

/** Labels of reported alerts that are not all the same: they tell one from another. */
function differing(items: readonly DigestItem[]): ReadonlySet<string> {
  const all = items.map(({ message }) => message.incident.subject.labels);
  const names = new Set(all.flatMap((labels) => Object.keys(labels)));
  const isSame = (name: string): boolean => new Set(all.map((labels) => labels[name])).size === 1;
  return new Set([...names].filter((name) => !saidElsewhere.has(name) && !isSame(name)));
}

function nameOf(
  { message }: DigestItem,
  hasClusters: boolean,
  telling: ReadonlySet<string>,
): string {
  const { node, labels, operator } = message.incident.subject;
  const what = Object.entries(labels).flatMap(([name, value]) =>
    operator !== null || telling.has(name) ? [value] : [],
  );
  return oneLine([hasClusters ? nodeId(node) : node.name, ...what].join(" ")).toWellFormed();
}

function isLong({ name }: Entry): boolean {
  return Buffer.byteLength(name) > longNameBytes;
}

/** The worst first: by the level, which those that are over had, then by value, then by name. */
function byExcess(a: Entry, b: Entry): number {
  const [one, other] = [a.item.message.incident, b.item.message.incident];
  if (one.level !== other.level) return levels.indexOf(other.level) - levels.indexOf(one.level);
  const [x, y] = [excess(one), excess(other)];
  if (x !== y) return y > x ? 1 : -1;
  if (a.name === b.name) return 0;
  return a.name < b.name ? -1 : 1;
}

/** What fires comes first, critical before the rest; of those that stand alike the rule with most of them. */
function byUrgency(a: Section, b: Section): number {
  const of = ({ standing }: Section): number => standings.indexOf(standing);
  return of(a) - of(b) || b.entries.length - a.entries.length;
}

function sectionOf(items: readonly DigestItem[], hasClusters: boolean): Section[] {
  const telling = differing(items);
  const named = items.map((item) => ({ item, name: nameOf(item, hasClusters, telling) }));
  const entries = named.toSorted(byExcess);
  const [worst] = entries;
  if (worst === undefined) return [];
  return [
    {
      rule: oneLine(worst.item.message.incident.subject.rule).toWellFormed(),
      standing: standingOf(worst.item),
      entries: [...entries.filter((entry) => !isLong(entry)), ...entries.filter(isLong)],
      worst,
    },
  ];
}

/** The sections of a digest, the most urgent first, each with the worst first. */
export function sectionsOf({ items }: Digest): readonly Section[] {
  const clusters = new Set(items.map(({ message }) => message.incident.subject.node.cluster));
  const groups = Map.groupBy(items, (item) =>
    JSON.stringify([item.message.incident.subject.rule, standingOf(item)]),
  );
  return [...groups.values()]
    .flatMap((all) => sectionOf(all, clusters.size > 1))
    .toSorted(byUrgency);
}

/** How many nodes incidents are on. */
export function countNodes(entries: readonly Entry[]): number {
  return new Set(entries.map(({ item }) => nodeId(item.message.incident.subject.node))).size;
}

/** How a standing is called in a message. */
export function standingText(standing: Standing, words: Words): string {
  if (standing === "closed") return words.closed;
  return standing === "brief" || standing === "resolved" ? words.resolved : words.levels[standing];
}

/** How a message looks whose most urgent incidents stand so. */
export function toneOf(standing: Standing | undefined): Tone {
  if (standing === undefined || standing === "brief") return "resolved";
  return standing === "closed" ? "info" : standing;
}

/** How many stand how: `3 CRITICAL, 34 WARNING`. */
export function countsText(sections: readonly Section[], words: Words): string {
  const counts = new Map<string, number>();
  for (const standing of standings) {
    const own = sections.filter((section) => section.standing === standing);
    const count = own.reduce((sum, { entries }) => sum + entries.length, 0);
    const text = standingText(standing, words);
    if (count > 0) counts.set(text, (counts.get(text) ?? 0) + count);
  }
  return [...counts].map(([text, count]) => words.countOf(count, text)).join(words.comma);
}
