import { formatValue } from "../base/value.ts";
import type { AlertMessage } from "../core/delivery.ts";
import { chartSize, drawable, drawChart } from "./chart/draw.ts";
import { formatTime } from "./format.ts";
import { escapeHtml } from "../base/text.ts";
import type { Words } from "./words.ts";

/** The last half hour as a picture within a mail; SVG is not shown by most mail readers. */
export interface MailChart {
  readonly png: Buffer;
  /** What the HTML shows it by (RFC 2392), without angle brackets. */
  readonly contentId: string;
  /** The picture with its numbers and times as text around it. */
  readonly html: string;
}

interface ChartLook {
  readonly words: Words;
  /** Of the level, 0xRRGGBB. */
  readonly colour: number;
  readonly contentId: string;
}

/** `lowest 12 %, highest 97.3 %, threshold 80 %`. */
function numbersText({ recent, incident }: AlertMessage, words: Words): string {
  const { threshold, subject } = incident;
  const known = drawable(recent).filter((value) => value !== null);
  const parts = [
    `${words.lowest} ${formatValue(Math.min(...known), subject.unit)}`,
    `${words.highest} ${formatValue(Math.max(...known), subject.unit)}`,
  ];
  if (threshold !== null)
    parts.push(`${words.labels.threshold} ${formatValue(threshold, subject.unit)}`);
  return parts.join(" · ");
}

function htmlOf(message: AlertMessage, stepMs: number, { words, contentId }: ChartLook): string {
  const { recent, atMs } = message;
  const numbers = escapeHtml(`${words.labels.trend}${words.colon}${numbersText(message, words)}`);
  const from = formatTime(atMs - (recent.length - 1) * stepMs);
  const { width, height } = chartSize;
  return [
    `<p style="margin:16px 0 4px;color:#666">${numbers}</p>`,
    `<img src="cid:${contentId}" width="${width}" height="${height}" alt="${numbers}" style="display:block;max-width:100%;height:auto;border:1px solid #ddd">`,
    `<p style="margin:4px 0 16px;color:#666">${from} – ${formatTime(atMs)}</p>`,
  ].join("\n");
}

/** The chart of a message; null when too few values are known, or not of which times they are. */
export function chartOf(message: AlertMessage, look: ChartLook): MailChart | null {
  const { recent, recentStepMs, incident } = message;
  if (recentStepMs === undefined) return null;
  const { threshold } = incident;
  const png = drawChart({ values: recent, threshold, colour: look.colour });
  if (png === null) return null;
  return { png, contentId: look.contentId, html: htmlOf(message, recentStepMs, look) };
}
