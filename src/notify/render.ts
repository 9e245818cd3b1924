import { truncateBytes } from "../base/text.ts";
import { formatValue } from "../base/value.ts";
import type { AlertSubject, Incident } from "../core/alert.ts";
import {
  type AlertMessage,
  type Language,
  pressureNames,
  type Pressures,
  type ProcessUse,
  type Template,
} from "../core/delivery.ts";
import { breaches } from "../core/rule.ts";
import { formatDuration, formatMemory, formatTime, sparkline } from "./format.ts";
import { fillTemplate } from "./template.ts";
import { templateView } from "./template-view.ts";
import { wordsOf, type RowName, type Words } from "./words.ts";

/** How a message looks: a level, or that all is well again. */
export type Tone = "critical" | "warning" | "info" | "resolved";

export interface RenderedRow {
  readonly label: string;
  readonly value: string;
}

export interface RenderedLink {
  readonly label: string;
  readonly url: string;
}

/** A message in a language, for a channel to lay out. All of it is plain text: a channel escapes it. */
export interface Rendered {
  readonly tone: Tone;
  /** Level, what and where, on one line. */
  readonly title: string;
  /** One line for a preview: the condition, or what kind of message it is. */
  readonly summary: string;
  readonly rows: readonly RenderedRow[];
  readonly links: readonly RenderedLink[];
  /** What people may do about it; links to show as buttons where there are any. */
  readonly actions: readonly RenderedLink[];
  readonly words: Words;
  /** How it is shortened to fit; missing: its longest values are. */
  readonly fit?: (maxBytes: number, build: (rows: readonly RenderedRow[]) => string) => string;
}

/** A title longer than this hides what it says; node names and labels may be any length. */
const maxTitleBytes = 300;
/** No browser or chat opens longer links reliably. */
const maxUrlBytes = 2_000;
/** The beginning of a value that is shorter than this tells nothing. */
const leastWorthKeepingBytes = 40;

/** A text on one line, without control characters: they would end a mail header or a line of markdown. */
export function oneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\u2028\u2029]+/gu, " ").trim();
}

/**
 * What is watched, as people call it: `disk /data`. An alert without a condition comes from others: its name says all,
 * and its many labels have a row of their own.
 */
function subjectName({ index, labels, operator }: AlertSubject, words: Words): string {
  const name = words.indexes[index] ?? index;
  return oneLine(operator === null ? name : [name, ...Object.values(labels)].join(" "));
}

