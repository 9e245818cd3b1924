import { parseSelector, type Labels, type SeriesKey } from "./series.ts";

/** Every stored series as Prometheus sees it: one metric, the index is a label. */
export const exposedMetric = {
  name: "targetvpc_index",
  help: "The last stored value of every series",
  type: "gauge",
} as const;

/**
 * Adds a series' own labels to those we give it. An own label of a name that is taken gets `exported_` in front, as
 * Prometheus does it, once more while that is taken too; one without a value is none.
 */
export function withOwnLabels(given: Labels, own: Iterable<readonly [string, string]>): Labels {
  // A map, because `__proto__` is a name like any other.
  const labels = new Map(Object.entries(given));
  for (const [name, value] of own) {
    if (value === "") continue;
    let free = name;
    while (free === "__name__" || labels.has(free)) free = `exported_${free}`;
    labels.set(free, value);
  }
  return Object.fromEntries(labels);
}

/** The labels of a stored series under `targetvpc_index`: the index, the node, its cluster and the series' own. */
export function exposedLabels(
  node: { readonly cluster: string; readonly name: string },
  key: SeriesKey,
): Labels {
  const { index, labels } = parseSelector(key);
  const given = { index, node: node.name, cluster: node.cluster };
  return withOwnLabels(given, labels === "*" ? [] : Object.entries(labels));
}
