import { withOwnLabels } from "../core/exposed.ts";
import type { AlertSubject, Incident } from "../core/alert.ts";
import type { AlertMessage, Language } from "../core/delivery.ts";
import type { Labels } from "../core/series.ts";
import {
  conditionOf,
  detailsUrl,
  headline,
  isLink,
  processText,
  saidOf,
  type AboutIncident,
} from "./render.ts";
import { wordsOf } from "./words.ts";

/** An incident as Prometheus and Alertmanager know an alert: by its labels, with the rest beside them. */
export interface Alert {
  /** What it is known by, so no value is among them; names are those of Prometheus, no value is empty. */
  readonly labels: Labels;
  readonly annotations: Labels;
  /** Where more is to be seen; null: nowhere. */
  readonly generatorUrl: string | null;
}

/** What an alert is made of. */
export type AlertSource = AboutIncident & Partial<Pick<AlertMessage, "evidence" | "publicUrl">>;

/** Whether it is over, whatever the message is about: one that flaps may fire or not. */
export function isOver({ kind, incident }: AboutIncident): boolean {
  return kind === "resolved" || incident.status === "resolved";
}

/** The name, with `_` for what Prometheus allows in none: prometheus.io/docs/concepts/data_model. */
function labelName(name: string): string {
  const safe = name.replaceAll(/[^a-zA-Z0-9_]/g, "_");
  return /^[a-zA-Z_]/.test(safe) ? safe : `_${safe}`;
}

/** The labels of a series, those first that keep their names: the order decides who gets a name that two want. */
function ownLabels(labels: Labels): (readonly [string, string])[] {
  const isChanged = (name: string): number => Number(labelName(name) !== name);
  return Object.keys(labels)
    .sort()
    .sort((a, b) => isChanged(a) - isChanged(b))
    .map((name) => [labelName(name), (labels[name] ?? "").toWellFormed()]);
}

function labelsOf({ subject, level }: Incident): Labels {
  const { rule, index, node, labels } = subject;
  const given = {
    alertname: rule,
    index,
    severity: level,
    node: node.name,
    cluster: node.cluster,
    instance: node.ip,
  };
  const known = Object.entries(given)
    .map(([name, value]): [string, string] => [name, value.toWellFormed()])
    .filter(([, value]) => value !== "");
  return withOwnLabels(Object.fromEntries(known), ownLabels(labels));
}

function amounts({ subject, value, peak, threshold }: Incident): [string, string | null][] {
  const text = (amount: number | null): string | null => (amount === null ? null : String(amount));
  return [
    ["value", text(value)],
    ["peak", text(peak)],
    ["threshold", text(threshold)],
    ["unit", subject.unit],
  ];
}

function annotationsOf(source: AlertSource, language: Language): Labels {
  const words = wordsOf(language);
  const { kind, incident, evidence } = source;
  const said = saidOf(source, words);
  const all: [string, string | null][] = [
    ["summary", headline(source, words)],
    ["description", said ?? conditionOf(incident)],
    ["condition", kind === "test" ? null : conditionOf(incident)],
    ...(kind === "test" ? [] : amounts(incident)),
    ["processes", evidence?.processes?.map(processText).join(", ") ?? null],
    ["runbook_url", incident.subject.runbookUrl],
  ];
  return Object.fromEntries(
    all.flatMap(([name, text]) =>
      text === null || text === "" ? [] : [[name, text.toWellFormed()]],
    ),
  );
}

/** An address every parser takes: Go refuses a `%` that begins no escape, which browsers let pass. */
function parsable(url: string): string | null {
  return isLink(url) ? new URL(url).href.replaceAll(/%(?![0-9a-f]{2})/gi, "%25") : null;
}

function generatorUrl({ incident, publicUrl }: AlertSource): string | null {
  const { sourceUrl }: AlertSubject = incident.subject;
  if (sourceUrl !== undefined) return parsable(sourceUrl);
  return publicUrl === null || publicUrl === undefined
    ? null
    : parsable(detailsUrl(publicUrl, incident));
}

/** Puts an incident into labels and annotations. */
export function alertOf(source: AlertSource, language: Language): Alert {
  return {
    labels: labelsOf(source.incident),
    annotations: annotationsOf(source, language),
    generatorUrl: generatorUrl(source),
  };
}

/** FNV-1a of 64 bits: its offset and prime. */
const fnvOffset = 14_695_981_039_346_656_037n;
const fnvPrime = 1_099_511_628_211n;

/** The fingerprint Alertmanager gives a label set: model.LabelSet.Fingerprint of github.com/prometheus/common. */
export function fingerprint(labels: Labels): string {
  let hash = fnvOffset;
  const add = (byte: number): void => {
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * fnvPrime);
  };
  const byBytes = Object.entries(labels).map(([name, value]) => ({
    name: Buffer.from(name),
    value,
  }));
  for (const { name, value } of byBytes.sort((a, b) => Buffer.compare(a.name, b.name)))
    for (const part of [name, Buffer.from(value)]) {
      part.forEach(add);
      add(0xff);
    }
  return hash.toString(16).padStart(16, "0");
}
