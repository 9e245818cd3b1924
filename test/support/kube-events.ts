/** One fault as the API server words it. */
export interface Cause {
  readonly reason: "FieldValueRequired" | "FieldValueInvalid";
  readonly message: string;
  readonly field: string;
}

type Json = Readonly<Record<string, unknown>>;

/** The one form in which the API server takes a `MicroTime`. */
const microTime = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{6})(Z|[+-]\d{2}:\d{2})$/;
const goLayout = "2006-01-02T15:04:05.000000Z07:00";
const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const qualifiedName =
  /^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/)?([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;

function textAt(object: Json, name: string): string {
  const value = object[name];
  return typeof value === "string" ? value : "";
}

function objectAt(object: Json, name: string): Json {
  const value = object[name];
  return typeof value === "object" && value !== null ? (value as Json) : {};
}

function required(field: string): Cause {
  return { reason: "FieldValueRequired", message: "Required value", field };
}

function invalid(field: string, why: string, value = ""): Cause {
  return {
    reason: "FieldValueInvalid",
    message: `Invalid value: ${JSON.stringify(value)}: ${why}`,
    field,
  };
}

/** A text of at most so many bytes; the limits of pkg/apis/core/validation/events.go. */
function atMost(event: Json, name: string, maxBytes: number, field = name): Cause[] {
  return Buffer.byteLength(textAt(event, name)) > maxBytes
    ? [invalid(field, `can have at most ${maxBytes} characters`)]
    : [];
}

function needed(event: Json, name: string, maxBytes: number): Cause[] {
  return textAt(event, name) === "" ? [required(name)] : atMost(event, name, maxBytes);
}

function seriesFaults(event: Json): Cause[] {
  if (event["series"] === undefined || event["series"] === null) return [];
  const { count, lastObservedTime } = objectAt(event, "series");
  return [
    ...(typeof count === "number" && count >= 2
      ? []
      : [invalid("series.count", "should be at least 2")]),
    ...(lastObservedTime === undefined ? [required("series.lastObservedTime")] : []),
  ];
}

function controllerFaults(event: Json): Cause[] {
  const controller = textAt(event, "reportingController");
  if (controller === "") return [required("reportingController")];
  return qualifiedName.test(controller)
    ? []
    : [
        invalid(
          "reportingController",
          "a valid label key must consist of alphanumeric characters, '-', '_' or '.'",
          controller,
        ),
      ];
}

/** The first time in an event that is not written as the API server takes it, in the words of its decoder. */
export function timeFault(event: Json): string | null {
  for (const time of [event["eventTime"], objectAt(event, "series")["lastObservedTime"]]) {
    if (time === undefined || time === null) continue;
    if (typeof time !== "string" || !microTime.test(time) || Number.isNaN(Date.parse(time))) {
      const rest = typeof time === "string" ? time.slice(19) : "";
      return `parsing time ${JSON.stringify(time)} as ${JSON.stringify(goLayout)}: cannot parse ${JSON.stringify(rest)} as ".000000"`;
    }
  }
  return null;
}

/** Everything that is wrong with an event of events.k8s.io/v1 in this namespace. */
export function eventFaults(event: Json, namespace: string): readonly Cause[] {
  const name = textAt(objectAt(event, "metadata"), "name");
  const type = textAt(event, "type");
  const about = textAt(objectAt(event, "regarding"), "namespace");
  const misplaced =
    about === "" ? !["default", "kube-system"].includes(namespace) : about !== namespace;
  return [
    ...(subdomain.test(name) && name.length <= 253
      ? []
      : [invalid("metadata.name", "a lowercase RFC 1123 subdomain must consist of …", name)]),
    ...(misplaced ? [invalid("involvedObject.namespace", "does not match event.namespace")] : []),
    ...(event["eventTime"] === undefined || event["eventTime"] === null
      ? [required("eventTime")]
      : []),
    ...(["Normal", "Warning"].includes(type)
      ? []
      : [invalid("type", `has invalid value: ${type}`)]),
    ...controllerFaults(event),
    ...needed(event, "reportingInstance", 128),
    ...needed(event, "action", 128),
    ...needed(event, "reason", 128),
    ...atMost(event, "note", 1_024, "message"),
    ...seriesFaults(event),
  ];
}

/** Everything of an event but its series stays as it was made. */
export function immutableFaults(before: Json, after: Json): readonly Cause[] {
  const fixed: readonly (readonly [string, string])[] = [
    ["regarding", "involvedObject"],
    ["reason", "reason"],
    ["note", "message"],
    ["type", "type"],
    ["eventTime", "eventTime"],
    ["action", "action"],
    ["reportingController", "reportingController"],
    ["reportingInstance", "reportingInstance"],
  ];
  return fixed.flatMap(([name, field]) =>
    JSON.stringify(before[name]) === JSON.stringify(after[name])
      ? []
      : [invalid(field, "field is immutable", textAt(after, name))],
  );
}
