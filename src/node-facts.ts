import { isDeepStrictEqual } from "node:util";
import type { NodeFacts } from "./core/node.ts";

/** What is known of this node besides its name, as rules may ask for it. */
export interface KnownFacts {
  /** Null: the cluster has not told yet. */
  readonly current: NodeFacts | null;
  /** Takes what the cluster says of the node; its labels win over the configured ones. */
  set(cluster: NodeFacts): void;
  /** Tells every change, never what was so before. */
  onChange(listener: (facts: NodeFacts) => void): void;
}

/** Facts of a node with labels of its configuration: all there is to know, unless a cluster has more to say. */
export function createNodeFacts(
  configured: NodeFacts["labels"],
  { awaitsCluster }: { readonly awaitsCluster: boolean },
): KnownFacts {
  const listeners: ((facts: NodeFacts) => void)[] = [];
  let current: NodeFacts | null = awaitsCluster ? null : { labels: configured, taints: [] };
  return {
    get current() {
      return current;
    },
    set: ({ labels, taints }) => {
      const facts = { labels: { ...configured, ...labels }, taints };
      if (isDeepStrictEqual(facts, current)) return;
      current = facts;
      for (const listener of listeners) listener(facts);
    },
    onChange: (listener) => void listeners.push(listener),
  };
}
