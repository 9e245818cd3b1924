import { truncateBytes } from "../../base/text.ts";
import { AgentError, type ErrorCode, faultsText } from "../../core/errors.ts";
import type { Redactor } from "../../base/secret.ts";
import type { Labels } from "../../core/series.ts";
import { jsonReply, type Reply } from "../reply.ts";
import type { Evaluated, EvaluatedSeries } from "./evaluate.ts";
import type { Steps } from "./params.ts";

/** Points written in one go: some 50 KB, about a millisecond during which nothing else runs. */
const pointsPerPart = 2_048;
/** Distinct values whose text is remembered; percentages with one decimal have 1,001. */
const maxRemembered = 4_096;
/** A fault may quote a query. */
const maxErrorBytes = 2_000;

/** What of Prometheus' kinds of error an error of ours is. */
const errorTypes: Readonly<
  Partial<Record<ErrorCode, readonly [status: number, errorType: string]>>
> = {
  INPUT_INVALID: [400, "bad_data"],
  NOT_FOUND: [404, "not_found"],
  LIMIT_EXCEEDED: [422, "execution"],
  DEADLINE_EXCEEDED: [503, "timeout"],
  STORE_UNAVAILABLE: [503, "unavailable"],
};

/** The kinds of refusals that come before a request is understood, by their status. */
export function refusal(status: number, detail: string): Reply {
  return jsonReply({ status: "error", errorType: "bad_data", error: detail }, status);
}

/** An error in Prometheus' shape; null when it is none of the client's business. */
export function errorReply(cause: unknown, redactor: Redactor): Reply | null {
  if (!(cause instanceof AgentError)) return null;
  const [status, errorType] = errorTypes[cause.code] ?? [];
  if (status === undefined) return null;
  const text = cause.faults.length > 0 ? faultsText(cause.faults) : cause.message;
  const error = truncateBytes(redactor.redact(text), maxErrorBytes);
  return jsonReply({ status: "error", errorType, error }, status);
}

/** A good answer; without `warnings` when there are none. */
export function dataReply(data: unknown, warnings: readonly string[] = []): Reply {
  return jsonReply({ status: "success", data, ...(warnings.length === 0 ? {} : { warnings }) });
}

/** A number as Prometheus writes it. */
function numberText(value: number): string {
  if (Number.isFinite(value) || Number.isNaN(value)) return String(value);
  return value > 0 ? "+Inf" : "-Inf";
}

/** Writes numbers in quotes; most recur, and making the text of a fraction anew takes most of the time of an answer. */
function createNumberWriter(): (value: number) => string {
  const remembered = new Map<number, string>();
  return (value) => {
    const known = remembered.get(value);
    if (known !== undefined) return known;
    const text = `"${numberText(value)}"`;
    if (remembered.size < maxRemembered) remembered.set(value, text);
    return text;
  };
}

/** Labels in the order of their names, as Prometheus shows them. */
function metricJson(labels: Labels): string {
  return JSON.stringify(labels, Object.keys(labels).sort());
}

function* pointsOf(
  { values, isScalar }: EvaluatedSeries,
  { startMs, stepMs }: Steps,
  write: (value: number) => string,
): Generator<string> {
  let part = "";
  let points = 0;
  for (const [at, value] of values.entries()) {
    if (Number.isNaN(value) && isScalar !== true) continue;
    part += `${points++ === 0 ? "" : ","}[${(startMs + at * stepMs) / 1_000},${write(value)}]`;
    if (points % pointsPerPart !== 0) continue;
    yield part;
    part = "";
  }
  yield part;
}

function sorted(series: readonly EvaluatedSeries[], limit: number) {
  const named = series.map((one) => ({ ...one, metric: metricJson(one.labels) }));
  named.sort((a, b) => (a.metric < b.metric ? -1 : 1));
  return named.slice(0, limit);
}

function endOf(warnings: readonly string[]): string {
  return warnings.length === 0 ? "]}}" : `]},"warnings":${JSON.stringify(warnings)}}`;
}

async function* parts(
  kind: "matrix" | "vector",
  { series, warnings }: Evaluated,
  steps: Steps,
  limit: number,
): AsyncGenerator<string> {
  const write = createNumberWriter();
  let text = `{"status":"success","data":{"resultType":"${kind}","result":[`;
  for (const [at, one] of sorted(series, limit).entries()) {
    text += `${at === 0 ? "" : ","}{"metric":${one.metric},"value${kind === "matrix" ? 's":[' : '":'}`;
    for (const part of pointsOf(one, steps, write)) {
      text += part;
      if (part.length < pointsPerPart) continue;
      yield text;
      text = "";
    }
    text += kind === "matrix" ? "]}" : "}";
  }
  const cut = series.length > limit ? ["results truncated due to limit"] : [];
  yield text + endOf([...warnings, ...cut]);
}

/** Evaluated series, in parts: of a range query with all values, of an instant one with the only one. */
export function seriesReply(
  kind: "matrix" | "vector",
  evaluated: Evaluated,
  steps: Steps,
  limit: number,
): Reply {
  const body = parts(kind, evaluated, steps, limit);
  return { status: 200, type: "application/json; charset=utf-8", body };
}

/** A number at one time. */
export function scalarReply(value: number, timeMs: number): Reply {
  return dataReply({ resultType: "scalar", result: [timeMs / 1_000, numberText(value)] });
}

/** As much of a list as was asked for. */
export function listReply(
  items: readonly unknown[],
  limit: number,
  warnings: readonly string[],
): Reply {
  const cut = items.length > limit ? ["results truncated due to limit"] : [];
  return dataReply(items.slice(0, limit), [...warnings, ...cut]);
}
