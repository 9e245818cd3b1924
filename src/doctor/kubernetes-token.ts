import * as v from "valibot";
import { errorText } from "../core/errors.ts";
import { failed, off, ok, warning, type Check, type Finding } from "./contract.ts";

const name = "kubernetes.token";
const costs = "nothing of the cluster: no ConfigMap by watch, no Events, no labels and taints";

const named = v.object({ name: v.string() });
/** What a service account's token says of whom it was made for. */
const claims = v.object({
  exp: v.optional(v.number()),
  "kubernetes.io": v.optional(
    v.object({
      namespace: v.optional(v.string(), "?"),
      serviceaccount: v.optional(named),
      pod: v.optional(named),
      node: v.optional(named),
    }),
  ),
});
export type Claims = v.InferOutput<typeof claims>;

/** The claims of a token, unchecked: they are only shown; null when it is no service account's. */
export function readClaims(token: string): Claims | null {
  try {
    const payload = Buffer.from(token.split(".")[1] ?? "", "base64url").toString("utf8");
    const parsed = v.safeParse(claims, JSON.parse(payload));
    return parsed.success ? parsed.output : null;
  } catch {
    return null;
  }
}

function describe({ exp, "kubernetes.io": of }: Claims): string {
  const { namespace = "?", serviceaccount, pod, node } = of ?? {};
  const parts = [
    `service account ${namespace}/${serviceaccount?.name ?? "?"}`,
    pod === undefined ? "of no Pod" : `of Pod ${pod.name}`,
    node === undefined ? "bound to no node" : `on node ${node.name}`,
  ];
  if (exp !== undefined) parts.push(`valid until ${new Date(exp * 1_000).toISOString()}`);
  return parts.join(", ");
}

function judge(read: Claims, { node, nowMs }: { node: string; nowMs: number }): Finding {
  const found = describe(read);
  const bound = read["kubernetes.io"]?.node?.name;
  if (read.exp !== undefined && read.exp * 1_000 < nowMs) {
    const fix = "the kubelet renews it: look at its log, and at this node's clock";
    return failed(name, { found, costs, fix });
  }
  if (bound === undefined || bound === node) return ok(name, found);
  return warning(name, {
    found: `${found}; node.name is ${node}`,
    costs: "Events of the Node are refused where a policy holds agents to their own node",
    fix: "NODE_NAME from spec.nodeName (fieldRef)",
  });
}

/** By what the agent is known to the API server. The token itself is never shown. */
export const token: Check = {
  name,
  doc: "The service account's token is there, and which Pod and node it is bound to",
  costs,
  run: async ({ cluster, redactor, node, clock, config }) => {
    if (cluster === null) {
      const why =
        config.kubernetes.enabled === false ? "kubernetes.enabled is false" : "no cluster";
      return [off(name, why)];
    }
    try {
      const { headers } = await (await cluster.credentials()).access();
      const bearer = /^Bearer (.+)$/.exec(headers["Authorization"] ?? "")?.[1];
      if (bearer === undefined) return [ok(name, "a kubeconfig without a token")];
      const read = readClaims(bearer);
      if (read === null)
        return [ok(name, `a token of the ${cluster.from} that says nothing of itself`)];
      return [judge(read, { node: node.name, nowMs: clock.now() })];
    } catch (cause) {
      const fix =
        cluster.from === "cluster"
          ? "automountServiceAccountToken: true"
          : "set KUBECONFIG, or kubernetes.enabled: false";
      return [failed(name, { found: redactor.redact(errorText(cause)), costs, fix })];
    }
  },
};
