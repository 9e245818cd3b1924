// Takes the agents' condition off every node: nobody keeps it true when they are gone or may not any more.
// Arguments: the DaemonSet to delete first, `namespace/name`, or nothing.
import { readFileSync } from "node:fs";
import https from "node:https";

const condition = "TargetVPCAlertsFiring";
const account = "/var/run/secrets/kubernetes.io/serviceaccount";
const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = process.env;
const agent = new https.Agent({ keepAlive: true, ca: readFileSync(`${account}/ca.crt`) });
const authorization = `Bearer ${readFileSync(`${account}/token`, "utf8").trim()}`;

function ask(method, path, body) {
  const type = "application/strategic-merge-patch+json";
  return new Promise((resolve, reject) => {
    const headers = { Authorization: authorization, "Content-Type": type };
    const options = { method, host, port, path, agent, headers, timeout: 10_000 };
    const request = https.request(options, (reply) => {
      let text = "";
      reply.on("data", (chunk) => (text += chunk));
      reply.on("end", () => resolve({ status: reply.statusCode, body: JSON.parse(text) }));
    });
    request.on("timeout", () => request.destroy(new Error("no answer in 10 s")));
    request.on("error", reject);
    request.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

async function removeAgents(daemonSet) {
  const [namespace, name] = daemonSet.split("/");
  const path = `/apis/apps/v1/namespaces/${namespace}/daemonsets/${name}`;
  // In the foreground: it is gone when its pods are.
  await ask("DELETE", `${path}?propagationPolicy=Foreground`);
  for (let i = 0; i < 45; i++) {
    if ((await ask("GET", path)).status === 404) return;
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
  console.error(`${daemonSet} is still there; going on`);
}

async function removeConditions() {
  let next = "";
  do {
    const path = `/api/v1/nodes?limit=100&continue=${encodeURIComponent(next)}`;
    const { status, body } = await ask("GET", path);
    if (status !== 200) throw new Error(`nodes: ${body.message}`);
    for (const { metadata, status: state } of body.items) {
      if (!state.conditions?.some(({ type }) => type === condition)) continue;
      const patch = { status: { conditions: [{ $patch: "delete", type: condition }] } };
      const answer = await ask("PATCH", `/api/v1/nodes/${metadata.name}/status`, patch);
      console.log(`${metadata.name}: ${answer.status === 200 ? "removed" : answer.body.message}`);
    }
    next = body.metadata.continue ?? "";
  } while (next !== "");
}

const daemonSet = process.argv.at(-1);
try {
  if (daemonSet?.includes("/") && !daemonSet.startsWith("/")) await removeAgents(daemonSet);
  await removeConditions();
} catch (cause) {
  // A condition that stays must not keep anybody from uninstalling.
  console.error(`not everything was removed: ${cause.message}`);
}
process.exit(0);
