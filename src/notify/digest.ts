import { truncateBytes } from "../base/text.ts";
import type { Digest, DigestItem, Language } from "../core/delivery.ts";
import { formatDuration, formatTime } from "./format.ts";
import { inUnit, isLink, type Rendered, type RenderedRow } from "./render.ts";
import {
  countNodes,
  countsText,
  sectionsOf,
  standingText,
  toneOf,
  type Entry,
  type Section,
} from "./sections.ts";
import { wordsOf, type Words } from "./words.ts";

/** So many of a section have a line of their own with their value; the others are named. */
const linesEach = 10;

/** Every channel has this room for a title, whatever its escapes make of it: none is cut. */
const maxTitleBytes = 200;

/** More of a rule's name would leave no room for those of nodes. */
const maxRuleBytes = 200;

/** What began and ended before anybody was told: from when to when, and how far it went. */
function briefText({ message: { incident, atMs } }: DigestItem, words: Words): string {
  const endMs = incident.endedAtMs ?? atMs;
  const times = `${formatTime(incident.startedAtMs)} – ${formatTime(endMs)}`;
  const lasted = formatDuration(endMs - incident.startedAtMs, words.units);
  const peak = inUnit(incident.peak, incident.subject.unit);
  const told = [
    words.over(times, lasted),
    ...(peak === null ? [] : [`${words.labels.peak} ${peak}`]),
  ];
  return told.join(words.comma);
}

/** `node-7 /data 99.1 %`; what began and ended in between with its times. */
function lineOf({ item, name }: Entry, words: Words): string {
  const { kind, incident } = item.message;
  const { unit, operator } = incident.subject;
  if (kind === "resolved" && item.isFirst) return `${name}${words.colon}${briefText(item, words)}`;
  // Without a condition nobody knows what value a recovery had: the last one is of when it fired.
  const value = kind === "resolved" && operator === null ? null : inUnit(incident.value, unit);
  const isPlain = kind === "firing" || kind === "resolved" || kind === "test";
  const suffix = isPlain ? "" : ` (${words.kinds[kind]})`;
  return (value === null ? name : `${name} ${value}`) + suffix;
}

/** `[CRITICAL] cpu-high: 37 nodes`. */
export function headingOf({ rule, standing, entries }: Section, words: Words): string {
  const name = truncateBytes(rule, maxRuleBytes);
  const count = words.alertsOn(entries.length, countNodes(entries));
  const heading = `[${standingText(standing, words)}] ${name}${words.colon}${count}`;
  return standing === "brief" ? `${heading}${words.comma}${words.brief}` : heading;
}

/** What of a digest, or of a section, stands in a message. */
interface Extent {
  /** So many of its parts, the most urgent first: of a digest headings and incidents, of a section incidents. */
  readonly count: number;
  /** Whether all that began and ended in between have a line of their own. */
  readonly isAtLength: boolean;
}

function partsOf(sections: readonly Section[]): number {
  return sections.reduce((sum, { entries }) => sum + entries.length + 1, 0);
}

function sectionRows(
  section: Section,
  { count: shown, isAtLength }: Extent,
  words: Words,
): readonly string[] {
  const { entries, standing } = section;
  const lines = standing === "brief" && isAtLength ? shown : Math.min(shown, linesEach);
  const more = entries.length - shown;
  const names = entries.slice(lines, shown).map(({ name }) => name);
  if (more > 0) names.push(words.more(more));
  return [
    headingOf(section, words),
    ...entries.slice(0, lines).map((entry) => lineOf(entry, words)),
    ...(names.length > 0 ? [names.join(words.comma)] : []),
  ];
}

