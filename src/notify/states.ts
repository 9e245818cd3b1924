import type { Incident } from "../core/alert.ts";
import type { ChannelSpec, Language } from "../core/delivery.ts";
import type { ComponentState, ComponentStatus } from "../core/ports.ts";
import type { Sourced } from "../core/rule.ts";
import type { Drainer } from "./drainer.ts";
import { same } from "../base/same.ts";

/** How a configured channel is doing. */
export interface ChannelState {
  readonly spec: Sourced<ChannelSpec>;
  readonly status: ComponentStatus;
  /** Messages that may leave at once; null: no limit. */
  readonly tokensLeft: number | null;
  /** Messages that anybody sent to its robot since midnight, UTC; null: nobody counts them. */
  readonly sentToday: number | null;
  /** Messages waiting in the outbox. */
  readonly pending: number;
}

/** A configured channel; one that is disabled has no drainer. */
export interface Configured {
  readonly spec: Sourced<ChannelSpec>;
  readonly language: Language;
  readonly drainer: Drainer | null;
  readonly sinceMs: number;
}

/** How one channel is doing. */
export function statusOf({ drainer, sinceMs }: Configured): ComponentStatus {
  return drainer?.status ?? { status: "disabled", sinceMs, lastError: null };
}

/** Whether a channel is to be told of an incident; `only` these names when given. */
export function isFor(
  { spec: { value }, drainer }: Configured,
  { level, subject }: Incident,
  only: readonly string[] | null,
): boolean {
  const takes = drainer?.target.channel.takes;
  return (
    (only === null || only.includes(value.name)) &&
    (value.levels === null || value.levels.includes(level)) &&
    (takes === undefined || takes(subject))
  );
}

/** Whether a channel may go on as it is. */
export function isUnchanged(old: Configured, spec: ChannelSpec, language: Language): boolean {
  const { type, enabled, settings, maxPerMinute, template } = old.spec.value;
  if (!spec.enabled && !enabled) return true;
  return (
    enabled === spec.enabled &&
    old.language === language &&
    type === spec.type &&
    maxPerMinute === spec.maxPerMinute &&
    same(template, spec.template) &&
    same(settings, spec.settings)
  );
}

function worst(statuses: readonly ComponentStatus[]): ComponentState {
  if (statuses.every(({ status }) => status === "ok")) return "ok";
  return statuses.every(({ status }) => status === "down") ? "down" : "degraded";
}

/** All channels as one part of the agent: disabled without an active one. */
export function healthOf(channels: readonly Configured[], createdAtMs: number): ComponentStatus {
  const all = channels.map(statusOf);
  const active = all.filter(({ status }) => status !== "disabled");
  if (active.length === 0) return { status: "disabled", sinceMs: createdAtMs, lastError: null };
  const failing = active.filter(({ status }) => status !== "ok");
  return {
    status: worst(active),
    sinceMs: Math.max(...(failing.length > 0 ? failing : active).map(({ sinceMs }) => sinceMs)),
    lastError: failing.find(({ lastError }) => lastError !== null)?.lastError ?? null,
  };
}
