import { mapParallel } from "../../base/parallel.ts";
import { AgentError, errorText } from "../../core/errors.ts";
import { exposedLabels, exposedMetric } from "../../core/exposed.ts";
import { nodeId, type NodeIdentity } from "../../core/node.ts";
import type { Labels, SeriesKey } from "../../core/series.ts";
import type { AgentView } from "../ports.ts";
import type { Cost } from "./cost.ts";
import { fitsAll } from "./matchers.ts";
import type { Matcher } from "./syntax.ts";

/** A time, both ends inclusive, Unix milliseconds. */
export interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

/** A stored series with all its labels, `__name__` too. */
export interface KnownSeries {
  readonly key: SeriesKey;
  readonly labels: Labels;
}

/** Series of one node. */
export interface Target {
  /** `cluster/name`. */
  readonly node: string;
  readonly series: readonly KnownSeries[];
}

/** What was found, and what a reader has to know about it. */
export interface Found {
  readonly targets: readonly Target[];
  readonly warnings: readonly string[];
}

/** What a search works with. */
export interface Search {
  readonly view: AgentView;
  readonly cost: Cost;
  readonly nowMs: number;
}

/** Nodes read at a time: enough to hide the way to the store. */
export const nodesAtOnce = 16;
const dayMs = 86_400_000;
/** No retention is longer than 90 days. */
const longestMs = 91 * dayMs;
/** Labels every series of a node has in common. */
const nodeLabels = new Set(["__name__", "node", "cluster"]);

type Node = Pick<NodeIdentity, "cluster" | "name">;

/** Cuts a time to what may be stored, so that a wild one costs nothing. Clocks of nodes differ, by a day at most. */
export function cutSpan({ fromMs, toMs }: Span, nowMs: number): Span {
  return { fromMs: Math.max(fromMs, nowMs - longestMs), toMs: Math.min(toMs, nowMs + dayMs) };
}

/** Whether all that some matchers leave is this node, so that nobody else has to be known. */
function pins(matchers: readonly Matcher[], { cluster, name }: Node): boolean {
  const isOnly = (label: string, value: string): boolean =>
    matchers.some((matcher) => matcher.label === label && matcher.only === value);
  return isOnly("node", name) && isOnly("cluster", cluster);
}

/** The nodes a question is about; this one also while the store is away, with a warning. */
async function findNodes(
  { view, cost }: Search,
  questions: readonly (readonly Matcher[])[],
): Promise<{ readonly nodes: readonly Node[]; readonly warnings: readonly string[] }> {
  const known = new Map<string, Node>([[nodeId(view.node), view.node]]);
  const warnings: string[] = [];
  try {
    for (const node of await view.nodes()) known.set(nodeId(node), node);
  } catch (cause) {
    const isAway = cause instanceof AgentError && cause.code === "STORE_UNAVAILABLE";
    if (!isAway || !questions.every((matchers) => pins(matchers, view.node))) throw cause;
    warnings.push(`only what this agent has in memory: ${errorText(cause)}`);
  }
  const decidable = questions.map((matchers) =>
    matchers.filter(({ label }) => nodeLabels.has(label)),
  );
  const nodes = [...known.values()].filter(({ cluster, name }) =>
    decidable.some((matchers) =>
      fitsAll(matchers, { __name__: exposedMetric.name, node: name, cluster }),
    ),
  );
  cost.nodes(nodes.length);
  return { nodes, warnings };
}

/** The labels of a stored series; null for a name that some other version may have stored. */
function labelsOf(node: Node, key: SeriesKey): Labels | null {
  try {
    return { __name__: exposedMetric.name, ...exposedLabels(node, key) };
  } catch (cause) {
    if (cause instanceof AgentError && cause.code === "INPUT_INVALID") return null;
    throw cause;
  }
}

/**
 * The series that may have samples in a time and fit at least one of the questions. A node whose series cannot be
 * listed fails the whole search.
 */
export async function findSeries(
  search: Search,
  questions: readonly (readonly Matcher[])[],
  asked: Span,
): Promise<Found> {
  const { view, cost, nowMs } = search;
  const span = cutSpan(asked, nowMs);
  if (span.fromMs > span.toMs) return { targets: [], warnings: [] };
  const { nodes, warnings } = await findNodes(search, questions);
  cost.nodeDays(
    nodes.length * (Math.floor(span.toMs / dayMs) - Math.floor(span.fromMs / dayMs) + 1),
  );
  const targets = await mapParallel(nodes, nodesAtOnce, async (node) => {
    cost.checkTime();
    const keys = await view.seriesKeys({ node: nodeId(node), ...span });
    const series = keys.flatMap((key) => {
      const labels = labelsOf(node, key);
      const fits = labels !== null && questions.some((matchers) => fitsAll(matchers, labels));
      return fits ? [{ key, labels }] : [];
    });
    cost.series(series.length);
    return { node: nodeId(node), series };
  });
  return { targets: targets.filter(({ series }) => series.length > 0), warnings };
}
