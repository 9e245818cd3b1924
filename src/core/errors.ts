/** One thing that is wrong with an input: where it stands, and what is wrong and how to mend it. */
export interface Fault {
  /** Dotted path inside the input, `alerts.rules[0].threshold`; empty for the whole. */
  readonly path: string;
  /** What was expected, never holding a secret. */
  readonly message: string;
}

/**
 * Why the agent threw. Expected refusals are values, not errors; these are what is broken or malformed.
 *
 * - `CONFIG_INVALID`: a setting, a file or a variable is wrong; `faults` lists all of them.
 * - `INPUT_INVALID`: a request, an answer or a document of somebody else's is malformed.
 * - `NOT_FOUND`: what was asked for does not exist.
 * - `CONFLICT`: the question fits more than one thing.
 * - `PROC_UNREADABLE`: a file of the host is missing or has an unknown form.
 * - `BLOCK_INVALID`: a stored block is garbled, truncated or of an unknown version.
 * - `STORE_UNAVAILABLE`: the store did not answer, or refused.
 * - `HTTP_FAILED`: a request got no usable answer.
 * - `LIMIT_EXCEEDED`: a question would cost more than the agent gives for one.
 * - `DEADLINE_EXCEEDED`: an answer was not ready in the time there was for it.
 */
export type ErrorCode =
  | "CONFIG_INVALID"
  | "INPUT_INVALID"
  | "NOT_FOUND"
  | "CONFLICT"
  | "PROC_UNREADABLE"
  | "BLOCK_INVALID"
  | "STORE_UNAVAILABLE"
  | "HTTP_FAILED"
  | "LIMIT_EXCEEDED"
  | "DEADLINE_EXCEEDED";

/** The agent's one error class: a closed code, what went wrong, every fault, and the cause. */
export class AgentError extends Error {
  readonly code: ErrorCode;
  readonly faults: readonly Fault[];

  constructor(
    code: ErrorCode,
    message: string,
    options: { faults?: readonly Fault[]; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "AgentError";
    this.code = code;
    this.faults = options.faults ?? [];
  }
}

/** Everything that is wrong with an input in one line, each fault with its path. */
export function faultsText(faults: readonly Fault[]): string {
  return faults
    .map(({ path, message }) => (path === "" ? message : `${path}: ${message}`))
    .join("; ");
}

/** The code of a system's or a library's error, such as `ENOENT`; undefined when it has none. */
export function codeOf(cause: unknown): string | undefined {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  return typeof code === "string" ? code : undefined;
}

/** The text of anything thrown; of an `AgentError` with faults, each fault with its path. */
export function errorText(cause: unknown): string {
  if (cause instanceof AgentError && cause.faults.length > 0) return faultsText(cause.faults);
  if (cause instanceof AggregateError && cause.message === "")
    return cause.errors.map(errorText).join("; ");
  // The parser's own message quotes the text around the mistake, and with it what may be secret.
  if (cause instanceof SyntaxError) return "not valid JSON";
  return cause instanceof Error ? cause.message : String(cause);
}

/** For the end of a `switch` that has handled every case: the compiler proves that it cannot be reached. */
export function unreachable(value: never): never {
  throw new TypeError(`unexpected case: ${JSON.stringify(value)}`);
}