/** What is left out is counted: within a section at its end, whole sections at the end of all. */
function rowsOf(
  sections: readonly Section[],
  { count, isAtLength }: Extent,
  words: Words,
): readonly RenderedRow[] {
  const rows: string[] = [];
  let room = count;
  let left = 0;
  for (const section of sections) {
    const { length } = section.entries;
    if (room === 0) left += length;
    else {
      const shown = Math.min(room - 1, length);
      rows.push(...sectionRows(section, { count: shown, isAtLength }, words));
    }
    room = Math.max(0, room - 1 - length);
  }
  if (left > 0) rows.push(words.more(left));
  return rows.map((value) => ({ label: "", value }));
}

/** As much as there is room for, the most urgent first. */
function fitSections(sections: readonly Section[], words: Words): NonNullable<Rendered["fit"]> {
  return (maxBytes, build) => {
    const bodyOf = (count: number, isAtLength: boolean): string =>
      build(rowsOf(sections, { count, isAtLength }, words));
    const isIn = (body: string): boolean => Buffer.byteLength(body) <= maxBytes;
    const parts = partsOf(sections);
    const whole = bodyOf(parts, true);
    if (isIn(whole)) return whole;
    let [fits, tooMany] = [0, parts + 1];
    let body = bodyOf(0, false);
    while (tooMany - fits > 1) {
      const middle = Math.floor((fits + tooMany) / 2);
      const tried = bodyOf(middle, false);
      if (isIn(tried)) [fits, body] = [middle, tried];
      else tooMany = middle;
    }
    return body;
  };
}

/** How many there are of one rule: `cpu-high: 37 nodes, 3 CRITICAL, 34 WARNING`. */
function ruleText([first, ...others]: readonly [Section, ...Section[]], words: Words): string {
  const entries = [first, ...others].flatMap((section) => section.entries);
  const count = words.alertsOn(entries.length, countNodes(entries));
  const isMixed = others.some(
    ({ standing }) => standingText(standing, words) !== standingText(first.standing, words),
  );
  const counts = isMixed ? `${words.comma}${countsText([first, ...others], words)}` : "";
  return `${first.rule}${words.colon}${count}${counts}`;
}

/** `worst node-7 99.1 %`; null when nothing fires, or nobody knows its value. */
function worstText({ worst }: Section, words: Words): string | null {
  const { kind, incident } = worst.item.message;
  const amount = kind === "resolved" ? null : inUnit(incident.value, incident.subject.unit);
  return amount === null ? null : words.worst(`${worst.name} ${amount}`);
}

/** `[CRITICAL] cpu-high: 37 nodes, worst node-7 99.1 %`, or how many there are of what; no name in it is cut. */
function titleOf(sections: readonly Section[], words: Words): string {
  const [first, ...others] = sections;
  if (first === undefined) return words.alertsOn(0, 0);
  const state = `[${standingText(first.standing, words)}] `;
  const entries = sections.flatMap((section) => section.entries);
  const all = words.alertsOn(entries.length, countNodes(entries));
  const titles = [`${state}${all}${words.colon}${countsText(sections, words)}`];
  if (others.every(({ rule }) => rule === first.rule)) {
    const ofRule = state + ruleText([first, ...others], words);
    const worst = worstText(first, words);
    titles.unshift(...(worst === null ? [] : [`${ofRule}${words.comma}${worst}`]), ofRule);
  }
  const fitting = titles.find((title) => Buffer.byteLength(title) <= maxTitleBytes);
  return fitting ?? state + all;
}

/** Puts a digest into words. */
export function renderDigest(digest: Digest, language: Language): Rendered {
  const words = wordsOf(language);
  const sections = sectionsOf(digest);
  const title = titleOf(sections, words);
  const list = digest.publicUrl === null ? "" : `${digest.publicUrl.replace(/\/+$/, "")}/`;
  return {
    tone: toneOf(sections[0]?.standing),
    title,
    summary: title,
    rows: rowsOf(sections, { count: partsOf(sections), isAtLength: true }, words),
    links: isLink(list) ? [{ label: words.list, url: new URL(list).href }] : [],
    // Each is about one alert.
    actions: [],
    words,
    fit: fitSections(sections, words),
  };
}
