/** Time, injected: nothing but `base/clock.ts` asks the system for it. */
export interface Clock {
  /** Wall clock, Unix milliseconds; may jump. */
  now(): number;
  /** Milliseconds since an arbitrary start; never jumps. */
  monotonic(): number;
  /** Waits; resolves early, without an error, when the signal aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export type LogFields = Readonly<Record<string, unknown>>;

/** Constant events with fields; every string passes the redactor before it leaves. */
export interface Log {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
}

/** How a part of the agent is doing, as `/health` shows it. */
export type ComponentState = "ok" | "degraded" | "down" | "disabled" | "starting";

export interface ComponentStatus {
  readonly status: ComponentState;
  /** When it got into this state, Unix milliseconds. */
  readonly sinceMs: number;
  readonly lastError: string | null;
  /** How its own parts are doing, or by which way it works at present. */
  readonly details?: Readonly<Record<string, string>>;
}

/** Something started that must be stopped; stopping twice is harmless. */
export interface Running {
  stop(): Promise<void>;
}

/** Small pieces of state that must survive a restart, by key; a null value deletes. */
export interface StatePort {
  load(): Promise<ReadonlyMap<string, string>>;
  save(changes: ReadonlyMap<string, string | null>): Promise<void>;
}
