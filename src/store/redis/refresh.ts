import type { Clock } from "../../core/ports.ts";

/** Often enough for what expires after the shortest retention, a day. */
const refreshEveryMs = 6 * 3_600_000;

/** What has to be done from time to time, lest keys expire: at first, every six hours, and after each reconnection. */
export interface Refresh {
  due(name: string): boolean;
  done(name: string): void;
}

export function createRefresh(clock: Clock, connection: { epoch(): number }): Refresh {
  const last = new Map<string, { readonly atMs: number; readonly epoch: number }>();
  return {
    due: (name) => {
      const done = last.get(name);
      return done?.epoch !== connection.epoch() || clock.monotonic() - done.atMs >= refreshEveryMs;
    },
    done: (name) => {
      last.set(name, { atMs: clock.monotonic(), epoch: connection.epoch() });
    },
  };
}
