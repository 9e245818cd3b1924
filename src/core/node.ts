/** Who this agent speaks for. A node's identity is its cluster and its name; the address only describes it. */
export interface NodeIdentity {
  readonly cluster: string;
  readonly name: string;
  /** The address of the host's default route, or the one given. */
  readonly ip: string;
}

/** What the shared store knows of a node. */
export interface NodeInfo extends NodeIdentity {
  readonly version: string;
  /** When it last reported, Unix milliseconds. */
  readonly lastSeenMs: number;
}

/** A mark of a node that keeps pods away. */
export interface Taint {
  readonly key: string;
  /** Empty for a taint without a value. */
  readonly value: string;
  readonly effect: string;
}

/** What is said about a node besides its name. */
export interface NodeFacts {
  readonly labels: Readonly<Record<string, string>>;
  readonly taints: readonly Taint[];
}

/** `cluster/name`: the key of a node wherever nodes of several clusters meet. */
export function nodeId(node: { readonly cluster: string; readonly name: string }): string {
  return `${node.cluster}/${node.name}`;
}
