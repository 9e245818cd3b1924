import type { Meter } from "../../core/delivery.ts";
import type { Clock } from "../../core/ports.ts";
import { createSlidingWindow, type SlidingWindow } from "../../base/window.ts";
import { dayOf } from "../slots.ts";

/** What is known of one robot. */
interface Counted {
  readonly window: SlidingWindow;
  day: number;
  sent: number;
}

/** Counts what this agent alone sends. */
export function createMemoryMeter(clock: Clock): Meter {
  const robots = new Map<string, Counted>();
  const counted = (robot: string): Counted => {
    const known = robots.get(robot) ?? { window: createSlidingWindow(), day: 0, sent: 0 };
    robots.set(robot, known);
    const today = dayOf(clock.now());
    if (known.day !== today) [known.day, known.sent] = [today, 0];
    return known;
  };
  return {
    take: async (robot, limits) => {
      const one = counted(robot);
      const waitMs = one.window.waitMs(clock.monotonic(), limits);
      if (waitMs > 0) return { waitMs };
      one.sent++;
      const departure = one.window.depart(clock.monotonic());
      return { arrived: async () => departure.arrived(clock.monotonic()) };
    },
    hold: async (robot, ms) => counted(robot).window.hold(clock.monotonic(), ms),
    budget: async (robot, limits) => {
      const { window, sent } = counted(robot);
      return { left: window.left(clock.monotonic(), limits), today: sent };
    },
  };
}
