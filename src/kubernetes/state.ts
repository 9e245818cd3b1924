import type { ComponentState, ComponentStatus } from "../core/ports.ts";

/** From the best to the worst. */
const order: readonly ComponentState[] = ["disabled", "ok", "starting", "degraded", "down"];

/** Several parts as one: the worst of their states, and everything that is wrong. */
export function worstOf(all: readonly ComponentStatus[]): ComponentStatus {
  const worst = Math.max(...all.map(({ status }) => order.indexOf(status)));
  const status = order[worst] ?? "down";
  const there = all.filter((part) => part.status === status);
  const wrong = all.flatMap(({ status: state, lastError }) =>
    lastError !== null && (state === "degraded" || state === "down") ? [lastError] : [],
  );
  return {
    status,
    sinceMs: Math.max(...there.map(({ sinceMs }) => sinceMs)),
    lastError: wrong.length === 0 ? (there[0]?.lastError ?? null) : [...new Set(wrong)].join("; "),
  };
}
