const units: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** Reads seconds (`30`, `"30"`) or `"30s"`, `"5m"`, `"1h30m"`, `"500ms"`; milliseconds, or null when it is none. */
export function parseDurationMs(input: unknown): number | null {
  if (typeof input === "number") return Number.isFinite(input) && input >= 0 ? input * 1_000 : null;
  if (typeof input !== "string") return null;
  const text = input.trim();
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1_000;
  if (!/^(\d+(\.\d+)?(ms|[smhdw]))+$/.test(text)) return null;
  let total = 0;
  for (const [, amount, , unit] of text.matchAll(/(\d+(\.\d+)?)(ms|[smhdw])/g))
    total += Number(amount) * (units[unit ?? ""] ?? 0);
  return total;
}

/** A duration of whole milliseconds in the largest unit that divides it, as `parseDurationMs` reads it: `90s`, `1h`. */
export function durationText(ms: number): string {
  const fitting = Object.entries(units).findLast(([, unitMs]) => ms >= unitMs && ms % unitMs === 0);
  const [unit = "ms", unitMs = 1] = fitting ?? [];
  return `${ms / unitMs}${unit}`;
}

/**
 * Reads a point in time: Unix seconds, RFC 3339 (without a zone: UTC), `now`, or relative to now (`-1h`).
 * Unix milliseconds, or null when it is none of these.
 */
export function parseTimeMs(input: unknown, nowMs: number): number | null {
  if (typeof input === "number") return Number.isFinite(input) && input >= 0 ? input * 1_000 : null;
  if (typeof input !== "string") return null;
  const text = input.trim();
  if (text === "now") return nowMs;
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1_000;
  if (text.startsWith("-")) {
    const back = parseDurationMs(text.slice(1));
    return back === null ? null : nowMs - back;
  }
  return parseRfc3339Ms(text);
}

/** Reads an RFC 3339 time, or a date or a time without a zone (UTC); Unix milliseconds, or null when it is none. */
export function parseRfc3339Ms(text: string): number | null {
  const match =
    /^(\d{4}-\d{2}-\d{2})(?:[Tt ](\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)([Zz]|[+-]\d{2}:?\d{2})?)?$/.exec(
      text,
    );
  if (match === null) return null;
  const [, day, time = "00:00:00", zone = "Z"] = match;
  const ms = Date.parse(`${day}T${time}${zone.toUpperCase()}`);
  const asked = Number(day?.slice(8));
  const shifted = new Date(Date.parse(`${day}T00:00:00Z`)).getUTCDate();
  return Number.isNaN(ms) || shifted !== asked ? null : ms;
}
