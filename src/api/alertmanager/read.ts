import * as v from "valibot";
import { parseRfc3339Ms } from "../../base/duration.ts";
import { kindOf, list, parseWith } from "../../base/parse.ts";
import type { Fault } from "../../core/errors.ts";
import type { ReportedAlert } from "../ports.ts";
import { checked } from "../route.ts";
import { toAlert, type Posted } from "./map.ts";

/** Prometheus sends 256 at once at most (`DefaultMaxBatchSize` of its notifier); more is a mistake or a flood. */
const maxAlerts = 1_000;
/** More labels than this are no labels but data; the alerts of kube-prometheus have some ten. */
const maxLabels = 64;
/** Of all names and values of one alert: what is remembered of a thousand alerts has to fit into an agent. */
const maxLabelsBytes = 4_096;
const maxNameLength = 200;

/** Alertmanager's `resolve_timeout`: an alert without an end is over when it is not sent again for this long. */
const resolveTimeoutMs = 5 * 60_000;
/**
 * An Alertmanager's webhook says when an alert is over, and repeats one that fires after `repeat_interval`, four hours
 * unless it is set: one that is not repeated for a day was lost on the way.
 */
const webhookTimeoutMs = 24 * 3_600_000;

/** What a body holds: alerts to take, and faults of the others. */
export interface Batch {
  readonly alerts: readonly ReportedAlert[];
  readonly faults: readonly Fault[];
}

const withZone = /t.*(z|[+-]\d\d:\d\d)$/i;

type One = { readonly alert: ReportedAlert } | { readonly faults: readonly Fault[] };

/** An RFC 3339 time, Unix milliseconds out; the year 1 is Go's way to leave a time out. */
const time = v.pipe(
  v.unknown(),
  v.rawTransform<unknown, number | undefined>(({ dataset, addIssue, NEVER }) => {
    if (dataset.value === undefined || dataset.value === null) return undefined;
    const { value } = dataset;
    const ms = typeof value === "string" && withZone.test(value) ? parseRfc3339Ms(value) : null;
    if (ms !== null) return ms < 0 ? undefined : ms;
    addIssue({
      message: 'expected an RFC 3339 time with its zone, such as "2026-01-05T12:00:00Z"',
    });
    return NEVER;
  }),
);

/** An object whose members are texts. */
const texts = v.pipe(
  v.unknown(),
  v.check((input) => !Array.isArray(input), "expected an object of texts, got a list"),
  v.record(
    v.string(),
    v.string((issue) => `expected a text, got ${kindOf(issue.input)}`),
    "expected an object of texts",
  ),
);

function bytesOf(labels: Readonly<Record<string, string>>): number {
  return Object.entries(labels).reduce(
    (sum, [name, value]) => sum + Buffer.byteLength(name) + Buffer.byteLength(value),
    0,
  );
}

/** An empty label is none, for Prometheus and Alertmanager alike. */
function withoutEmpty(labels: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).filter(([, value]) => value !== ""));
}

const labels = v.pipe(
  texts,
  v.transform(withoutEmpty),
  v.minEntries(
    1,
    "at least one label with a value is required: they are what an alert is known by",
  ),
  v.maxEntries(maxLabels, `at most ${maxLabels} labels; drop some with alert_relabel_configs`),
  v.check(
    (given) => Object.keys(given).every((name) => name.length <= maxNameLength),
    `a label name must not be longer than ${maxNameLength} characters`,
  ),
  v.check(
    (given) => Object.keys(given).every((name) => /^[^\p{Cc}]+$/u.test(name)),
    "a label name must not be empty or hold control characters",
  ),
  v.check(
    (given) => bytesOf(given) <= maxLabelsBytes,
    `the labels of an alert must not have more than ${maxLabelsBytes} bytes; drop some with alert_relabel_configs`,
  ),
);

const status = v.picklist(["firing", "resolved"], 'expected "firing" or "resolved"');

/** Members nobody here knows are let be: both programs add some with time. */
const alertEntries = {
  labels,
  annotations: v.optional(v.nullable(texts)),
  startsAt: v.optional(time),
  endsAt: v.optional(time),
  generatorURL: v.nullish(v.string((issue) => `expected a text, got ${kindOf(issue.input)}`)),
};

/** An object with these members, others let be; a list is none. */
function object<const E extends v.ObjectEntries>(entries: E) {
  return v.pipe(
    v.unknown(),
    v.check((input) => !Array.isArray(input), "expected an object, got a list"),
    v.object(entries, (issue) =>
      issue.path !== undefined && issue.received === "undefined"
        ? "is required"
        : `expected an object, got ${kindOf(issue.input)}`,
    ),
  );
}

const postedAlert = object(alertEntries);
const webhookAlert = object({ ...alertEntries, status });

const postedBody = v.pipe(
  list(v.unknown()),
  v.maxLength(maxAlerts, `at most ${maxAlerts} alerts a request; send the rest in another one`),
);

const webhookBody = object({
  version: v.literal("4", 'expected "4", the version of an Alertmanager\'s webhook'),
  status,
  alerts: v.pipe(
    list(v.unknown()),
    v.maxLength(maxAlerts, `at most ${maxAlerts} alerts a request; set max_alerts: ${maxAlerts}`),
  ),
});

/** Reads each alert by itself: a wrong one must not take the others with it, as at an Alertmanager. */
function each(
  given: readonly unknown[],
  base: string,
  read: (one: unknown, path: string) => One,
): Batch {
  const alerts: ReportedAlert[] = [];
  const faults: Fault[] = [];
  for (const [at, one] of given.entries()) {
    const found = read(one, `${base}[${at}]`);
    if ("alert" in found) alerts.push(found.alert);
    else faults.push(...found.faults);
  }
  return { alerts, faults };
}

function orderFaults({ startsAt, endsAt }: Posted, path: string): Fault[] {
  if (startsAt === undefined || endsAt === undefined || startsAt <= endsAt) return [];
  return [{ path: `${path}.endsAt`, message: "must not be before startsAt" }];
}

/** Reads what is posted to `/api/v2/alerts`. Throws INPUT_INVALID when it is no list of at most 1,000. */
export function readPosted(body: unknown, nowMs: number): Batch {
  return each(checked(postedBody, body), "", (one, path) => {
    const parsed = parseWith(postedAlert, one, path);
    if (!parsed.ok) return parsed;
    const faults = orderFaults(parsed.value, path);
    if (faults.length > 0) return { faults };
    const { endsAt = nowMs + resolveTimeoutMs } = parsed.value;
    return {
      alert: toAlert(parsed.value, { nowMs, untilMs: endsAt, isOver: endsAt <= nowMs }),
    };
  });
}

/** Reads what an Alertmanager's webhook posts. Throws INPUT_INVALID when it is not of version 4. */
export function readWebhook(body: unknown, nowMs: number): Batch {
  return each(checked(webhookBody, body).alerts, "alerts", (one, path) => {
    const parsed = parseWith(webhookAlert, one, path);
    if (!parsed.ok) return parsed;
    const faults = orderFaults(parsed.value, path);
    if (faults.length > 0) return { faults };
    const { status, endsAt = Number.POSITIVE_INFINITY } = parsed.value;
    const isOver = status === "resolved" || endsAt <= nowMs;
    const untilMs = Math.min(endsAt, isOver ? nowMs : nowMs + webhookTimeoutMs);
    return { alert: toAlert(parsed.value, { nowMs, untilMs, isOver }) };
  });
}
