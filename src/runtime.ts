import type { DecideSettings } from "./alerts/decide.ts";
import type { MuteSettings } from "./alerts/mutes.ts";
import type { Config } from "./config/settings.ts";
import type { Language } from "./core/delivery.ts";
import type { Policy } from "./rules/book.ts";

/** What is in force right now: the configuration, with what the sources have changed since the start. */
export interface Runtime extends DecideSettings, MuteSettings {
  readonly intervalMs: number;
  readonly retentionDays: number;
  readonly tierRetentionDays: number;
  readonly language: Language;
  readonly historyDays: number;
  readonly collectors: Readonly<Record<string, boolean>>;
}

const secondMs = 1_000;
const minuteMs = 60_000;

function alertsOf(
  given: Policy["alerts"],
  alerts: Config["alerts"],
): Omit<Runtime, "intervalMs" | "retentionDays" | "tierRetentionDays" | "collectors"> {
  return {
    cooldownMs: given.cooldownMs ?? alerts.cooldown_minutes * minuteMs,
    repeat: given.repeat ?? alerts.repeat,
    sendResolved: given.sendResolved ?? alerts.send_resolved,
    historyDays: given.historyDays ?? alerts.history_days,
    quietHours: given.quietHours ?? [],
    inhibit: given.inhibit ?? [],
    language: given.language ?? alerts.language,
  };
}

/** Pure: the settings that follow from the configuration and a policy. */
export function runtimeOf(
  { metrics, alerts }: Config,
  policy: Pick<Policy, "metrics" | "alerts">,
): Runtime {
  return {
    intervalMs: policy.metrics.collectionIntervalMs ?? metrics.collection_interval * secondMs,
    retentionDays: policy.metrics.retentionDays ?? metrics.retention_days,
    tierRetentionDays: policy.metrics.tierRetentionDays ?? metrics.tier_retention_days,
    collectors: { ...metrics.collectors, ...policy.metrics.collectors },
    ...alertsOf(policy.alerts, alerts),
  };
}
