import { AgentError } from "../../core/errors.ts";
import { nodeId, type NodeIdentity } from "../../core/node.ts";
import { canonicalIp, isLoopback } from "../address.ts";
import { isNamed, onlyNode } from "../nodes.ts";
import { invalid } from "../problem.ts";
import { noQuery } from "../query.ts";
import { jsonReply } from "../reply.ts";
import { get, type Call, type Route, type RouteDeps } from "../route.ts";

/** A header given once; Node joins repeated ones by commas, which no address and no node name has. */
function header({ headers }: Call, name: string): string | null {
  const given = headers[name];
  if (given === undefined) return null;
  return Array.isArray(given) ? given.join(", ") : given.trim();
}

/** The address asked for; null for this machine itself. */
function askedIp(call: Call): string | null {
  const given = header(call, "x-client-ip");
  if (given === null) return null;
  const ip = canonicalIp(given);
  if (ip === null)
    throw invalid([{ path: "X-Client-IP", message: "expected one IPv4 or IPv6 address" }]);
  return isLoopback(ip) ? null : ip;
}

/** All other nodes; while the store is away none, if this node is an answer too. */
async function othersOf(
  view: RouteDeps["view"],
  mayBeAway: boolean,
): Promise<readonly NodeIdentity[]> {
  const all = await view.nodes().catch((cause: unknown) => {
    if (mayBeAway) return [];
    throw cause;
  });
  return all.filter((node) => nodeId(node) !== nodeId(view.node));
}

interface Wanted {
  /** Null: this machine. */
  readonly ip: string | null;
  readonly name: string | null;
}

function fits({ ip, name }: Wanted, node: NodeIdentity): boolean {
  return (ip === null || canonicalIp(node.ip) === ip) && (name === null || isNamed(node, name));
}

/** The node that is meant; an address that several nodes share means none of them. */
async function meant(view: RouteDeps["view"], wanted: Wanted): Promise<NodeIdentity> {
  const isOwn = fits(wanted, view.node);
  if (isOwn && (wanted.ip === null || wanted.name !== null)) return view.node;
  const others = (await othersOf(view, isOwn)).filter((node) => fits(wanted, node));
  const [path, what] = wanted.ip === null ? ["X-Node-Name", "name"] : ["X-Client-IP", "address"];
  return onlyNode(isOwn ? [view.node, ...others] : others, { path, what: `with that ${what}` });
}

/** The effective configuration of this node, or of the one an `X-Client-IP` or `X-Node-Name` header means. */
export function configRoutes({ view }: RouteDeps): Route[] {
  const handle: Route["handle"] = async (call) => {
    noQuery(call.query);
    const node = await meant(view, { ip: askedIp(call), name: header(call, "x-node-name") });
    const isOwn = nodeId(node) === nodeId(view.node);
    const config = isOwn ? view.effectiveConfig() : await view.configOf(nodeId(node));
    if (config === null)
      throw new AgentError("NOT_FOUND", `no configuration of ${nodeId(node)} is known`);
    return jsonReply(config);
  };
  return [get("/api/config", handle)];
}
