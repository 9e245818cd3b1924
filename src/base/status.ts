import type { Clock, ComponentState, ComponentStatus } from "../core/ports.ts";

/** Remembers the state of a part and since when, and tells once when it changes. */
export interface StatusKeeper {
  readonly current: ComponentStatus;
  /** Sets the state; returns whether it is another than before. */
  set(status: ComponentState, lastError?: string | null): boolean;
}

export function createStatus(clock: Clock, initial: ComponentState): StatusKeeper {
  let current: ComponentStatus = { status: initial, sinceMs: clock.now(), lastError: null };
  return {
    get current() {
      return current;
    },
    set: (status, lastError = null) => {
      const changed = status !== current.status;
      current = {
        status,
        sinceMs: changed ? clock.now() : current.sinceMs,
        lastError: lastError ?? (status === "ok" ? null : current.lastError),
      };
      return changed;
    },
  };
}
