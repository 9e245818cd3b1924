import { createHash } from "node:crypto";
import { truncateBytes } from "../../base/text.ts";
import type { Level } from "../../core/rule.ts";
import type { Labels } from "../../core/series.ts";
import type { ReportedAlert } from "../ports.ts";

/** An alert as it was posted, checked; times in Unix milliseconds. */
export interface Posted {
  readonly labels: Labels;
  readonly annotations?: Labels | null | undefined;
  readonly startsAt?: number | undefined;
  readonly endsAt?: number | undefined;
  readonly generatorURL?: string | null | undefined;
}

/** Whether it is over, and when it will be unless it is sent again. */
export interface Timing {
  readonly nowMs: number;
  readonly untilMs: number;
  readonly isOver: boolean;
}

/** What severities are called in the rules of kube-prometheus and others; what is not here is a warning. */
const levelOf: ReadonlyMap<string, Level> = new Map([
  ["critical", "critical"],
  ["error", "critical"],
  ["page", "critical"],
  ["warning", "warning"],
  ["info", "info"],
  ["none", "info"],
]);

/** Of an alert that has no `alertname`, which Alertmanager takes too. */
const unnamed = "alert";
/** What a message may have of the annotations; the rest is behind the link. */
const maxMessageBytes = 4_000;
/** As long as a message shows a link; a longer one is left out. */
const maxUrlBytes = 2_000;

/** A hash of a label set, the same in whatever order the labels come; what an alert is known by. */
export function fingerprint(labels: Labels): string {
  const pairs = Object.keys(labels)
    .sort()
    .map((name) => [name, labels[name]]);
  return createHash("sha256").update(JSON.stringify(pairs)).digest("hex").slice(0, 32);
}

/** The host of an `instance`: `node-7:9100`, `[::1]:9100`, `https://example.com/path`. */
export function hostOf(instance: string): string {
  const authority = instance.replace(/^[a-z][a-z0-9+.-]*:\/\//i, "").replace(/[/?#].*$/s, "");
  const bracketed = /^\[([^\]]+)\]/.exec(authority)?.[1];
  if (bracketed !== undefined) return bracketed;
  const [host = "", port, ...more] = authority.split(":");
  // More than one colon without brackets is an IPv6 address.
  return port === undefined || more.length > 0 ? authority : host;
}

function nodeOf({ node, nodename, instance }: Labels): string | null {
  const named = node ?? nodename ?? (instance === undefined ? "" : hostOf(instance));
  return named === "" ? null : named;
}

/** The annotations people write for people, each text once. */
function messageOf({ summary, description, message }: Labels): string | null {
  const said = [summary, description, message].map((text) => text?.trim() ?? "");
  const texts = [...new Set(said)].filter((text) => text !== "");
  return texts.length === 0 ? null : truncateBytes(texts.join("\n"), maxMessageBytes);
}

/** A number as `{{ $value }}` writes it; null for anything else, such as `97%`. */
function valueOf({ value }: Labels): number | null {
  const text = value?.trim() ?? "";
  const number = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : Number.NaN;
  return Number.isFinite(number) ? number : null;
}

function shortUrl(url: string | null | undefined): string | null {
  if (url === undefined || url === null || url === "") return null;
  return Buffer.byteLength(url) <= maxUrlBytes ? url : null;
}

/** The labels that the message does not show elsewhere. */
function otherLabels(labels: Labels, node: string | null): Labels {
  const { severity = "" } = labels;
  const isShown = (name: string, value: string): boolean =>
    name === "alertname" ||
    name === "index" ||
    name === "cluster" ||
    (name === "severity" && levelOf.has(severity.toLowerCase())) ||
    (["node", "nodename", "instance"].includes(name) && value === node);
  return Object.fromEntries(Object.entries(labels).filter((pair) => !isShown(...pair)));
}

/** Puts an alert of a Prometheus into our words. */
export function toAlert(posted: Posted, { nowMs, untilMs, isOver }: Timing): ReportedAlert {
  const { labels } = posted;
  const annotations = posted.annotations ?? {};
  const rule = labels["alertname"] ?? unnamed;
  const node = nodeOf(labels);
  const endedAtMs = Math.min(untilMs, nowMs);
  return {
    fingerprint: fingerprint(labels),
    rule,
    index: labels["index"] ?? rule,
    labels: otherLabels(labels, node),
    level: levelOf.get((labels["severity"] ?? "").toLowerCase()) ?? "warning",
    node,
    cluster: labels["cluster"] ?? null,
    value: valueOf(annotations),
    message: messageOf(annotations),
    runbookUrl: shortUrl(annotations["runbook_url"]),
    sourceUrl: shortUrl(posted.generatorURL),
    state: isOver ? "resolved" : "firing",
    atMs: isOver ? endedAtMs : Math.min(posted.startsAt ?? nowMs, nowMs),
    untilMs,
  };
}
