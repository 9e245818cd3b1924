import { AgentError } from "../../core/errors.ts";
import { nodeId } from "../../core/node.ts";
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

/** The effective configuration of this node, or of the one an `X-Client-IP` or `X-Node-Name` header means. */
export function configRoutes({ view }: RouteDeps): Route[] {
  const handle: Route["handle"] = async (call) => {
    noQuery(call.query);
    const ip = askedIp(call);
    const name = header(call, "x-node-name");
    const fits = (address: string): boolean => ip === null || canonicalIp(address) === ip;
    const isOwn = fits(view.node.ip) && (name === null || isNamed(view.node, name));
    if (isOwn) return jsonReply(view.effectiveConfig());
    const fitting = (await view.nodes()).filter(
      (node) => fits(node.ip) && (name === null || isNamed(node, name)),
    );
    const path = ip === null ? "X-Node-Name" : "X-Client-IP";
    const node = onlyNode(fitting, {
      path,
      what: `with that ${path === "X-Node-Name" ? "name" : "address"}`,
    });
    const config = await view.configOf(nodeId(node));
    if (config === null)
      throw new AgentError("NOT_FOUND", `no configuration of ${nodeId(node)} is known`);
    return jsonReply(config);
  };
  return [get("/api/config", handle)];
}
