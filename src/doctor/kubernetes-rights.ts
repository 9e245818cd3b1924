import * as v from "valibot";
import { AgentError, errorText } from "../core/errors.ts";
import type { KubeClient } from "../kubernetes/client.ts";
import { refusalOf } from "../kubernetes/objects.ts";
import { resourceName, rights as all, type Right } from "../kubernetes/rights.ts";
import { clusterSettings } from "../kubernetes-link.ts";
import { failed, off, ok, type Check, type Finding } from "./contract.ts";
import { askMs, type Surroundings } from "./surroundings.ts";

const review = v.object({
  status: v.object({ allowed: v.boolean(), reason: v.optional(v.string(), "") }),
});

/** One right at one place: what a rule of RBAC is written for. */
interface Question {
  readonly right: Right;
  readonly namespace: string | null;
  readonly object: string | null;
}

function questionOf(right: Right, around: Surroundings): Question {
  const { namespace, configmap } = clusterSettings(around.config.kubernetes);
  const namespaces = { namespaced: namespace, default: "default", cluster: null };
  const objects = { configmap, node: around.node.name };
  return {
    right,
    namespace: namespaces[right.scope],
    object: right.name === null ? null : objects[right.name],
  };
}

/** Asks whether one verb is allowed; every authenticated user may ask that of itself. */
async function isAllowed(
  client: KubeClient,
  { right, namespace, object }: Question,
  verb: string,
  signal: AbortSignal,
): Promise<boolean> {
  const [resource = "", subresource] = right.resource.split("/");
  const reply = await client.request({
    method: "POST",
    path: "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
    body: {
      apiVersion: "authorization.k8s.io/v1",
      kind: "SelfSubjectAccessReview",
      spec: {
        resourceAttributes: {
          verb,
          group: right.group,
          resource,
          ...(subresource === undefined ? {} : { subresource }),
          ...(namespace === null ? {} : { namespace }),
          ...(object === null ? {} : { name: object }),
        },
      },
    },
    signal,
  });
  const parsed = v.safeParse(review, reply.body);
  if (!parsed.success)
    throw new AgentError("HTTP_FAILED", refusalOf(reply.status, reply.body).message);
  return parsed.output.status.allowed;
}

/** The rule of RBAC that gives a right, as it stands in a Role or ClusterRole. */
function ruleOf({ right, namespace, object }: Question): string {
  const where = namespace === null ? "a ClusterRole" : `a Role in namespace ${namespace}`;
  const names = object === null ? "" : `, resourceNames: ["${object}"]`;
  return `${where}: {apiGroups: ["${right.group}"], resources: ["${right.resource}"]${names}, verbs: [${right.verbs.map((verb) => `"${verb}"`).join(", ")}]}`;
}

async function ask(key: string, question: Question, around: Surroundings): Promise<Finding> {
  const name = `kubernetes.right.${key}`;
  const { right, namespace } = question;
  const what = resourceName(right) + (namespace === null ? "" : ` in ${namespace}`);
  const { cluster, waits } = around;
  if (cluster === null) return off(name, "no cluster");
  try {
    const answers = await waits.within(askMs, (signal) =>
      Promise.all(right.verbs.map((verb) => isAllowed(cluster.client, question, verb, signal))),
    );
    const missing = right.verbs.filter((_, i) => answers[i] !== true);
    if (missing.length === 0) return ok(name, `may ${right.verbs.join(", ")} ${what}`);
    const found = `may not ${missing.join(", ")} ${what}`;
    return failed(name, { found, costs: right.without, fix: ruleOf(question) });
  } catch (cause) {
    const fix = "see kubernetes.api";
    return failed(name, { found: errorText(cause), costs: right.without, fix });
  }
}

/** Every right there is a use for with the settings as they are. */
export const rights: Check = {
  name: "kubernetes.right",
  doc: "Every right the agent can make use of, asked by SelfSubjectAccessReview, with the RBAC rule that gives it",
  costs: "it is not known what the API server will refuse",
  run: async (around) => {
    const { events, node_condition: condition } = around.config.kubernetes;
    const api = await around.api();
    if (api.kind === "off") return [off("kubernetes.right", "no cluster")];
    if (api.kind === "down") return [off("kubernetes.right", "the API server was not reached")];
    const unused = { nodeEvents: !events, ownEvents: !events, nodeCondition: !condition };
    return Promise.all(
      Object.entries(all).map(async ([key, right]) =>
        key in unused && unused[key as keyof typeof unused]
          ? off(`kubernetes.right.${key}`, `switched off: ${right.neededFor}`)
          : ask(key, questionOf(right, around), around),
      ),
    );
  },
};
