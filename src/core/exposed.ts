import { parseSelector, type Labels, type SeriesKey } from "./series.ts";

/** Every stored series as Prometheus sees it: one metric, the index is a label. */
export const exposedMetric = {
  name: "targetvpc_index",
  help: "The last stored value of every series",
  type: "gauge",
} as const;

/**
 * The labels of a stored series under `targetvpc_index`: the index, the node, its cluster and the series' own. An own
 * label of one of these names gets `exported_` in front, as Prometheus does it, once more while that is taken too; one
 * without a value is none.
 */
export function exposedLabels(
  node: { readonly cluster: string; readonly name: string },
  key: SeriesKey,
): Labels {
  const { index, labels } = parseSelector(key);
  const exposed: Record<string, string> = { index, node: node.name, cluster: node.cluster };
  if (labels === "*") return exposed;
  for (const [name, value] of Object.entries(labels)) {
    if (value === "") continue;
    let free = name;
    while (free === "__name__" || Object.hasOwn(exposed, free)) free = `exported_${free}`;
    exposed[free] = value;
  }
  return exposed;
}
