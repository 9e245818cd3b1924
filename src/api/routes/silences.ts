import { randomUUID } from "node:crypto";
import * as v from "valibot";
import { durationMs, flag, kindOf, list, oneOf, strictObject } from "../../base/parse.ts";
import { AgentError } from "../../core/errors.ts";
import { levels } from "../../core/rule.ts";
import {
  silenceState,
  silenceStates,
  type Silence,
  type SilenceMatchers,
} from "../../core/silence.ts";
import { listQuery, listReply, newestFirst } from "../list.ts";
import { invalid } from "../problem.ts";
import { noQuery, readQuery } from "../query.ts";
import { jsonReply, type Reply } from "../reply.ts";
import { checked, get, shortText, type Call, type Route, type RouteDeps } from "../route.ts";
import { timeSchema } from "../series/ask.ts";
import { showSilence } from "../show.ts";

/** The longest silence; who wants nothing told for longer changes the rule. */
const longestDays = 90;
const longestMs = longestDays * 86_400_000;
/** More patterns than this are no silence but a list of nodes; a glob says it shorter. */
const maxPatterns = 50;

/** One or several of something, as a list. */
function oneOrMore<const S extends v.GenericSchema>(item: S) {
  return v.nullish(
    v.pipe(
      v.unknown(),
      v.transform((input) => (Array.isArray(input) ? (input as unknown[]) : [input])),
      list(item),
      v.minLength(1, "names nothing; leave it out for all"),
      v.maxLength(maxPatterns, `at most ${maxPatterns}; "*" stands for anything`),
    ),
    null,
  );
}

const pattern = oneOrMore(shortText(200));
const labels = v.pipe(
  v.unknown(),
  v.check(
    (input) => typeof input === "object" && input !== null && !Array.isArray(input),
    ({ input }) => `expected an object such as {"mount": "/data*"}, got ${kindOf(input)}`,
  ),
  v.record(v.string(), shortText(200)),
);

const matchers = v.pipe(
  strictObject({
    node: pattern,
    cluster: pattern,
    rule: pattern,
    index: pattern,
    level: oneOrMore(oneOf(levels)),
    labels: v.optional(labels, {}),
    only_labels: v.optional(flag, false),
  }),
  v.check(
    ({ labels, node, cluster, rule, index, level }) =>
      Object.keys(labels).length > 0 ||
      [node, cluster, rule, index, level].some((part) => part !== null),
    "names nothing to silence: give at least one of node, cluster, rule, index, level, labels",
  ),
);

function silenceSchema(nowMs: number) {
  return strictObject({
    matchers,
    starts_at: v.nullish(timeSchema(nowMs)),
    ends_at: v.nullish(timeSchema(nowMs)),
    duration: v.nullish(durationMs),
    author: shortText(100),
    comment: shortText(1_000),
  });
}

type Raw = v.InferOutput<ReturnType<typeof silenceSchema>>;

/** Says of the end of a silence what is wrong with it. */
function endFault(raw: Raw, message: string): AgentError {
  const path = raw.ends_at === null || raw.ends_at === undefined ? "duration" : "ends_at";
  return invalid([{ path, message }]);
}

/** When a silence ends; throws INPUT_INVALID unless exactly one of both ways says it. */
function endOf({ ends_at: ends, duration }: Raw, startsAtMs: number): number {
  const isDated = ends !== null && ends !== undefined;
  const isTimed = duration !== null && duration !== undefined;
  if (isDated && isTimed)
    throw invalid([{ path: "duration", message: "stands beside ends_at; keep one of them" }]);
  if (isDated) return ends;
  if (isTimed) return startsAtMs + duration;
  throw invalid([{ path: "ends_at", message: 'is required (or duration, such as "1h")' }]);
}

/** From when until when, Unix milliseconds; throws INPUT_INVALID when that is no time to come. */
function spanOf(raw: Raw, nowMs: number): Pick<Silence, "startsAtMs" | "endsAtMs"> {
  const startsAtMs = raw.starts_at ?? nowMs;
  const endsAtMs = endOf(raw, startsAtMs);
  if (endsAtMs <= startsAtMs) throw endFault(raw, "must end after it starts");
  if (endsAtMs <= nowMs) throw endFault(raw, "is over already");
  if (endsAtMs - Math.min(startsAtMs, nowMs) > longestMs)
    throw endFault(raw, `must end within ${longestDays} days; for longer, change the rule`);
  return { startsAtMs, endsAtMs };
}

async function create({ view, clock }: RouteDeps, call: Call): Promise<Reply> {
  noQuery(call.query);
  const nowMs = clock.now();
  const raw = checked(silenceSchema(nowMs), call.body);
  const { only_labels: onlyLabels, ...texts } = raw.matchers;
  const given: SilenceMatchers = { ...texts, ...(onlyLabels ? { onlyLabels } : {}) };
  const { author, comment } = raw;
  const silence: Silence = {
    id: randomUUID(),
    matchers: given,
    ...spanOf(raw, nowMs),
    createdAtMs: nowMs,
    author,
    comment,
  };
  await view.silence(silence);
  return jsonReply(showSilence(silence, nowMs), 201);
}

async function listAll({ view, clock }: RouteDeps, call: Call): Promise<Reply> {
  const { state, ...page } = readQuery(
    { state: v.optional(oneOf(silenceStates)), ...listQuery },
    call.query,
  );
  const nowMs = clock.now();
  const found = (await view.silences()).filter(
    (silence) => state === undefined || silenceState(silence, nowMs) === state,
  );
  return listReply("silences", found, page, {
    key: ({ createdAtMs, id }) => newestFirst(createdAtMs, id),
    show: (silence) => showSilence(silence, nowMs),
  });
}

async function end({ view, clock }: RouteDeps, call: Call): Promise<Reply> {
  noQuery(call.query);
  checked(strictObject({}), call.body);
  const ended = await view.endSilence(call.params.id ?? "");
  if (ended === null) throw new AgentError("NOT_FOUND", "no silence of that id is known");
  return jsonReply(showSilence(ended, clock.now()));
}

/** The silences of the fleet: what holds, what will, and what is over for less than a day. */
export function silencesRoutes(deps: RouteDeps): Route[] {
  const path = "/api/silences";
  return [
    get(path, (call) => listAll(deps, call)),
    {
      method: "POST",
      path,
      access: "write",
      body: "required",
      handle: (call) => create(deps, call),
    },
    {
      method: "DELETE",
      path: `${path}/:id`,
      access: "write",
      body: "optional",
      handle: (call) => end(deps, call),
    },
  ];
}
