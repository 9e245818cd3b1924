import { createHash } from "node:crypto";
import type { Incident } from "../core/alert.ts";
import { nodeId } from "../core/node.ts";
import type { ProcessUse } from "../core/delivery.ts";
import { seriesKey } from "../core/series.ts";
import { truncateBytes } from "../base/text.ts";
import { reasonOf } from "./reasons.ts";

/** What an Event is about. */
export interface Regarding {
  readonly apiVersion: string;
  readonly kind: "Node" | "Pod" | "ConfigMap";
  readonly name: string;
  /** Missing for a Node, which has no namespace. */
  readonly namespace?: string;
  /** The real one: `kubectl describe` finds Events by it. */
  readonly uid: string;
}

/** An Event before it has a time and an object's UID. */
export interface Note {
  /** What makes it the one it is: the same key is the same Event, whoever sends it how often. */
  readonly key: string;
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly action: string;
  readonly text: string;
  readonly atMs: number;
}

/** What an Event tells of an alert. */
export type AlertTransition = "firing" | "escalated" | "resolved";

/** Which controller speaks; the chart's admission policy holds agents to it. */
export const reportingController = "targetvpc.io/agent";

/** Limits of the API server (pkg/apis/core/validation/events.go), in bytes. */
const maxNoteBytes = 1_024;
const maxInstanceBytes = 128;
/** An object's name has 253 characters at most; the hash and its dot take 17. */
const maxNameLength = 236;

/** A time as the API server takes it: exactly six digits after the second, or it answers 400. */
export function microTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, -1)}000Z`;
}

/** The name of an Event; it follows from its key, so that sending it twice makes one. */
export function eventName(object: string, key: string): string {
  const hash = createHash("sha256").update(key).digest("hex").slice(0, 16);
  return `${object.slice(0, maxNameLength).replace(/[.-]+$/, "")}.${hash}`;
}

/** The namespace of Events: that of the object, `default` for a Node (any other is refused). */
export function eventNamespace({ namespace = "default" }: Regarding): string {
  return namespace;
}

/** An Event of events.k8s.io/v1. */
export function toEvent(
  note: Note,
  regarding: Regarding,
  { instance, offsetMs }: { readonly instance: string; readonly offsetMs: number },
): Readonly<Record<string, unknown>> {
  return {
    apiVersion: "events.k8s.io/v1",
    kind: "Event",
    metadata: { name: eventName(regarding.name, note.key), namespace: eventNamespace(regarding) },
    eventTime: microTime(note.atMs + offsetMs),
    type: note.type,
    reason: note.reason,
    action: note.action,
    note: truncateBytes(note.text, maxNoteBytes),
    regarding,
    reportingController,
    reportingInstance: truncateBytes(instance, maxInstanceBytes),
  };
}

function amount(value: number | null, unit: string): string {
  return unit === "" ? String(value) : `${value} ${unit}`;
}

/** ` is 97 %`; of an alert without a value, `otherwise`. */
function isText(value: number | null, unit: string, otherwise: string): string {
  return value === null ? otherwise : ` is ${amount(value, unit)}`;
}

function lasted(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  if (seconds < 120) return `${seconds} s`;
  return seconds < 7_200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3_600)} h`;
}

/** The key of what fires at present: another level or another firing is another Event. */
export function firingKey({ id, level, flaps }: Incident): string {
  return `${id}:${level}:${flaps}`;
}

function causeText(biggest: ProcessUse | undefined): string {
  if (biggest === undefined) return "";
  const { name, owner } = biggest;
  return `, biggest process ${name}${owner === null ? "" : ` of ${owner}`}`;
}

function breachText(incident: Incident, biggest: ProcessUse | undefined): string {
  const { subject, value, threshold, level } = incident;
  const { operator, unit, rule, message } = subject;
  const what = seriesKey(subject.index, subject.labels);
  const limit = operator === null ? "" : ` (${operator} ${amount(threshold, unit)})`;
  const said = message === null ? "" : `: ${message}`;
  const cause = causeText(biggest);
  return `${level}: ${what}${isText(value, unit, " fires")}${limit}, rule ${rule}${cause}${said}`;
}

function recoveryText(incident: Incident, atMs: number): string {
  const { subject, value, peak, startedAtMs } = incident;
  const { unit, rule } = subject;
  const what = seriesKey(subject.index, subject.labels);
  const most = peak === null ? "" : `peak ${amount(peak, unit)}, `;
  const tale = `${most}lasted ${lasted(atMs - startedAtMs)}`;
  return `${what}${isText(value, unit, " is over")}, ${tale}, rule ${rule}`;
}

/** What an Event says of an alert at the moment of a transition; `biggest` is the process that uses most. */
export function noteOf(
  incident: Incident,
  transition: AlertTransition,
  atMs: number,
  biggest?: ProcessUse,
): Note {
  const { subject } = incident;
  const isOver = transition === "resolved";
  const text = isOver ? recoveryText(incident, atMs) : breachText(incident, biggest);
  return {
    key: isOver ? `${firingKey(incident)}:resolved` : firingKey(incident),
    type: isOver ? "Normal" : "Warning",
    reason: reasonOf(subject.index, isOver ? "recovery" : "breach", subject.operator),
    action: isOver ? "Recover" : "Alert",
    text,
    atMs,
  };
}

/** The same about a node that is not the agent's own, which only the agent's Pod may speak of. */
export function foreignNote(note: Note, incident: Incident): Note {
  return { ...note, text: `node ${nodeId(incident.subject.node)}: ${note.text}` };
}
