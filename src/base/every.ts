import type { Clock, Running } from "../core/ports.ts";

/** A signal that aborts with a parent or after a deadline; `clear` must be called when the work is over. */
export interface Deadline {
  readonly signal: AbortSignal;
  clear(): void;
}

const over = "over";

/** Like `AbortSignal.any([parent, AbortSignal.timeout(ms)])`, on the injected clock and without a timer left behind. */
export function deadline(clock: Clock, ms: number, parent?: AbortSignal): Deadline {
  const own = new AbortController();
  const timer = new AbortController();
  void clock.sleep(ms, timer.signal).then(() => {
    if (!timer.signal.aborted) own.abort(new DOMException(`no answer in ${ms} ms`, "TimeoutError"));
  });
  const signal = parent === undefined ? own.signal : AbortSignal.any([own.signal, parent]);
  // A reason of our own: without one, each abort makes an error with a stack that nobody reads.
  return { signal, clear: () => timer.abort(over) };
}

/** Waits no longer than until the signal aborts; rejects with its reason then. */
export async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const giveUp = (): void => aborted.reject(signal.reason);
  signal.addEventListener("abort", giveUp, { once: true });
  if (signal.aborted) giveUp();
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", giveUp);
  }
}

/** Waits for work, but no longer than this; what still comes of it then is not waited for. Rejects as the work does. */
export async function atMost(clock: Clock, ms: number, work: Promise<unknown>): Promise<void> {
  const enough = new AbortController();
  try {
    await Promise.race([work, clock.sleep(ms, enough.signal)]);
  } finally {
    enough.abort(over);
  }
}

/** A deadline that begins anew with every sign of life. */
export interface IdleDeadline extends Deadline {
  touch(): void;
}

/** Aborts when nothing was heard for some time, or with a parent; `clear` must be called when the work is over. */
export function idleDeadline(clock: Clock, ms: number, parent: AbortSignal): IdleDeadline {
  const own = new AbortController();
  const timer = new AbortController();
  let heardMs = clock.monotonic();
  const watch = async (): Promise<void> => {
    for (;;) {
      const leftMs = heardMs + ms - clock.monotonic();
      if (leftMs <= 0) break;
      await clock.sleep(leftMs, timer.signal);
      if (timer.signal.aborted) return;
    }
    own.abort(new DOMException(`nothing heard for ${ms} ms`, "TimeoutError"));
  };
  void watch();
  return {
    signal: AbortSignal.any([own.signal, parent]),
    touch: () => {
      heardMs = clock.monotonic();
    },
    clear: () => timer.abort(over),
  };
}

/**
 * Runs work forever with a gap that may change each time; two runs never overlap. What fails because it was stopped is
 * no failure.
 */
export function loop(
  clock: Clock,
  work: (signal: AbortSignal) => Promise<number>,
  onError: (cause: unknown) => number,
): Running {
  const abort = new AbortController();
  const run = async (): Promise<void> => {
    while (!abort.signal.aborted) {
      const gapMs = await work(abort.signal).catch((cause: unknown) =>
        abort.signal.aborted ? 0 : onError(cause),
      );
      if (!abort.signal.aborted) await clock.sleep(gapMs, abort.signal);
    }
  };
  const done = run();
  return {
    stop: async () => {
      abort.abort();
      await done;
    },
  };
}

/** A shorter interval does not wait for the end of a longer one, which may be minutes. */
const longestNapMs = 1_000;

/**
 * Runs work at every multiple of an interval of the wall clock, so that slots of a fleet line up and a long run skips
 * slots instead of piling up. The work gets the slot's time in Unix milliseconds.
 */
export function everySlot(
  clock: Clock,
  intervalMs: () => number,
  work: (slotMs: number, signal: AbortSignal) => Promise<void>,
  onError: (cause: unknown) => void,
): Running {
  let lastSlotMs = Number.NEGATIVE_INFINITY;
  return loop(
    clock,
    async (signal) => {
      const step = intervalMs();
      const slotMs = Math.floor(clock.now() / step) * step;
      // A slot that a longer interval begins in the past was sampled already; a clock set back is followed.
      if (slotMs > lastSlotMs || lastSlotMs - slotMs >= step) {
        lastSlotMs = slotMs;
        await work(slotMs, signal).catch(onError);
      }
      const now = clock.now();
      return Math.max(1, Math.min((Math.floor(now / step) + 1) * step - now, longestNapMs));
    },
    (cause) => {
      onError(cause);
      return 1_000;
    },
  );
}
