import { AgentError } from "../../core/errors.ts";
import type { Backend } from "../contract.ts";

/** Work that goes on although some of it was refused. */
export interface Refusals {
  /** Does some work; null when the backend refuses it although it is there, which is remembered. */
  attempt<T>(work: () => Promise<T>): Promise<T | null>;
  /** Throws the first refusal. */
  rethrow(): void;
}

/** A day in whose place stands something else must not hold up the others. */
export function createRefusals({ status }: Pick<Backend, "status">): Refusals {
  let first: AgentError | null = null;
  return {
    attempt: async (work) => {
      try {
        return await work();
      } catch (cause) {
        const isRefused = cause instanceof AgentError && cause.code === "STORE_UNAVAILABLE";
        if (!isRefused || status().status !== "ok") throw cause;
        first ??= cause;
        return null;
      }
    },
    rethrow: () => {
      if (first !== null) throw first;
    },
  };
}
