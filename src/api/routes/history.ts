import * as v from "valibot";
import { parseTimeMs } from "../../base/duration.ts";
import { oneOf, text } from "../../base/parse.ts";
import type { HistoryEntry } from "../../core/history.ts";
import { levels } from "../../core/rule.ts";
import { listQuery, listReply, newestFirst } from "../list.ts";
import { invalid } from "../problem.ts";
import { readQuery } from "../query.ts";
import type { Reply } from "../reply.ts";
import { get, type Call, type Route, type RouteDeps } from "../route.ts";
import { showHistory } from "../show.ts";

/** A week is what people look back at; all of it may be asked for. */
const defaultSpanMs = 7 * 86_400_000;

const filters = {
  status: v.optional(oneOf(["firing", "resolved"])),
  level: v.optional(oneOf(levels)),
  node: v.optional(text),
  cluster: v.optional(text),
  rule: v.optional(text),
  index: v.optional(text),
};

type Filters = v.InferOutput<v.ObjectSchema<typeof filters, undefined>>;

/** A node by its name, or as `cluster/name`. */
function isNode({ name, cluster }: { name: string; cluster: string }, wanted: string): boolean {
  return wanted === name || wanted === `${cluster}/${name}`;
}

function isWanted({ incident }: HistoryEntry, wanted: Filters): boolean {
  const { subject } = incident;
  const pairs: readonly (readonly [string | undefined, string])[] = [
    [wanted.status, incident.status],
    [wanted.level, incident.level],
    [wanted.cluster, subject.node.cluster],
    [wanted.rule, subject.rule],
    [wanted.index, subject.index],
  ];
  return (
    pairs.every(([given, own]) => given === undefined || given === own) &&
    (wanted.node === undefined || isNode(subject.node, wanted.node))
  );
}

function timeOf(name: string, given: string | undefined, nowMs: number): number | null {
  if (given === undefined) return null;
  const parsed = parseTimeMs(given, nowMs);
  if (parsed !== null) return parsed;
  const message = "expected RFC 3339, Unix seconds, or a time like -1h or now";
  throw invalid([{ path: name, message }]);
}

/** Incidents that began within a time, of the whole fleet or a part of it. */
export function historyRoutes({ view, clock, redactor }: RouteDeps): Route[] {
  const list = async (call: Call): Promise<Reply> => {
    const { from, to, limit, cursor, ...wanted } = readQuery(
      { from: v.optional(text), to: v.optional(text), ...filters, ...listQuery },
      call.query,
    );
    const nowMs = clock.now();
    const toMs = timeOf("to", to, nowMs) ?? nowMs;
    const fromMs = timeOf("from", from, nowMs) ?? toMs - defaultSpanMs;
    if (fromMs > toMs) throw invalid([{ path: "from", message: "is after to" }]);
    const entries = await view.history(fromMs, toMs);
    return listReply(
      "history",
      entries.filter((entry) => isWanted(entry, wanted)),
      { limit, cursor },
      {
        key: ({ incident }) => newestFirst(incident.startedAtMs, incident.id),
        show: (entry) => showHistory(entry, redactor),
      },
    );
  };
  return [get("/api/history", list)];
}