/** `job=api, queue=mail`, sorted by name; null: it has none. */
function labelsText(labels: AlertSubject["labels"]): string | null {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}=${value}`);
  return pairs.length === 0 ? null : oneLine(pairs.toSorted().join(", "));
}

/** Whether the last value is on the breaching side; never without a condition. */
function isBreaching({ subject, value, threshold }: Incident): boolean {
  return (
    subject.operator !== null &&
    value !== null &&
    threshold !== null &&
    breaches(subject.operator, value, threshold)
  );
}

/** A value in its unit; null where there is none. */
export function inUnit(value: number | null, unit: string): string | null {
  return value === null ? null : formatValue(value, unit);
}

/** The part of a message that says what happened to what. */
export type AboutIncident = Pick<AlertMessage, "kind" | "incident">;

/** An alert that ended though its value still breaches: nobody judges it any more. */
export function isClosed({ kind, incident }: AboutIncident): boolean {
  return incident.status === "resolved" && kind === "resolved" && isBreaching(incident);
}

/** What and where, on one line and without a level: `cpu 97.3 % on node-1`. */
export function headline({ kind, incident }: AboutIncident, words: Words): string {
  const { subject, value } = incident;
  const node = oneLine(subject.node.name);
  if (kind === "test") return `TargetVPC: ${words.testTitle(node)}`;
  // Without a condition nobody knows what value a recovery had: the last one is of when it fired.
  const known = kind === "resolved" && subject.operator === null ? null : value;
  return words.title(subjectName(subject, words), inUnit(known, subject.unit), node);
}

function titleOf(message: AlertMessage, words: Words): string {
  const { kind, incident } = message;
  const { level } = incident;
  const what = headline(message, words);
  if (kind === "test") return `[${words.test}] ${what}`;
  if (kind === "resolved") return `[${isClosed(message) ? words.closed : words.resolved}] ${what}`;
  const suffix = kind === "firing" ? "" : ` (${words.kinds[kind]})`;
  return `[${words.levels[level]}] ${what}${suffix}`;
}

/** `disk /data > 80 %`, with the index' own name; null for an alert without an operator. */
export function conditionOf({ subject, threshold }: Incident): string | null {
  if (subject.operator === null || threshold === null) return null;
  const what = oneLine([subject.index, ...Object.values(subject.labels)].join(" "));
  return `${what} ${subject.operator} ${formatValue(threshold, subject.unit)}`;
}

/** What the last value of an incident is to be called: recovered only when it is known to breach no longer. */
function valueName(incident: Incident): RowName {
  if (incident.status === "firing") return "value";
  return incident.subject.operator === null || isBreaching(incident) ? "last" : "recovered";
}

function times({ kind, incident, atMs }: AlertMessage, words: Words): [RowName, string | null][] {
  const endMs = incident.endedAtMs ?? atMs;
  const lastedMs = endMs - incident.startedAtMs;
  return [
    ["started", formatTime(incident.startedAtMs)],
    ["ended", kind === "resolved" ? formatTime(endMs) : null],
    ["duration", lastedMs >= 1_000 ? formatDuration(lastedMs, words.units) : null],
  ];
}

/** `stress (batch/stress-pod/main) 98 %`. */
export function processText({ name, owner, value, unit }: ProcessUse): string {
  const amount = unit === "B" ? formatMemory(value) : formatValue(value, unit);
  return oneLine(owner === null ? `${name} ${amount}` : `${name} (${owner}) ${amount}`);
}

/** `cpu 43 % · memory 0 % · io 12 % (10 s)`: how much of the last ten seconds somebody waited. */
function pressureText(pressures: Pressures, words: Words): string {
  const parts = pressureNames.flatMap((name) => {
    const pressure = pressures[name];
    if (pressure === undefined) return [];
    return [`${words.pressures[name]} ${formatValue(Math.round(pressure.some.avg10), "%")}`];
  });
  return words.over(parts.join(" · "), formatDuration(10_000, words.units));
}

/** What the host and its processes were doing. */
function evidenceRows(
  evidence: AlertMessage["evidence"],
  words: Words,
): [RowName, string | null][] {
  const { processes = null, pressure = null } = evidence ?? {};
  return [
    ["processes", processes?.map(processText).join(", ") ?? null],
    ["pressure", pressure === null ? null : pressureText(pressure, words)],
  ];
}

/** What is to be said of it in words, by its rule or because nobody judges it any more; null: nothing. */
export function saidOf(message: AboutIncident, words: Words): string | null {
  if (message.kind === "test") return words.testText;
  return isClosed(message) ? words.closedText : message.incident.subject.message;
}

function rowsOf(message: AlertMessage, words: Words): [RowName, string | null][] {
  const { kind, incident, recent, evidence, atMs } = message;
  const { subject, threshold, value, peak, flaps } = incident;
  const { cluster, name, ip } = subject.node;
  const node = oneLine(`${cluster}/${name} (${ip})`);
  if (kind === "test")
    return [
      ["node", node],
      ["started", formatTime(atMs)],
      ["message", saidOf(message, words)],
    ];
  const { unit } = subject;
  return [
    ["node", node],
    ["rule", oneLine(subject.rule)],
    ["condition", conditionOf(incident)],
    ["labels", subject.operator === null ? labelsText(subject.labels) : null],
    [valueName(incident), inUnit(value, unit)],
    ["threshold", inUnit(threshold, unit)],
    ["peak", peak === value ? null : inUnit(peak, unit)],
    ...times(message, words),
    ["flaps", flaps > 0 ? String(flaps) : null],
    ["trend", sparkline(recent)],
    ...evidenceRows(evidence, words),
    ["message", saidOf(message, words)],
  ];
}

/** Whether an address can be shown as a link. */
export function isLink(url: string): boolean {
  return (
    /^https?:\/\/\S+$/i.test(url) && URL.canParse(url) && Buffer.byteLength(url) <= maxUrlBytes
  );
}

/** Where an incident is shown. */
export function detailsUrl(publicUrl: string, { id }: Incident): string {
  return `${publicUrl.replace(/\/+$/, "")}/api/alerts/${encodeURIComponent(id)}`;
}

function linksOf({ kind, incident, publicUrl }: AlertMessage, words: Words): RenderedLink[] {
  if (kind === "test") return [];
  const { runbookUrl, sourceUrl } = incident.subject;
  const links: RenderedLink[] = [];
  if (runbookUrl !== null) links.push({ label: words.runbook, url: runbookUrl });
  if (sourceUrl !== undefined) links.push({ label: words.source, url: sourceUrl });
  if (publicUrl !== null)
    links.push({ label: words.details, url: detailsUrl(publicUrl, incident) });
  return links
    .filter(({ url }) => isLink(url))
    .map((link) => ({ ...link, url: new URL(link.url).href }));
}

function toneOf(message: AlertMessage): Tone {
  const { kind, incident } = message;
  if (isClosed(message)) return "info";
  if (kind === "resolved") return "resolved";
  return kind === "test" ? "info" : incident.level;
}

/** A row as one text; what a template says has no label. */
export function rowText({ label, value }: RenderedRow, { colon }: Words): string {
  return label === "" ? value : `${label}${colon}${value}`;
}

/** What the channel's template makes of title and rows. */
function applyTemplate(
  { title, text }: Template,
  message: AlertMessage,
  { rows, words }: { rows: ReadonlyMap<RowName, string>; words: Words },
): { title?: string; rows?: readonly RenderedRow[] } {
  const { runbookUrl, labels } = message.incident.subject;
  const view = templateView(message, rows, {
    headline: headline(message, words),
    level: words.levels[message.incident.level],
    labels: labelsText(labels) ?? "",
    runbook_url: runbookUrl ?? "",
    details_url: message.publicUrl === null ? "" : detailsUrl(message.publicUrl, message.incident),
  });
  const lines = text === null ? [] : fillTemplate(text, view).trimEnd().split("\n");
  return {
    ...(title === null ? {} : { title: oneLine(fillTemplate(title, view)) }),
    ...(text === null ? {} : { rows: lines.map((value) => ({ label: "", value })) }),
  };
}

/** Puts a message into words; into those of a template, where there is one. */
export function renderMessage(
  message: AlertMessage,
  language: Language,
  template: Template | null = null,
): Rendered {
  const words = wordsOf(language);
  const named = rowsOf(message, words).flatMap(([name, value]): [RowName, string][] =>
    value === null || value === "" ? [] : [[name, value]],
  );
  const summary =
    message.kind === "test"
      ? words.testText
      : (conditionOf(message.incident) ?? oneLine(message.incident.subject.rule));
  const own =
    template === null ? {} : applyTemplate(template, message, { rows: new Map(named), words });
  return {
    tone: toneOf(message),
    title: truncateBytes(own.title ?? titleOf(message, words), maxTitleBytes),
    summary: truncateBytes(summary, maxTitleBytes),
    rows: own.rows ?? named.map(([name, value]) => ({ label: words.labels[name], value })),
    links: linksOf(message, words),
    actions: (message.actions ?? [])
      .filter(({ url }) => isLink(url))
      .map(({ action, url }) => ({ label: words.actions[action], url: new URL(url).href })),
    words,
  };
}

/**
 * Shortens the longest values until the body a channel builds of them has at most `maxBytes`, and says so in each
 * shortened value. A byte of a value may be several of the body (escapes), so it goes down in steps.
 */
export function fitRows(
  { rows, words, fit }: Rendered,
  maxBytes: number,
  build: (rows: readonly RenderedRow[]) => string,
): string {
  if (fit !== undefined) return fit(maxBytes, build);
  const mark = words.shortened;
  const fitted = rows.map(({ label, value }) => ({ label, value }));
  for (;;) {
    const body = build(fitted);
    const bodyBytes = Buffer.byteLength(body);
    const longest = fitted
      .filter(({ value }) => value !== mark)
      .sort((a, b) => Buffer.byteLength(b.value) - Buffer.byteLength(a.value))[0];
    if (bodyBytes <= maxBytes || longest === undefined) return body;
    const kept = longest.value.replace(` ${mark}`, "");
    const bytes = Buffer.byteLength(longest.value);
    const target = Math.max(bytes - (bodyBytes - maxBytes), (bytes * 0.95 * maxBytes) / bodyBytes);
    const room = target - Buffer.byteLength(` ${mark}`);
    longest.value = room < leastWorthKeepingBytes ? mark : `${truncateBytes(kept, room)} ${mark}`;
  }
}
