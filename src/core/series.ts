import { AgentError } from "./errors.ts";

/** Labels of a series, `{mount: "/data"}`; none for most. */
export type Labels = Readonly<Record<string, string>>;

/** Canonical text of a series: `cpu`, `disk{mount="/data"}`; labels sorted by name. */
export type SeriesKey = string;

/** What an index is: the unit and the precision in which it is stored and shown. */
export interface IndexDefinition {
  readonly name: string;
  /** `%`, `B/s`, or empty for a plain number. */
  readonly unit: string;
  /** Decimal digits kept; cpu 12.34 is stored as 12.3 with 1. */
  readonly decimals: number;
  /** Label names its series carry. */
  readonly labels: readonly string[];
  readonly help: string;
}

/** One value of one series; null when it should be there and could not be read. */
export interface Reading {
  readonly index: string;
  readonly labels: Labels;
  readonly value: number | null;
}

/** What one tick collected, under the slot it belongs to (a multiple of the interval, Unix milliseconds). */
export interface Row {
  readonly slotMs: number;
  readonly values: ReadonlyMap<SeriesKey, number | null>;
}

/** A series asked for: an index with no labels, with exactly these labels, or (`*`) with any. */
export interface SeriesSelector {
  readonly index: string;
  readonly labels: Labels | "*";
}

/** What samples of one series become together. */
export const aggregates = ["avg", "min", "max", "last"] as const;
export type Aggregate = (typeof aggregates)[number];

export const noLabels: Labels = Object.freeze({});

const indexName = /^[a-z][a-z0-9_]*$/;
const labelPair = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"(?:,|$)/;

function escapeLabel(value: string): string {
  if (!/[\\"\n]/.test(value)) return value;
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}

function unescapeLabel(value: string): string {
  return value.replaceAll(/\\(.)/g, (_, char: string) => (char === "n" ? "\n" : char));
}

/** Writes `name="value"` pairs, sorted, values escaped as in Prometheus' text format. */
export function formatLabels(labels: Labels): string {
  return Object.keys(labels)
    .sort()
    .map((name) => `${name}="${escapeLabel(labels[name] ?? "")}"`)
    .join(",");
}

/** The canonical key of a series. */
export function seriesKey(index: string, labels: Labels): SeriesKey {
  const inner = formatLabels(labels);
  return inner === "" ? index : `${index}{${inner}}`;
}

function parseLabels(text: string, whole: string): Labels {
  const labels: Record<string, string> = {};
  let rest = text;
  while (rest !== "") {
    const pair = labelPair.exec(rest);
    if (pair === null)
      throw new AgentError(
        "INPUT_INVALID",
        `series ${JSON.stringify(whole)}: expected name{label="value"}`,
      );
    labels[pair[1] ?? ""] = unescapeLabel(pair[2] ?? "");
    rest = rest.slice(pair[0].length);
  }
  return labels;
}

/** Reads `cpu`, `disk{mount="/data"}` or `disk{*}`. Throws INPUT_INVALID on anything else. */
export function parseSelector(text: string): SeriesSelector {
  const open = text.indexOf("{");
  const index = open < 0 ? text : text.slice(0, open);
  if (!indexName.test(index) || (open >= 0 && !text.endsWith("}")))
    throw new AgentError(
      "INPUT_INVALID",
      `series ${JSON.stringify(text)}: expected name{label="value"}`,
    );
  if (open < 0) return { index, labels: noLabels };
  const inner = text.slice(open + 1, -1);
  return { index, labels: inner === "*" ? "*" : parseLabels(inner, text) };
}

/** Whether a series is one of those a selector asks for. */
export function selects(selector: SeriesSelector, key: SeriesKey): boolean {
  if (selector.labels === "*")
    return key === selector.index || key.startsWith(`${selector.index}{`);
  return key === seriesKey(selector.index, selector.labels);
}

/** Splits a list at its commas, but not at those inside the braces of a series. */
export function splitList(text: string): string[] {
  const parts = [""];
  // A braced group, in which quotes may hold braces; a comma; or a run of anything else.
  for (const [token] of text.matchAll(/\{(?:[^"}]|"(?:[^"\\]|\\.)*")*\}?|,|[^,{]+/gs))
    if (token === ",") parts.push("");
    else parts.push((parts.pop() ?? "") + token);
  return parts.map((part) => part.trim());
}
