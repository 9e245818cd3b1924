import { bars, scaleOf } from "../base/bars.ts";
import { plainNumber } from "../base/value.ts";
import type { Words } from "./words.ts";

/** Fits one line of a chat on a phone. */
const widestSparkline = 30;

const mebibyte = 1_024 ** 2;

/** Memory in powers of 1024, as `free` and `top` count it: `1.5 GiB`, `12 MiB`. */
export function formatMemory(bytes: number): string {
  // 1023.95 MiB would be shown as 1024 MiB.
  if (bytes >= 1_023.95 * mebibyte) return `${plainNumber(bytes / (1_024 * mebibyte), 1)} GiB`;
  return `${plainNumber(bytes / mebibyte, 1)} MiB`;
}

/** The two biggest units of a time span: `1 h 5 min`. */
export function formatDuration(ms: number, units: Words["units"]): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  const parts: readonly (readonly [number, string])[] = [
    [Math.floor(seconds / 86_400), units.day],
    [Math.floor(seconds / 3_600) % 24, units.hour],
    [Math.floor(seconds / 60) % 60, units.minute],
    [seconds % 60, units.second],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  if (first < 0) return `0 ${units.second}`;
  return parts
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(" ");
}

/** RFC 3339 in UTC, to the second. */
export function formatTime(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");
}

function inBuckets(values: readonly (number | null)[]): (number | null)[] {
  const size = Math.ceil(values.length / widestSparkline);
  const buckets: (number | null)[] = [];
  for (let at = 0; at < values.length; at += size) {
    const known = values.slice(at, at + size).filter((value) => value !== null);
    buckets.push(known.length === 0 ? null : Math.max(...known));
  }
  return buckets;
}

/** The last values as a line of bars, `·` where one is missing; null when fewer than three are known. */
export function sparkline(values: readonly (number | null)[]): string | null {
  if (values.filter((value) => value !== null).length < 3) return null;
  return bars(inBuckets(values), scaleOf(values));
}
