import type { Clock, Log } from "./core/ports.ts";
import type { Backend } from "./store/contract.ts";

/** From here on samples of nodes do not line up. */
const mostMs = 5_000;

/** A clock that runs wrongly drifts by seconds a day. */
const hourMs = 3_600_000;

/** Compares this node's clock with that of the store that all nodes share. */
export interface Drift {
  /** How far apart they are, for people; null: not too far, or not known. */
  readonly problem: string | null;
  /** Looks again when it is time, after a reconnection, and when a clock has jumped. Never rejects. */
  check(): Promise<void>;
}

export function createDrift(
  backend: Pick<Backend, "aheadMs" | "epoch" | "status">,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
): Drift {
  let problem: string | null = null;
  let last: { readonly epoch: number; readonly atMs: number; readonly skewMs: number } | null =
    null;
  /** Changes only when the wall clock jumps. */
  const skewMs = (): number => clock.now() - clock.monotonic();
  const isDue = (): boolean =>
    last?.epoch !== backend.epoch() ||
    clock.monotonic() - last.atMs >= hourMs ||
    Math.abs(skewMs() - last.skewMs) > mostMs;
  const judge = (ahead: number): void => {
    const wasWrong = problem !== null;
    if (Math.abs(ahead) <= mostMs) {
      problem = null;
      if (wasWrong) log.info("clock agrees with that of redis again");
      return;
    }
    const seconds = (Math.abs(ahead) / 1_000).toFixed(1);
    problem = `this node's clock is ${seconds} s ${ahead > 0 ? "behind" : "ahead of"} that of redis`;
    log.warn("clock differs from that of redis", { offset_seconds: -ahead / 1_000 });
  };
  return {
    get problem() {
      return problem;
    },
    check: async () => {
      if (backend.aheadMs === undefined || backend.status().status !== "ok" || !isDue()) return;
      const now = { epoch: backend.epoch(), atMs: clock.monotonic(), skewMs: skewMs() };
      const ahead = await backend.aheadMs();
      // Not told is not asked again before it is due: the right to TIME may be missing.
      last = now;
      if (ahead !== null) judge(ahead);
    },
  };
}
