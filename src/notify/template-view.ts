import type { AlertMessage } from "../core/delivery.ts";
import type { RowName } from "./words.ts";

/** What a template can say, with what it stands for. */
export const templateNames = {
  headline: "what and where, on one line",
  level: "the level, in the channel's language",
  node: "the node's name",
  cluster: "its cluster",
  ip: "its address",
  rule: "the rule",
  index: "what is measured",
  labels: "the series' labels: `mount=/data`",
  condition: "`disk /data > 80 %`",
  value: "the last value, with its unit",
  threshold: "the threshold",
  peak: "the value furthest beyond it, where that is another than the last",
  started: "when it began",
  ended: "when it was over",
  duration: "how long it has been going on",
  flaps: "how often it came back",
  trend: "the last half hour as a line of bars",
  processes: "who uses most of it",
  pressure: "how much was lost by waiting",
  message: "the rule's own message",
  runbook_url: "the rule's runbook",
  details_url: "the alert below `server.public_url`",
} as const;

/** What a template can ask: `{{#critical}}…{{/critical}}`, `{{^firing}}…{{/firing}}`. */
export const templateFlags = {
  is_firing: "it is going on",
  is_resolved: "it is over",
  is_escalated: "it has become worse",
  is_repeated: "it was told before and still goes on",
  is_flapping: "it comes and goes",
  is_test: "it is a test",
  is_critical: "it is critical",
  is_warning: "it is a warning",
  is_info: "it is neither",
} as const;

type ValueName = keyof typeof templateNames;
type FlagName = keyof typeof templateFlags;
export const valueNames = Object.keys(templateNames) as readonly ValueName[]; // proof: its own keys
export const flagNames = Object.keys(templateFlags) as readonly FlagName[]; // proof: its own keys

/** Values and answers by name. */
export type TemplateView = Readonly<Record<ValueName, string>> &
  Readonly<Record<FlagName, boolean>>;

/** What a template sees of a message; `rows` are those of the message without a template. */
export function templateView(
  { kind, incident }: AlertMessage,
  rows: ReadonlyMap<RowName, string>,
  more: Pick<TemplateView, "headline" | "level" | "labels" | "runbook_url" | "details_url">,
): TemplateView {
  const { level, subject } = incident;
  const row = (name: RowName): string => rows.get(name) ?? "";
  return {
    ...more,
    node: subject.node.name,
    cluster: subject.node.cluster,
    ip: subject.node.ip,
    rule: subject.rule,
    index: subject.index,
    condition: row("condition"),
    value: row("value") || row("recovered") || row("last"),
    threshold: row("threshold"),
    peak: row("peak"),
    started: row("started"),
    ended: row("ended"),
    duration: row("duration"),
    flaps: row("flaps"),
    trend: row("trend"),
    processes: row("processes"),
    pressure: row("pressure"),
    message: row("message"),
    is_firing: kind !== "test" && kind !== "resolved",
    is_resolved: kind === "resolved",
    is_escalated: kind === "escalated",
    is_repeated: kind === "repeated",
    is_flapping: kind === "flapping",
    is_test: kind === "test",
    is_critical: level === "critical",
    is_warning: level === "warning",
    is_info: level === "info",
  };
}
