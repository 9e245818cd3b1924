import { deadline, untilAborted } from "../base/every.ts";
import { createSlidingWindow, type SlidingWindow } from "../base/window.ts";
import type { Budget, Leave, Meter, RateLimit } from "../core/delivery.ts";
import { errorText } from "../core/errors.ts";
import type { Clock, Log } from "../core/ports.ts";

/** A store that takes longer must not hold up a message: it has two seconds from the sample to the robot. */
const patienceMs = 300;

/** What each agent may send to a robot while nobody can be asked: of 20 a minute, ten nodes may use all. */
const ownShare: RateLimit = { count: 2, perMs: 60_000 };

export interface MeterDeps {
  /** What all agents share. */
  readonly meter: Meter;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * The shared count of messages to robots, and a small share of each agent's own while that is out of reach. A robot that
 * asked for a rest gets it either way.
 */
class FleetMeter implements Meter {
  readonly #deps: MeterDeps;
  readonly #windows = new Map<string, SlidingWindow>();
  #away = false;

  constructor(deps: MeterDeps) {
    this.#deps = deps;
  }

  async take(robot: string, limits: readonly RateLimit[]): Promise<Leave> {
    const { meter } = this.#deps;
    const restMs = this.#restMs(robot);
    if (restMs > 0) return { waitMs: restMs };
    // What nobody limits need not be counted before it leaves.
    if (limits.length === 0) return { arrived: async () => {} };
    const leave = await this.#shared(() => meter.take(robot, limits));
    if (leave === null) return this.#ownShare(robot, limits);
    if ("waitMs" in leave) return leave;
    return { arrived: async () => void (await this.#shared(() => leave.arrived())) };
  }

  async hold(robot: string, ms: number): Promise<void> {
    const { clock, meter } = this.#deps;
    this.#window(robot).hold(clock.monotonic(), ms);
    await this.#shared(() => meter.hold(robot, ms));
  }

  async budget(robot: string, limits: readonly RateLimit[]): Promise<Budget> {
    const { clock, meter } = this.#deps;
    const found = await this.#shared(() => meter.budget(robot, limits));
    const own = this.#window(robot).left(clock.monotonic(), [...limits, ownShare]);
    if (found === null) return { left: own, today: 0 };
    return this.#restMs(robot) > 0 ? { ...found, left: 0 } : found;
  }

  #window(robot: string): SlidingWindow {
    const window = this.#windows.get(robot) ?? createSlidingWindow();
    this.#windows.set(robot, window);
    return window;
  }

  /** How long the robot asked this agent to leave it alone. */
  #restMs(robot: string): number {
    return this.#window(robot).waitMs(this.#deps.clock.monotonic(), []);
  }

  #ownShare(robot: string, limits: readonly RateLimit[]): Leave {
    const { clock } = this.#deps;
    const window = this.#window(robot);
    const waitMs = window.waitMs(clock.monotonic(), [...limits, ownShare]);
    if (waitMs > 0) return { waitMs };
    const departure = window.depart(clock.monotonic());
    return { arrived: async () => departure.arrived(clock.monotonic()) };
  }

  /** Asks the shared count; null, said once, when it is out of reach. */
  async #shared<T>(ask: () => Promise<T>): Promise<T | null> {
    const { clock, log } = this.#deps;
    const limit = deadline(clock, patienceMs);
    try {
      const answer = await untilAborted(ask(), limit.signal);
      if (this.#away) log.info("robots metered by the fleet again");
      this.#away = false;
      return answer;
    } catch (cause) {
      if (!this.#away) log.warn("robots metered by this agent alone", { cause: errorText(cause) });
      this.#away = true;
      return null;
    } finally {
      limit.clear();
    }
  }
}

export function createFleetMeter(deps: MeterDeps): Meter {
  return new FleetMeter(deps);
}
