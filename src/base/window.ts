import type { RateLimit } from "../core/delivery.ts";

/** One message that was given to a service. */
export interface Departure {
  /** Says when the reply came: the service counted the message no later than that. */
  arrived(nowMs: number): void;
}

/** Sliding windows: never more messages than allowed in any window, however they fall. */
export interface SlidingWindow {
  /** How long to wait before the next message may leave; 0: now. */
  waitMs(nowMs: number, limits: readonly RateLimit[]): number;
  /** Counts a message that leaves now. */
  depart(nowMs: number): Departure;
  /** Lets nothing leave for a time: the service asked for it. */
  hold(nowMs: number, ms: number): void;
  /** How many may leave at once; null: no limit. */
  left(nowMs: number, limits: readonly RateLimit[]): number | null;
}

/** No service counts in longer windows; what is older is forgotten. */
export const longestWindowMs = 60_000;

/**
 * Keeps the times of the last messages. A message counts from its reply on, not from its departure, because the service
 * saw it somewhere between the two: so the windows hold on the service's side as well, however slow the way is. Times
 * are monotonic milliseconds.
 */
export function createSlidingWindow(): SlidingWindow {
  let heldUntilMs = 0;
  let departures: { atMs: number }[] = [];
  const within = ({ perMs }: RateLimit, nowMs: number): number[] =>
    departures
      .map(({ atMs }) => atMs)
      .filter((atMs) => atMs + perMs > nowMs)
      .sort((a, b) => a - b);
  return {
    waitMs: (nowMs, limits) =>
      Math.max(
        heldUntilMs - nowMs,
        0,
        ...limits.map((limit) => {
          const recent = within(limit, nowMs);
          const oldest = recent[recent.length - limit.count];
          return oldest === undefined ? 0 : oldest + limit.perMs - nowMs;
        }),
      ),
    depart: (nowMs) => {
      const departure = { atMs: nowMs };
      departures = departures.filter(({ atMs }) => atMs + longestWindowMs > nowMs);
      departures.push(departure);
      return {
        arrived: (atMs) => {
          departure.atMs = atMs;
          if (!departures.includes(departure)) departures.push(departure);
        },
      };
    },
    hold: (nowMs, ms) => {
      heldUntilMs = Math.max(heldUntilMs, nowMs + ms);
    },
    left: (nowMs, limits) => {
      if (heldUntilMs > nowMs) return 0;
      const left = limits.map((limit) => limit.count - within(limit, nowMs).length);
      return limits.length === 0 ? null : Math.max(0, Math.min(...left));
    },
  };
}
