import { truncateBytes } from "../base/text.ts";
import type { Incident } from "../core/alert.ts";
import type { Digest, DigestItem, Language } from "../core/delivery.ts";
import { levels, type Level } from "../core/rule.ts";
import { formatTime } from "./format.ts";
import {
  inUnit,
  isLink,
  maxTitleBytes,
  oneLine,
  type Rendered,
  type RenderedRow,
  type Tone,
} from "./render.ts";
import { wordsOf, type Words } from "./words.ts";

/** So many of a section have a line of their own with their value; the others are named. */
const linesEach = 10;

/** The incidents of one rule and level that fire, or of one rule that are over. */
interface Section {
  readonly rule: string;
  /** Null: they are over. */
  readonly level: Level | null;
  readonly items: readonly DigestItem[];
}

function levelOf({ message: { kind, incident } }: DigestItem): Level | null {
  return kind === "resolved" ? null : incident.level;
}

/** How far a value is on the breaching side. */
function excess({ value, subject: { operator } }: Incident): number {
  if (value === null) return Number.NEGATIVE_INFINITY;
  return operator?.startsWith("<") === true ? -value : value;
}

/** `node-7`, `node-7 /data`: a node, and what of it. */
function nameOf({ message: { incident } }: DigestItem): string {
  const { node, labels, operator } = incident.subject;
  return oneLine([node.name, ...(operator === null ? [] : Object.values(labels))].join(" "));
}

/** The worst first: by level, which those that are over had, then by value. */
function byExcess(a: DigestItem, b: DigestItem): number {
  const [one, other] = [a.message.incident, b.message.incident];
  if (one.level !== other.level) return levels.indexOf(other.level) - levels.indexOf(one.level);
  const [x, y] = [excess(one), excess(other)];
  if (x !== y) return y > x ? 1 : -1;
  return nameOf(a) < nameOf(b) ? -1 : 1;
}

/** Critical first, what is over last; of one level the rule with most of them. */
function sectionsOf({ items }: Digest): readonly Section[] {
  const groups = Map.groupBy(items, (item) => {
    const { rule } = item.message.incident.subject;
    return JSON.stringify([rule, levelOf(item)]);
  });
  const had = ({ items }: Section): number =>
    Math.max(...items.map(({ message }) => levels.indexOf(message.incident.level)));
  const rank = (section: Section): number =>
    section.level === null ? had(section) - levels.length : had(section);
  return [...groups.values()]
    .flatMap((all): Section[] => {
      const [first] = all;
      if (first === undefined) return [];
      const { rule } = first.message.incident.subject;
      return [{ rule, level: levelOf(first), items: all.toSorted(byExcess) }];
    })
    .toSorted((a, b) => rank(b) - rank(a) || b.items.length - a.items.length);
}

function nodesOf(items: readonly DigestItem[]): number {
  const ids = items.map(({ message }) => {
    const { cluster, name } = message.incident.subject.node;
    return `${cluster}/${name}`;
  });
  return new Set(ids).size;
}

/** `node-7 /data 99.1 %`; what began and ended in between with its times. */
function lineOf(item: DigestItem, words: Words): string {
  const { kind, incident, atMs } = item.message;
  const { unit, operator } = incident.subject;
  if (kind !== "resolved") {
    const suffix = kind === "firing" || kind === "test" ? "" : ` (${words.kinds[kind]})`;
    return [nameOf(item), inUnit(incident.value, unit)].filter(Boolean).join(" ") + suffix;
  }
  if (!item.isFirst)
    return [nameOf(item), operator === null ? null : inUnit(incident.value, unit)]
      .filter(Boolean)
      .join(" ");
  const peak = inUnit(incident.peak, unit);
  const told = [
    `${formatTime(incident.startedAtMs)} – ${formatTime(incident.endedAtMs ?? atMs)}`,
    ...(peak === null ? [] : [`${words.labels.peak} ${peak}`]),
  ];
  return `${nameOf(item)}${words.colon}${told.join(words.comma)}`;
}

function headingOf({ rule, level, items }: Section, words: Words): string {
  const state = level === null ? words.resolved : words.levels[level];
  return `[${state}] ${oneLine(rule)}${words.colon}${words.alertsOn(items.length, nodesOf(items))}`;
}

