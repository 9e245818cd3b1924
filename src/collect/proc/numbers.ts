import { AgentError } from "../../core/errors.ts";

/** What is thrown when a file below /proc has another form than the kernel documents. */
export function unexpected(file: string, expected: string, got: string): AgentError {
  const shown = JSON.stringify(got.length > 80 ? `${got.slice(0, 80)}…` : got);
  return new AgentError("PROC_UNREADABLE", `${file}: expected ${expected}, got ${shown}`);
}

/** A number as /proc writes it: digits, perhaps a fraction. Throws PROC_UNREADABLE, quoting the line. */
export function procNumber(word: string | undefined, file: string, line: string): number {
  if (word === undefined || !/^\d+(\.\d+)?$/.test(word)) throw unexpected(file, "a number", line);
  return Number(word);
}
