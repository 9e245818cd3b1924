import { escapeHtml } from "../base/text.ts";
import type { Digest } from "../core/delivery.ts";
import { headingOf } from "./digest.ts";
import { formatTime } from "./format.ts";
import { inUnit } from "./render.ts";
import { sectionsOf, type Entry } from "./sections.ts";
import type { Words } from "./words.ts";

/** Nobody reads further, and mail readers cut what is far longer; what is more is counted. */
const maxRows = 1_000;

const columns = ["node", "last", "peak", "started", "ended"] as const;

function rowOf(cells: readonly string[]): string {
  return `<tr>${cells.map((text) => `<td style="padding:2px 12px 2px 0">${escapeHtml(text)}</td>`).join("")}</tr>`;
}

function wideRow(text: string): string {
  return `<tr><td colspan="${columns.length}" style="padding:12px 0 2px"><b>${escapeHtml(text)}</b></td></tr>`;
}

function entryRow({ item, name }: Entry): string {
  const { kind, incident, atMs } = item.message;
  const { unit, operator } = incident.subject;
  const isOver = kind === "resolved";
  // Without a condition nobody knows what value a recovery had: the last one is of when it fired.
  const value = isOver && operator === null ? null : inUnit(incident.value, unit);
  return rowOf([
    name,
    value ?? "",
    inUnit(incident.peak, unit) ?? "",
    formatTime(incident.startedAtMs),
    isOver ? formatTime(incident.endedAtMs ?? atMs) : "",
  ]);
}

/** The rows of a table of all alerts of a digest, each section below its heading. */
export function tableOf(digest: Digest, words: Words): string {
  const rows = [rowOf(columns.map((column) => words.labels[column]))];
  let room = maxRows;
  for (const section of sectionsOf(digest)) {
    if (room === 0) break;
    const shown = section.entries.slice(0, room);
    rows.push(wideRow(headingOf(section, words)), ...shown.map(entryRow));
    room -= shown.length;
  }
  const more = digest.items.length - maxRows;
  if (more > 0) rows.push(wideRow(words.more(more)));
  return rows.join("\n");
}
