import assert from "node:assert/strict";
import { AgentError } from "../../src/core/errors.ts";

/** Whether this is the one error that stored bytes of somebody else's may cause. */
export function isInvalid(cause: unknown): boolean {
  return cause instanceof AgentError && cause.code === "BLOCK_INVALID";
}

/** What is decoded, null when it is refused; whatever else is thrown fails the test. */
export function orRefused<T>(decode: () => T): T | null {
  try {
    return decode();
  } catch (cause) {
    assert.ok(isInvalid(cause), `threw ${String(cause)}`);
    return null;
  }
}
