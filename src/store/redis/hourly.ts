import type { Clock } from "../../core/ports.ts";

const hourMs = 3_600_000;

/** What has to be done from time to time: at first, each hour, and after each reconnection. */
export interface Hourly {
  due(name: string): boolean;
  done(name: string): void;
}

export function createHourly(clock: Clock, connection: { epoch(): number }): Hourly {
  const last = new Map<string, { readonly atMs: number; readonly epoch: number }>();
  return {
    due: (name) => {
      const done = last.get(name);
      return done?.epoch !== connection.epoch() || clock.monotonic() - done.atMs >= hourMs;
    },
    done: (name) => {
      last.set(name, { atMs: clock.monotonic(), epoch: connection.epoch() });
    },
  };
}
