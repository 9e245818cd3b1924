import { createStatus } from "../../base/status.ts";
import type { Clock, ComponentStatus, Log } from "../../core/ports.ts";

/** Something a server lacks; by its kind, so that it is said once. */
export interface Lack {
  readonly kind: "version" | "mode" | "rights" | "eviction";
  readonly problem: string;
  readonly fix: string;
}

/** State of the connection; says once that it is gone, once that it is back, and once what the server lacks. */
export interface Watch {
  readonly current: ComponentStatus;
  /** There is no connection. */
  lost(reason: string): void;
  /** There is one. */
  back(): void;
  /** Commands of a place got no answer that is of use; null: they go anywhere. */
  failed(place: string | null, reason: string): void;
  worked(place: string | null): void;
  lacks(lack: Lack): void;
  has(kind: Lack["kind"]): void;
}

/** In a cluster others go on meanwhile: without a further failure for so long, the place is forgotten. */
const forgetMs = 30_000;

export function createWatch(clock: Clock, log: Log): Watch {
  const status = createStatus(clock, "starting");
  const lacks = new Map<Lack["kind"], string>();
  let failing: { readonly place: string | null; readonly atMs: number } | null = null;
  const lost = (reason: string): void => {
    if (status.set("down", reason))
      log.warn("redis unavailable", { reason, meanwhile: "everything stays in memory" });
  };
  const back = (): void => {
    failing = null;
    const wasDown = status.current.status === "down";
    if (status.set("ok") && wasDown) log.info("redis available again");
  };
  return {
    get current() {
      const { current } = status;
      const [first] = lacks.values();
      if (current.status !== "ok" || first === undefined) return current;
      return { ...current, lastError: first, details: Object.fromEntries(lacks) };
    },
    lost,
    back,
    failed: (place, reason) => {
      if (failing === null || failing.place === place) failing = { place, atMs: clock.monotonic() };
      lost(reason);
    },
    worked: (place) => {
      const other = failing !== null && failing.place !== place;
      if (other && clock.monotonic() - (failing?.atMs ?? 0) < forgetMs) return;
      back();
    },
    lacks: ({ kind, problem, fix }) => {
      if (lacks.get(kind) === problem) return;
      lacks.set(kind, problem);
      log.warn("redis lacks something", { problem, fix });
    },
    has: (kind) => {
      if (lacks.delete(kind)) log.info("redis has what it lacked", { what: kind });
    },
  };
}
