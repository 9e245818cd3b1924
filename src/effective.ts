import type { NodeIdentity } from "./core/node.ts";
import { printConfig } from "./config/print.ts";
import type { Config } from "./config/settings.ts";
import type { Policy } from "./rules/book.ts";
import { showQuietHours } from "./core/mute.ts";
import { showRule } from "./core/rule.ts";
import type { Runtime } from "./runtime.ts";

export interface EffectiveParts {
  readonly config: Config;
  readonly policy: Policy;
  readonly runtime: Runtime;
  readonly node: NodeIdentity;
}

const secondMs = 1_000;
const minuteMs = 60_000;

/** What is in force on this node, in the shape of the config file, secrets masked, with where each piece came from. */
export function effectiveConfig({
  config,
  policy,
  runtime,
  node,
}: EffectiveParts): Readonly<Record<string, unknown>> {
  const shown = printConfig(config);
  return {
    ...shown,
    node: { ...shown["node"], name: node.name, ip: node.ip },
    metrics: {
      collection_interval: runtime.intervalMs / secondMs,
      retention_days: runtime.retentionDays,
      tier_retention_days: runtime.tierRetentionDays,
      collectors: runtime.collectors,
    },
    alerts: {
      ...shown["alerts"],
      cooldown_minutes: runtime.cooldownMs / minuteMs,
      repeat: runtime.repeat,
      language: runtime.language,
      send_resolved: runtime.sendResolved,
      history_days: runtime.historyDays,
      quiet_hours: runtime.quietHours.map(showQuietHours),
      inhibit: runtime.inhibit,
      rules: policy.rules.map(({ value, source, revision }) => ({
        ...showRule(value),
        source,
        revision,
      })),
      channels: policy.channels.map(({ value, source, revision }) => ({
        ...value.shown,
        name: value.name,
        source,
        revision,
      })),
    },
  };
}
