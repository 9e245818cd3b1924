import {
  parseSelector,
  selects,
  seriesKey,
  type SeriesKey,
  type SeriesSelector,
} from "../../core/series.ts";
import type { AgentView, SeriesResult } from "../ports.ts";
import { invalid } from "../problem.ts";
import type { SeriesAsk } from "./ask.ts";
import { isTiered, pointMs, seriesIn } from "./tiered.ts";

/** A question with its node found and its span cut to what can be there. */
export interface SeriesPlan {
  /** `cluster/name`. */
  readonly node: string;
  readonly fromMs: number;
  readonly toMs: number;
  readonly selectors: readonly SeriesSelector[];
  /** Between what is read: samples, or the aggregates of five minutes. */
  readonly intervalMs: number;
  readonly stepMs: number | null;
  /** Whether aggregates are read instead of samples. */
  readonly tiered: boolean;
  readonly nowMs: number;
}

/** Values of one answer: a week of 33 series, about 70 MB of JSON, which no client should ask for at once. */
const maxValues = 2_000_000;
/** Samples looked at for one answer: 90 days of 25 series, a few seconds of work. */
const maxSamples = 20_000_000;
/** Samples held at a time, 2–5 MB: a week of three series in one read. */
const chunkSamples = 200_000;
/** How many series a `{*}` is taken for until they are counted. */
const guessedSeries = 10;
const dayMs = 86_400_000;

/** Cuts the span to what may be stored, so that a wild time costs nothing. */
export function planRead(
  ask: SeriesAsk,
  node: string,
  limits: { nowMs: number; keptDays: number; tierDays: number; intervalMs: number },
): SeriesPlan {
  const tiered = isTiered(ask);
  const keptDays = tiered ? Math.max(limits.keptDays, limits.tierDays) : limits.keptDays;
  return {
    node,
    fromMs: Math.ceil(Math.max(ask.startMs, limits.nowMs - (keptDays + 1) * dayMs)),
    // Clocks of nodes differ; more than a day ahead nothing can be.
    toMs: Math.floor(Math.min(ask.endMs, limits.nowMs + dayMs)),
    selectors: ask.selectors,
    intervalMs: tiered ? pointMs : limits.intervalMs,
    stepMs: ask.stepMs,
    tiered,
    nowMs: limits.nowMs,
  };
}

function refuseTooMuch(plan: SeriesPlan, seriesCount: number): void {
  const spanMs = Math.max(0, plan.toMs - plan.fromMs);
  const values = Math.ceil(spanMs / (plan.stepMs ?? plan.intervalMs)) * seriesCount;
  const samples = Math.ceil(spanMs / plan.intervalMs) * seriesCount;
  if (values > maxValues)
    throw invalid([
      {
        path: "step",
        message: `the answer would hold ${values} values, more than ${maxValues}: ask for a larger step, a shorter time or fewer series`,
      },
    ]);
  if (samples > maxSamples)
    throw invalid([
      {
        path: "start_time",
        message: `${samples} samples would have to be read, more than ${maxSamples}: ask for a shorter time or fewer series`,
      },
    ]);
}

/** A piece of a day or more ends with a day: the store keeps days whole, and reads them so. */
function pieceEndMs(fromMs: number, pieceMs: number): number {
  const endMs = fromMs + pieceMs;
  return pieceMs < dayMs ? endMs : Math.floor(endMs / dayMs) * dayMs;
}

/** Reads a span piece by piece, in time order; a piece ends a millisecond before the next begins. */
async function* pieces(
  view: AgentView,
  plan: SeriesPlan,
  selectors: readonly SeriesSelector[],
  seriesCount: number,
): AsyncGenerator<SeriesResult> {
  const rows = Math.max(1, Math.floor(chunkSamples / seriesCount));
  const pieceMs = rows * plan.intervalMs;
  let fromMs = plan.fromMs;
  while (fromMs <= plan.toMs) {
    const toMs = Math.min(plan.toMs, pieceEndMs(fromMs, pieceMs) - 1);
    yield await view.readSeries({ node: plan.node, selectors, fromMs, toMs });
    fromMs = toMs + 1;
  }
}

/**
 * The series a question names, each once; those of `{*}` are found by reading the span, as the columns of a table
 * must be known before its first row is sent. Throws INPUT_INVALID when the answer would be too big.
 */
export async function namedSeries(view: AgentView, plan: SeriesPlan): Promise<SeriesKey[]> {
  const starred = plan.selectors.filter(({ labels }) => labels === "*");
  const guessed = plan.selectors.length + starred.length * (guessedSeries - 1);
  refuseTooMuch(plan, guessed);
  const found = new Set<SeriesKey>();
  const expected = starred.length * guessedSeries;
  if (starred.length > 0 && plan.tiered && plan.stepMs !== null)
    for await (const key of seriesIn(view, { ...plan, stepMs: plan.stepMs }, starred, expected))
      found.add(key);
  else if (starred.length > 0)
    for await (const { columns } of pieces(view, plan, starred, expected))
      for (const key of columns.keys()) found.add(key);
  const sorted = [...found].sort();
  const keys = new Set(
    plan.selectors.flatMap((selector) =>
      selector.labels === "*"
        ? sorted.filter((key) => selects(selector, key))
        : [seriesKey(selector.index, selector.labels)],
    ),
  );
  refuseTooMuch(plan, keys.size);
  return [...keys];
}

/** The samples of some series, in pieces. */
export function readPieces(
  view: AgentView,
  plan: SeriesPlan,
  keys: readonly SeriesKey[],
): AsyncGenerator<SeriesResult> {
  return pieces(view, plan, keys.map(parseSelector), Math.max(1, keys.length));
}
