import * as v from "valibot";
import { parseTimeMs } from "../base/duration.ts";
import { durationMs, list, oneOf, parseWith, text } from "../base/parse.ts";
import { AgentError, errorText, type Fault } from "../core/errors.ts";
import { aggregates, parseSelector, splitList, type Aggregate } from "../core/series.ts";

const formats = ["table", "csv", "json"] as const;

/** What a command line asks for; times stay as they were written until the agent's clock is known. */
export interface Question {
  /** Names or patterns; none: the agent's own node. */
  readonly nodes: readonly string[];
  /** Null: those the agent answers by itself. */
  readonly indexes: readonly string[] | null;
  readonly start: string | null;
  readonly end: string;
  readonly lastMs: number;
  /** Null: every sample. */
  readonly stepMs: number | null;
  readonly aggregate: Aggregate;
  readonly format: (typeof formats)[number];
  /** Where the agent is, without a slash at its end; null: where the configuration says. */
  readonly url: string | null;
}

/** Both ends inclusive, Unix milliseconds. */
export interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

/** What is wrong with a command line. */
export function wrongUse(faults: readonly Fault[]): AgentError {
  return new AgentError("INPUT_INVALID", "wrong options; try: targetvpc query --help", { faults });
}

const selector = v.pipe(
  text,
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    try {
      parseSelector(dataset.value);
    } catch (cause) {
      addIssue({ message: errorText(cause) });
    }
  }),
);

const time = v.pipe(
  v.string(),
  v.check(
    (input) => parseTimeMs(input, 0) !== null,
    ({ input }) =>
      `expected Unix seconds, an RFC 3339 time, "now" or a relative time such as "-1h", got ${JSON.stringify(input)}`,
  ),
);

const wholeSeconds = v.pipe(
  durationMs,
  v.minValue(1_000, "must be at least one second"),
  v.multipleOf(1_000, "must be whole seconds"),
);

const address = v.pipe(
  v.string(),
  v.check(
    (input) => /^https?:\/\/[^/?#@]+\/?$/.test(input) && URL.canParse(input),
    "expected http://host:port; the token is taken from the configuration",
  ),
  v.transform((input) => new URL(input).origin),
);

const schema = v.object({
  nodes: v.optional(list(text), []),
  indexes: v.optional(list(selector)),
  lastMs: v.optional(wholeSeconds, "1h"),
  start: v.optional(time),
  end: v.optional(time, "now"),
  stepMs: v.optional(wholeSeconds),
  aggregate: v.optional(oneOf(aggregates), "avg"),
  format: v.optional(oneOf(formats), "table"),
  url: v.optional(address),
});

/** The options behind the fields of a question. */
const optionOf: Readonly<Record<string, string>> = {
  nodes: "node",
  indexes: "index",
  lastMs: "last",
  stepMs: "step",
};

type Options = ReadonlyMap<string, readonly string[]>;

/** What does not go together. */
function contradictions(options: Options, format: Question["format"]): Fault[] {
  const faults: Fault[] = [];
  if (options.has("start") && options.has("last"))
    faults.push({ path: "--last", message: "given beside --start" });
  if (options.has("aggregate") && !options.has("step") && format !== "table")
    faults.push({ path: "--aggregate", message: "needs --step: without it every sample is given" });
  return faults;
}

function fieldsOf(options: Options): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.keys(schema.entries).map((field) => {
      const given = options.get(optionOf[field] ?? field);
      const isList = field === "nodes" || field === "indexes";
      return [field, isList ? given?.flatMap(splitList) : given?.[0]];
    }),
  );
}

/** The question of a command line. Throws INPUT_INVALID with every fault, under the name of its option. */
export function readQuestion(options: Options): Question {
  const parsed = parseWith(schema, fieldsOf(options));
  if (!parsed.ok)
    throw wrongUse(
      parsed.faults.map(({ path, message }) => {
        const field = path.replace(/\[\d+\]$/, "");
        return { path: `--${optionOf[field] ?? field}`, message };
      }),
    );
  const { indexes = null, start = null, stepMs = null, url = null, ...rest } = parsed.value;
  const faults = contradictions(options, rest.format);
  if (faults.length > 0) throw wrongUse(faults);
  return { ...rest, indexes, start, stepMs, url };
}

/** From when to when. Throws INPUT_INVALID when the end is not after the beginning. */
export function spanOf({ start, end, lastMs }: Question, nowMs: number): Span {
  const toMs = parseTimeMs(end, nowMs) ?? nowMs;
  const fromMs = (start === null ? null : parseTimeMs(start, nowMs)) ?? toMs - lastMs;
  if (fromMs < toMs) return { fromMs, toMs };
  throw wrongUse([
    { path: "--start", message: "must be before --end (which is now when it is not given)" },
  ]);
}
