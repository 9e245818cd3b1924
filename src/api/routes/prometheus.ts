import { createTurns } from "../../base/parallel.ts";
import { AgentError } from "../../core/errors.ts";
import { exposedMetric } from "../../core/exposed.ts";
import {
  dataReply,
  errorReply,
  listReply,
  refusal,
  scalarReply,
  seriesReply,
} from "../prometheus/answer.ts";
import { Cost } from "../prometheus/cost.ts";
import { evaluate } from "../prometheus/evaluate.ts";
import { findSeries, type Found, type Search } from "../prometheus/fleet.ts";
import { badData, Params, type Steps } from "../prometheus/params.ts";
import type { Matcher } from "../prometheus/syntax.ts";
import type { Reply } from "../reply.ts";
import type { Call, Route, RouteDeps } from "../route.ts";

/** What one request is answered with. */
interface Asked {
  readonly params: Params;
  /** The name in the path, where there is one. */
  readonly name: string;
  readonly search: Search;
  /** Waits for its turn with what is costly. */
  readonly inTurn: <R>(work: () => Promise<R>) => Promise<R>;
}
type Answer = (asked: Asked) => Reply | Promise<Reply>;

/** Questions answered at a time; each holds some 30 MB at most, and a dashboard asks a dozen at once. */
const questionsAtOnce = 2;
/** The version whose rules of time are followed: Grafana asks which questions are understood. */
const likePrometheus = "3.0.0";
const dayMs = 86_400_000;
const labelName = /^[a-zA-Z_][a-zA-Z0-9_]*$/;
/** Fits everything: what is asked for when nothing is said. */
const everything: readonly Matcher[] = [];

async function answerSteps(
  { params, search, inTurn }: Asked,
  kind: "matrix" | "vector",
  steps: Steps,
): Promise<Reply> {
  const limit = params.limit();
  const query = params.query();
  if (query.kind === "series") {
    const found = await inTurn(() => evaluate(search, query, steps));
    return seriesReply(kind, found, steps, limit);
  }
  if (kind === "vector") return scalarReply(query.value, steps.startMs);
  const values = new Float64Array(steps.count).fill(query.value);
  return seriesReply(
    kind,
    { series: [{ labels: {}, values, isScalar: true }], warnings: [] },
    steps,
    limit,
  );
}

/** The series that fit `match[]`, or all; in the time that is kept when none is given. */
function knownSeries(
  { params, search, inTurn }: Asked,
  matches: readonly (readonly Matcher[])[],
): Promise<Found> {
  const { nowMs, view } = search;
  const kept = { startMs: nowMs - (view.retentionDays() + 1) * dayMs, endMs: nowMs };
  const { startMs, endMs } = params.span(kept);
  const questions = matches.length === 0 ? [everything] : matches;
  return inTurn(() => findSeries(search, questions, { fromMs: startMs, toMs: endMs }));
}

/** Texts without repetition, in their order. */
function distinct(texts: Iterable<string>): readonly string[] {
  return [...new Set(texts)].sort();
}

async function labels(asked: Asked): Promise<Reply> {
  const limit = asked.params.limit();
  const { targets, warnings } = await knownSeries(asked, asked.params.matches());
  const names = targets.flatMap(({ series }) =>
    series.flatMap(({ labels }) => Object.keys(labels)),
  );
  return listReply(distinct(names), limit, warnings);
}

async function labelValues(asked: Asked): Promise<Reply> {
  const { params, name } = asked;
  if (!labelName.test(name)) throw badData(`invalid label name: ${JSON.stringify(name)}`);
  const limit = params.limit();
  const { targets, warnings } = await knownSeries(asked, params.matches());
  const values = targets.flatMap(({ series }) =>
    series.flatMap(({ labels }) => (Object.hasOwn(labels, name) ? [labels[name] ?? ""] : [])),
  );
  return listReply(distinct(values), limit, warnings);
}

async function series(asked: Asked): Promise<Reply> {
  const limit = asked.params.limit();
  const matches = asked.params.matches();
  if (matches.length === 0) throw badData("no match[] parameter provided");
  const { targets, warnings } = await knownSeries(asked, matches);
  const found = targets.flatMap(({ series }) => series.map(({ labels }) => labels));
  return listReply(found, limit, warnings);
}

function metadata({ params }: Asked): Reply {
  const { name, type, help } = exposedMetric;
  params.limit();
  params.limit("limit_per_metric");
  const asked = params.text("metric") ?? "";
  return dataReply(asked === "" || asked === name ? { [name]: [{ type, help, unit: "" }] } : {});
}

function buildInfo({ search }: Asked): Reply {
  return dataReply({
    version: `${likePrometheus}+targetvpc.${search.view.version}`,
    revision: "",
    branch: "",
    buildUser: "",
    buildDate: "",
    goVersion: "",
  });
}

const queryRange: Answer = (asked) => answerSteps(asked, "matrix", asked.params.steps());

const query: Answer = (asked) => {
  const startMs = asked.params.timeMs("time", asked.search.nowMs);
  return answerSteps(asked, "vector", { startMs, stepMs: 1, count: 1 });
};

/** Everything given, a form's first. */
function givenIn(call: Call): URLSearchParams {
  const form = call.body instanceof URLSearchParams ? call.body : [];
  return new URLSearchParams([...form, ...call.query]);
}

/** The stored series as Prometheus would answer for them, so that its clients read them: Grafana above all. */
export function prometheusRoutes({ view, clock, redactor }: RouteDeps): Route[] {
  const inTurn = createTurns(questionsAtOnce);
  const handler =
    (answer: Answer) =>
    async (call: Call): Promise<Reply> => {
      const params = new Params(givenIn(call), clock.now());
      try {
        const cost = new Cost(clock, params.timeoutMs(), () => call.gone());
        const search = { view, cost, nowMs: clock.now() };
        return await answer({ params, name: call.params["name"] ?? "", search, inTurn });
      } catch (cause) {
        const reply = cause instanceof AgentError ? errorReply(cause, redactor) : null;
        if (reply === null) throw cause;
        return reply;
      }
    };
  const reads = (path: string, answer: Answer, methods: readonly Route["method"][]): Route[] =>
    methods.map((method) => ({
      method,
      path: `/api/v1/${path}`,
      access: "read",
      body: method === "POST" ? "form" : "none",
      refuse: refusal,
      handle: handler(answer),
    }));
  return [
    ...reads("query_range", queryRange, ["GET", "POST"]),
    ...reads("query", query, ["GET", "POST"]),
    ...reads("labels", labels, ["GET", "POST"]),
    ...reads("series", series, ["GET", "POST"]),
    ...reads("label/:name/values", labelValues, ["GET"]),
    ...reads("metadata", metadata, ["GET"]),
    ...reads("status/buildinfo", buildInfo, ["GET"]),
  ];
}
