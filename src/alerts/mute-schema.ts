import * as v from "valibot";
import type { Fault } from "../core/errors.ts";
import { weekdays, type Inhibition, type QuietHours } from "../core/mute.ts";
import { levels, type Level } from "../core/rule.ts";
import { kindOf, list, oneOf, parseWith, strictObject, text, type Parsed } from "../base/parse.ts";
import { nearest } from "../base/text.ts";

const minutesPerHour = 60;
const minutesPerDay = 1_440;

/** What is told at all times unless quiet hours name it. */
const quietLevels: readonly Level[] = levels.filter((level) => level !== "critical");

const clockPattern = /^([01]\d|2[0-3]):[0-5]\d$|^24:00$/;

/** `22:00`; minutes since midnight. */
const clockTime = v.pipe(
  v.string((issue) => `expected a time such as "22:00", got ${kindOf(issue.input)}`),
  v.regex(clockPattern, 'expected a time such as "22:00", "24:00" at most'),
  v.transform((time) => {
    const [hour = 0, minute = 0] = time.split(":").map(Number);
    return hour * minutesPerHour + minute;
  }),
  v.metadata({ schema: { type: "string", pattern: clockPattern.source } }),
);

function isTimezone(name: string): boolean {
  try {
    // An offset such as +08:00 is none: it knows no summer time.
    return (
      /^[A-Za-z]/.test(name) && new Intl.DateTimeFormat("en", { timeZone: name }).format(0) !== ""
    );
  } catch {
    return false;
  }
}

const timezone = v.pipe(
  text,
  v.check(isTimezone, ({ input }) => {
    const meant = nearest(input.slice(0, 50), Intl.supportedValuesOf("timeZone"));
    const hint = meant === undefined ? "" : `; did you mean "${meant}"?`;
    return `expected a time zone of the IANA database such as "Asia/Shanghai"${hint}`;
  }),
);

function atLeastOne<const S extends v.GenericSchema>(item: S) {
  return v.pipe(list(item), v.minLength(1, "names nothing; leave it out for all"));
}

/** Patterns: a list, or a single one. */
const patterns = v.pipe(
  v.unknown(),
  v.transform((input) => (typeof input === "string" ? [input] : input)),
  atLeastOne(text),
  v.metadata({
    schema: { type: ["string", "array"], minLength: 1, minItems: 1, items: { type: "string" } },
  }),
);

/** Quiet hours as a source gives them. */
export const quietHoursSchema = strictObject({
  name: v.optional(text),
  days: v.optional(v.nullable(atLeastOne(oneOf(weekdays))), null),
  from: clockTime,
  to: clockTime,
  timezone: v.optional(timezone, "UTC"),
  levels: v.optional(v.nullable(atLeastOne(oneOf(levels))), null),
  rules: v.optional(v.nullable(patterns), null),
  nodes: v.optional(v.nullable(patterns), null),
});

/** An inhibition as a source gives it. */
export const inhibitionSchema = strictObject({ when: text, mutes: patterns });

function defaultName(raw: v.InferInput<typeof quietHoursSchema>): string {
  return `${raw.from}-${raw.to}`;
}

function readQuietHours(input: unknown, path: string): Parsed<QuietHours> {
  const raw = parseWith(quietHoursSchema, input, path);
  if (!raw.ok) return raw;
  const { name, days, from, to, levels, ...rest } = raw.value;
  const fault = (at: string, message: string): Parsed<QuietHours> => ({
    ok: false,
    faults: [{ path: at, message }],
  });
  if (from === minutesPerDay) return fault(`${path}.from`, "must be before 24:00");
  if (from === to) return fault(`${path}.to`, "is when they begin; whole days go to 24:00");
  return {
    ok: true,
    value: {
      // proof: it has just been read, so it has these texts
      name: name ?? defaultName(input as v.InferInput<typeof quietHoursSchema>),
      days: days ?? weekdays,
      fromMinute: from,
      toMinute: to,
      levels: levels ?? quietLevels,
      ...rest,
    },
  };
}

function readAll<T>(
  input: readonly unknown[],
  path: string,
  read: (item: unknown, path: string) => Parsed<T>,
): Parsed<readonly T[]> {
  const faults: Fault[] = [];
  const found: T[] = [];
  input.forEach((item, at) => {
    const parsed = read(item, `${path}[${at}]`);
    if (parsed.ok) found.push(parsed.value);
    else faults.push(...parsed.faults);
  });
  return faults.length === 0 ? { ok: true, value: found } : { ok: false, faults };
}

/** Reads a source's quiet hours; every fault with its path. */
export function parseQuietHours(
  input: readonly unknown[],
  path: string,
): Parsed<readonly QuietHours[]> {
  return readAll(input, path, readQuietHours);
}

/** Reads what a source says of inhibition; every fault with its path. */
export function parseInhibitions(
  input: readonly unknown[],
  path: string,
): Parsed<readonly Inhibition[]> {
  return readAll(input, path, (item, at) => parseWith(inhibitionSchema, item, at));
}
