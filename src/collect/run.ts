import { deadline } from "../base/every.ts";
import { AgentError, errorText } from "../core/errors.ts";
import type { Clock, Log } from "../core/ports.ts";
import type { Reading } from "../core/series.ts";
import type { AnyCollector, CollectorStatus, Family, Host } from "./contract.ts";

/** One collector at work: it remembers the look before and how the last one went. */
export interface CollectorRun {
  readonly collector: AnyCollector;
  /** Readings of a new look; when it fails, null for every series the last good one had. */
  readings(): Promise<readonly Reading[]>;
  /** Families of a new look, which is not the look before of anything; none when it fails. */
  families(): Promise<readonly Family[]>;
  /** How the last look went; undefined before the first. */
  status(): CollectorStatus | undefined;
  /** Forgets the look before, its series and its status: the collector was switched off. */
  forget(): void;
}

export interface RunDeps {
  readonly host: Host;
  readonly clock: Clock;
  readonly log: Log;
}

interface Look {
  readonly raw: unknown;
  readonly atMs: number;
}

/** Sizes of filesystems take 2 s at most, everything else far less; what takes longer hangs. */
const readDeadlineMs = 5_000;

/** Reads with a deadline; whoever asks while a read is on its way shares it, so that a hanging one is never doubled. */
function createLooker(collector: AnyCollector, { host, clock }: RunDeps): () => Promise<Look> {
  let onTheWay: Promise<Look> | null = null;
  const read = async (): Promise<Look> => {
    try {
      const raw = await collector.read(host);
      return { raw, atMs: clock.monotonic() };
    } finally {
      onTheWay = null;
    }
  };
  return async () => {
    onTheWay ??= Promise.resolve().then(read);
    const timeUp = deadline(clock, readDeadlineMs);
    const late = new Promise<never>((_, reject) => {
      timeUp.signal.addEventListener("abort", () => {
        const message = `${collector.name}: no answer in ${readDeadlineMs / 1_000} s`;
        reject(new AgentError("PROC_UNREADABLE", message));
      });
    });
    try {
      return await Promise.race([onTheWay, late]);
    } finally {
      timeUp.clear();
    }
  };
}

interface Judge {
  /** Does the work, notes how it went, and tells the log when that changed; undefined when it failed. */
  attempt<T>(work: () => Promise<T>): Promise<T | undefined>;
  status(): CollectorStatus | undefined;
  forget(): void;
}

function createJudge(name: string, { clock, log }: RunDeps): Judge {
  let status: CollectorStatus | undefined;
  const note = (lastError: string | null, startedMs: number): void => {
    const failedBefore = status?.success === false;
    if (lastError !== null && !failedBefore)
      log.warn("collector failing", { collector: name, error: lastError });
    if (lastError === null && failedBefore) log.info("collector works again", { collector: name });
    const durationSeconds = (clock.monotonic() - startedMs) / 1_000;
    status = { name, success: lastError === null, durationSeconds, lastError };
  };
  return {
    attempt: async (work) => {
      const startedMs = clock.monotonic();
      try {
        const result = await work();
        note(null, startedMs);
        return result;
      } catch (cause) {
        note(errorText(cause), startedMs);
        return undefined;
      }
    },
    status: () => status,
    forget: () => {
      status = undefined;
    },
  };
}

/** Puts a collector to work on a host; nothing is read before somebody asks. */
export function createRun(collector: AnyCollector, deps: RunDeps): CollectorRun {
  const look = createLooker(collector, deps);
  const judge = createJudge(collector.name, deps);
  let before: Look | undefined;
  let lastReadings: readonly Reading[] = [];
  const read = async (): Promise<readonly Reading[]> => {
    const now = await look();
    const readings = collector.readings(
      now.raw,
      before && { raw: before.raw, elapsedSeconds: (now.atMs - before.atMs) / 1_000 },
    );
    before = now;
    return readings;
  };
  return {
    collector,
    readings: async () => {
      const readings = await judge.attempt(read);
      if (readings === undefined) return lastReadings.map((last) => ({ ...last, value: null }));
      lastReadings = readings;
      return readings;
    },
    families: async () =>
      (await judge.attempt(async () => collector.families((await look()).raw))) ?? [],
    status: () => judge.status(),
    forget: () => {
      before = undefined;
      lastReadings = [];
      judge.forget();
    },
  };
}
