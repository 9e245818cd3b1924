const spans = [
  [86_400_000, "day"],
  [3_600_000, "hour"],
  [60_000, "minute"],
  [1_000, "second"],
] as const;

/** How a language writes the units of a duration after their number. */
export type SpanUnits = Readonly<Record<(typeof spans)[number][1], string>>;

/** A duration in its largest units, `3 d 4 h`; one unit when that is enough. */
export function spanText(ms: number, units: SpanUnits, most = 2): string {
  let rest = Math.max(0, Math.floor(ms / 1_000) * 1_000);
  const parts: string[] = [];
  for (const [unitMs, unit] of spans) {
    const count = Math.floor(rest / unitMs);
    rest -= count * unitMs;
    if (count > 0) parts.push(`${count} ${units[unit]}`);
    if (parts.length === most) break;
  }
  return parts.join(" ") || `0 ${units.second}`;
}

/** `2026-01-05 12:00:00Z`: short, and the same for everybody who compares notes. */
export function timeText(ms: number): string {
  return new Date(ms)
    .toISOString()
    .replace("T", " ")
    .replace(/\.\d+Z$/, "Z");
}

const prefixes = ["", "k", "M", "G", "T"];

/** A value with its unit; bytes per second in the unit that leaves at most three digits. */
export function valueText(value: number, unit: string, decimals: number): string {
  if (unit !== "B/s") return `${value.toFixed(decimals)}${unit === "" ? "" : ` ${unit}`}`;
  let scaled = value;
  let power = 0;
  while (Math.abs(scaled) >= 1_000 && power < prefixes.length - 1) {
    scaled /= 1_000;
    power++;
  }
  return `${scaled.toFixed(power === 0 ? 0 : 1)} ${prefixes[power] ?? ""}B/s`;
}
