import type { ChannelSpec, Language } from "./delivery.ts";
import type { Inhibition, QuietHours } from "./mute.ts";
import type { Rule } from "./rule.ts";

export const repeats = ["every", "backoff", "never"] as const;
/** How a firing alert is repeated: each cooldown, at doubling distances up to 4 h, or not at all. */
export type Repeat = (typeof repeats)[number];

/**
 * What a source (the admin server, a ConfigMap, the file) may say while the agent runs. A missing member means that
 * the source has no opinion; an empty list of rules is an opinion: it has none.
 */
export interface PolicyDocument {
  readonly rules: readonly Rule[];
  readonly channels: readonly ChannelSpec[];
  readonly metrics: {
    readonly collectionIntervalMs?: number;
    readonly retentionDays?: number;
    readonly tierRetentionDays?: number;
    readonly collectors?: Readonly<Record<string, boolean>>;
  };
  readonly alerts: {
    readonly cooldownMs?: number;
    readonly repeat?: Repeat;
    readonly language?: Language;
    readonly sendResolved?: boolean;
    readonly historyDays?: number;
    readonly defaultRules?: boolean;
    readonly quietHours?: readonly QuietHours[];
    readonly inhibit?: readonly Inhibition[];
  };
}
