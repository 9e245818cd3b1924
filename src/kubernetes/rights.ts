import type { Refusal } from "./objects.ts";

/** A right the agent may be given, as a rule of RBAC says it, and what is lost without it. */
export interface Right {
  readonly verbs: readonly string[];
  readonly group: string;
  readonly resource: string;
  /** `namespaced` in the agent's own namespace, `default` in that of Node Events. */
  readonly scope: "namespaced" | "default" | "cluster";
  /** Null: any object. */
  readonly name: "configmap" | "node" | null;
  readonly neededFor: string;
  readonly without: string;
}

/** Every right there is a use for; the chart gives these and no other, a test compares. */
export const rights = {
  configmap: {
    verbs: ["get", "list", "watch"],
    group: "",
    resource: "configmaps",
    scope: "namespaced",
    name: "configmap",
    neededFor: "rules and channels from the ConfigMap within two seconds",
    without: "the mounted ConfigMap is used, about a minute late; without a mount, none",
  },
  node: {
    verbs: ["get"],
    group: "",
    resource: "nodes",
    scope: "cluster",
    name: null,
    neededFor: "Events of the Node (its UID), rules by labels and taints of the Node",
    without: "no Events of the Node; rules with matchLabels and the like do not stand",
  },
  nodeEvents: {
    verbs: ["create", "patch"],
    group: "events.k8s.io",
    resource: "events",
    scope: "default",
    name: null,
    neededFor: "Events of the Node",
    without: "alerts are not in kubectl describe node",
  },
  ownEvents: {
    verbs: ["create", "patch"],
    group: "events.k8s.io",
    resource: "events",
    scope: "namespaced",
    name: null,
    neededFor: "Events of the ConfigMap and of the agent's own Pod",
    without: "a refused ConfigMap is told by /health, the log and a metric only",
  },
  nodeCondition: {
    verbs: ["patch"],
    group: "",
    resource: "nodes/status",
    scope: "cluster",
    name: null,
    neededFor: "the condition TargetVPCAlertsFiring (kubernetes.node_condition)",
    without: "no condition of the Node",
  },
} as const satisfies Readonly<Record<string, Right>>;

/** A right's resource as RBAC and kubectl write it: `events.events.k8s.io`. */
export function resourceName({ resource, group }: Right): string {
  return group === "" ? resource : `${resource}.${group}`;
}

/** An API server that has just started refuses what it has not read the roles for: only a refusal that lasts is meant. */
export const refusalStandsMs = 60_000;

/** Whether an admission policy has refused: with the code of a missing right, but in words that say which and why. */
export function isDenied({ code, message }: Refusal): boolean {
  return (
    code === 403 &&
    /ValidatingAdmissionPolicy '|admission webhook "|(?:exceeded|failed) quota:/.test(message)
  );
}

/** Why the API server said no, in words that name the missing rule when it is one. */
export function explainRefusal(right: Right, where: string, refusal: Refusal): string {
  if (refusal.code === 401) return "the API server does not accept the service account's token";
  if (refusal.code !== 403) return `${right.resource}: ${refusal.message}`;
  if (isDenied(refusal)) return refusal.message;
  return `missing right: ${right.verbs.join(", ")} ${resourceName(right)}${where}; without it ${right.without}`;
}
