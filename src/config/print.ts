import { Secret } from "../base/secret.ts";
import type { Config } from "./settings.ts";

/** A value as it may be shown: secrets as `***`, everything else as it is. */
function shown(value: unknown): unknown {
  if (value instanceof Secret) return String(value);
  if (Array.isArray(value)) return value.map(shown);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, shown(inner)]));
}

/**
 * The configuration as people may see it, in the shape of the file. The lists of rules and channels are left to those
 * who know which of their settings are secret.
 */
export function printConfig(
  config: Config,
): Readonly<Record<string, Readonly<Record<string, unknown>>>> {
  const { rules: _rules, channels: _channels, ...alerts } = config.alerts;
  return shown({ ...config, alerts }) as Readonly<
    Record<string, Readonly<Record<string, unknown>>>
  >; // proof: sections of a Config stay objects
}
