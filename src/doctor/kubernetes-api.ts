import { readdir } from "node:fs/promises";
import { errorText } from "../core/errors.ts";
import { refusalOf } from "../kubernetes/objects.ts";
import { rights } from "../kubernetes/rights.ts";
import { failed, off, ok, warning, type Check, type Finding } from "./contract.ts";
import { networkFix } from "./network.ts";
import { askMs } from "./surroundings.ts";

/** The API server itself. */
export const api: Check = {
  name: "kubernetes.api",
  doc: "The API server answers, and its certificate and the token are good",
  costs:
    "no ConfigMap within seconds (a mounted one a minute late), no Events, labels and taints as they were last known",
  run: async (around) => {
    const name = "kubernetes.api";
    const seen = await around.api();
    if (seen.kind === "off") return [off(name, "no cluster")];
    if (seen.kind === "up") return [ok(name, `${seen.server}, ${seen.version}`)];
    const unauthorized = /Unauthorized|401/.test(seen.reason);
    const fix = unauthorized
      ? "a service account that still exists; its token is in automountServiceAccountToken"
      : networkFix(seen.reason, "the cluster's address (KUBERNETES_SERVICE_HOST, KUBECONFIG)");
    return [failed(name, { found: seen.reason, costs: api.costs, fix })];
  },
};

/** The Node the agent speaks for. */
export const node: Check = {
  name: "kubernetes.node",
  doc: "There is a Node of the name `node.name`, and it may be read",
  costs: rights.node.without,
  run: async ({ cluster, waits, api, node: { name: own } }) => {
    const name = "kubernetes.node";
    if (cluster === null) return [off(name, "no cluster")];
    if ((await api()).kind === "down") return [off(name, "the API server was not reached")];
    const path = `/api/v1/nodes/${encodeURIComponent(own)}`;
    const query = { resourceVersion: "0" };
    const reply = await waits.within(askMs, (signal) =>
      cluster.client.request({ method: "GET", path, query, signal }),
    );
    const { without: costs } = rights.node;
    if (reply.status === 200) return [ok(name, `Node ${own}`)];
    if (reply.status === 404) {
      const fix = "set node.name (NODE_NAME) to the Node's name: fieldRef spec.nodeName";
      return [failed(name, { found: `there is no Node "${own}"`, costs, fix })];
    }
    if (reply.status === 403)
      return [off(name, "may not be read: kubernetes.right.node says what is missing")];
    const found = refusalOf(reply.status, reply.body).message;
    return [failed(name, { found, costs, fix: "see kubernetes.api" })];
  },
};

async function secretsFinding(dir: string | null): Promise<Finding> {
  const name = "kubernetes.secrets";
  if (dir === null) return off(name, "no directory for secrets (kubernetes.secrets_dir)");
  try {
    const files = (await readdir(dir)).filter((file) => !file.startsWith(".."));
    return ok(name, `${dir}: ${files.length} files`);
  } catch (cause) {
    return warning(name, {
      found: errorText(cause),
      costs: "channels of the ConfigMap that name secrets by *_file are refused",
      fix: `mount the Secret at ${dir}`,
    });
  }
}

/** Where a ConfigMap may take its secrets from. */
export const secrets: Check = {
  name: "kubernetes.secrets",
  doc: "`kubernetes.secrets_dir` is mounted",
  costs: "channels of the ConfigMap that name secrets by `*_file` are refused",
  run: async ({ config }) => [await secretsFinding(config.kubernetes.secrets_dir)],
};
