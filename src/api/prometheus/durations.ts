/** The units of Prometheus' durations in milliseconds, in the order in which one duration may have them. */
const units: readonly (readonly [unit: string, ms: number])[] = [
  ["y", 365 * 86_400_000],
  ["w", 7 * 86_400_000],
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
  ["ms", 1],
];

const form = new RegExp(`^${units.map(([unit]) => `(?:(\\d{1,15})${unit})?`).join("")}$`);

/** A decimal number as Go writes and reads it. */
const float = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;

/** Reads `5m`, `1h30m` or `1d`; milliseconds, or null when it is none. Whole numbers only, each unit once, as Prometheus. */
export function parsePromDurationMs(text: string): number | null {
  const match = text === "" ? null : form.exec(text);
  if (match === null) return null;
  return units.reduce((total, [, ms], at) => total + Number(match[at + 1] ?? 0) * ms, 0);
}

/** Reads a number of seconds, which may have a fraction and an exponent; whole milliseconds, or null when it is none. */
export function parseSecondsMs(text: string): number | null {
  if (!float.test(text)) return null;
  const ms = Math.round(Number(text) * 1_000);
  return Number.isFinite(ms) ? ms : null;
}