/** What of a digest stands in a message: one part for each heading and each incident, the most urgent first. */
interface Part {
  readonly section: Section;
  /** Its place in the section; null: the heading. */
  readonly at: number | null;
}

/**
 * The rows with the first `count` parts. What is left out is counted: within a section at its end, whole sections at
 * the end of all.
 */
function rowsWith(parts: readonly Part[], count: number, words: Words): readonly RenderedRow[] {
  const shown = parts.slice(0, count);
  const rows: string[] = [];
  let left = 0;
  for (const section of new Set(parts.map(({ section }) => section))) {
    const own = shown.filter((part) => part.section === section);
    if (own.length === 0) {
      left += section.items.length;
      continue;
    }
    const items = section.items.slice(0, own.length - 1);
    rows.push(headingOf(section, words));
    rows.push(...items.slice(0, linesEach).map((item) => lineOf(item, words)));
    const more = section.items.length - items.length;
    const names = [
      ...items.slice(linesEach).map(nameOf),
      ...(more === 0 ? [] : [words.more(more)]),
    ];
    if (names.length > 0) rows.push(names.join(words.comma));
  }
  if (left > 0) rows.push(words.more(left));
  return rows.map((value) => ({ label: "", value }));
}

/** As many parts as there is room for, the most urgent first. */
function fitParts(parts: readonly Part[], words: Words): NonNullable<Rendered["fit"]> {
  return (maxBytes, build) => {
    const bodyOf = (count: number): string => build(rowsWith(parts, count, words));
    const whole = bodyOf(parts.length);
    if (Buffer.byteLength(whole) <= maxBytes) return whole;
    let [fits, tooMany] = [0, parts.length];
    let body = bodyOf(0);
    while (tooMany - fits > 1) {
      const middle = Math.floor((fits + tooMany) / 2);
      const tried = bodyOf(middle);
      if (Buffer.byteLength(tried) <= maxBytes) [fits, body] = [middle, tried];
      else tooMany = middle;
    }
    return body;
  };
}

function countsText(sections: readonly Section[], words: Words): string {
  const wanted: readonly (Level | null)[] = [...levels.toReversed(), null];
  return wanted
    .flatMap((level) => {
      const count = sections
        .filter((section) => section.level === level)
        .reduce((sum, { items }) => sum + items.length, 0);
      const state = level === null ? words.resolved : words.levels[level];
      return count === 0 ? [] : [words.countOf(count, state)];
    })
    .join(words.comma);
}

/** `[CRITICAL] cpu-high: 37 nodes, worst node-7 99.1 %`, or how many there are of what. */
function titleOf(digest: Digest, sections: readonly Section[], words: Words): string {
  const [first] = sections;
  if (first === undefined) return words.alertsOn(0, 0);
  const { items, level } = first;
  const [worst] = items;
  if (sections.length > 1 || worst === undefined) {
    const state = level === null ? words.resolved : words.levels[level];
    const all = words.alertsOn(digest.items.length, nodesOf(digest.items));
    return `[${state}] ${all}${words.colon}${countsText(sections, words)}`;
  }
  const heading = headingOf(first, words);
  const value = inUnit(worst.message.incident.value, worst.message.incident.subject.unit);
  if (level === null || value === null) return heading;
  return `${heading}${words.comma}${words.worst(`${nameOf(worst)} ${value}`)}`;
}

/** Puts a digest into words. */
export function renderDigest(digest: Digest, language: Language): Rendered {
  const words = wordsOf(language);
  const sections = sectionsOf(digest);
  const parts = sections.flatMap((section): Part[] => [
    { section, at: null },
    ...section.items.map((_, at) => ({ section, at })),
  ]);
  const tone: Tone = sections[0]?.level ?? "resolved";
  const title = truncateBytes(titleOf(digest, sections, words), maxTitleBytes);
  const list = digest.publicUrl === null ? "" : `${digest.publicUrl.replace(/\/+$/, "")}/`;
  return {
    tone,
    title,
    summary: title,
    rows: rowsWith(parts, parts.length, words),
    links: isLink(list) ? [{ label: words.list, url: new URL(list).href }] : [],
    // Each is about one alert.
    actions: [],
    words,
    fit: fitParts(parts, words),
  };
}
