import { AgentError } from "../core/errors.ts";
import { nodeId, type NodeIdentity } from "../core/node.ts";
import type { AgentView } from "./ports.ts";

/** Whether a name given by a client means a node: its name, or `cluster/name`. */
export function isNamed(node: NodeIdentity, name: string): boolean {
  return node.name === name || nodeId(node) === name;
}

/** The only one of the nodes that fit a question. Throws NOT_FOUND or, naming them, CONFLICT. */
export function onlyNode<T extends NodeIdentity>(
  fitting: readonly T[],
  asked: { path: string; what: string },
): T {
  const [node, ...others] = fitting;
  if (node === undefined)
    throw new AgentError("NOT_FOUND", `no node ${asked.what} is known`, {
      faults: [{ path: asked.path, message: "unknown node" }],
    });
  if (others.length === 0) return node;
  const names = fitting.map(nodeId).sort().join(", ");
  throw new AgentError("CONFLICT", `several nodes fit: ${names}`, {
    faults: [{ path: asked.path, message: `fits several nodes: ${names}` }],
  });
}

/** The `cluster/name` of the node a client named; this node, also without the store, when it means this one. */
export async function findNode(view: AgentView, name: string | null): Promise<string> {
  if (name === null || isNamed(view.node, name)) return nodeId(view.node);
  const fitting = (await view.nodes()).filter((node) => isNamed(node, name));
  return nodeId(onlyNode(fitting, { path: "node", what: "of that name" }));
}
