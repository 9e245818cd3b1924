import * as v from "valibot";
import { nearest, oneLine } from "../base/text.ts";
import { nodeId } from "../core/node.ts";
import { globMatches } from "../core/rule.ts";
import type { AgentClient } from "./client.ts";
import { wrongUse } from "./question.ts";

/** A node as it is shown, and as the agent is asked for it. */
export interface AskedNode {
  readonly label: string;
  /** A name or `cluster/name`. */
  readonly node: string;
}

const identity = v.object({ name: v.string(), cluster: v.string() });
type Identity = v.InferOutput<typeof identity>;
const page = v.object({ items: v.array(identity), cursor: v.nullable(v.string()) });

async function knownNodes(client: AgentClient): Promise<Identity[]> {
  const nodes: Identity[] = [];
  let cursor: string | null = null;
  do {
    const after: string = cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`;
    const { value } = await client.get(`/api/nodes?limit=1000${after}`, page);
    nodes.push(...value.items);
    cursor = value.cursor;
  } while (cursor !== null);
  // Names with control characters no agent takes; they would spoil the question for the rest.
  return nodes.filter((node) => oneLine(nodeId(node)) === nodeId(node));
}

function isPattern(name: string): boolean {
  return name === "all" || name.includes("*");
}

function fits(pattern: string, node: Identity): boolean {
  return pattern === "all" || [node.name, nodeId(node)].some((text) => globMatches(pattern, text));
}

/** The known nodes that fit, by their names where that tells them apart. Throws INPUT_INVALID when a pattern fits none. */
function fittingNodes(
  patterns: readonly string[],
  known: readonly Identity[],
): readonly AskedNode[] {
  const lost = patterns.filter((pattern) => !known.some((node) => fits(pattern, node)));
  if (lost.length > 0)
    throw wrongUse(
      lost.map((pattern) => {
        const meant = nearest(
          pattern,
          known.map(({ name }) => name),
        );
        const hint = meant === undefined ? "" : `; did you mean ${JSON.stringify(meant)}?`;
        return { path: "--node", message: `no node fits ${JSON.stringify(pattern)}${hint}` };
      }),
    );
  const found = known.filter((node) => patterns.some((pattern) => fits(pattern, node)));
  const oneCluster = new Set(found.map(({ cluster }) => cluster)).size === 1;
  return found.map((node) => ({
    label: oneCluster ? node.name : nodeId(node),
    node: nodeId(node),
  }));
}

/** The nodes a question means; without a pattern they are the agent's to find. */
export async function chooseNodes(
  names: readonly string[],
  own: Identity,
  client: AgentClient,
): Promise<readonly AskedNode[]> {
  if (names.length === 0) return [{ label: own.name, node: nodeId(own) }];
  if (names.some(isPattern)) return fittingNodes(names, await knownNodes(client));
  return [...new Set(names)].map((name) => ({ label: name, node: name }));
}
