import assert from "node:assert/strict";
import https from "node:https";
import { apply, getJson, kubectl } from "./cluster.ts";
import { Release } from "./release.ts";

const namespace = "targetvpc-admission";
const events = (of: string): string => `/apis/events.k8s.io/v1/namespaces/${of}/events`;
const foreignNode = "targetvpc-foreign-node";
const foreignEvent = "targetvpc-foreign-event";

interface Answer {
  readonly status: number;
  readonly message: string;
}

interface Question {
  readonly method?: string;
  readonly path: string;
  readonly token: string;
  readonly body: unknown;
  readonly type?: string;
}

/** Asks the API server with a token and nothing else. */
async function createAsk(): Promise<(question: Question) => Promise<Answer>> {
  const { clusters } = JSON.parse(
    await kubectl("config", "view", "--raw", "--minify", "--flatten", "-o", "json"),
  ) as { clusters: { cluster: { server: string; "certificate-authority-data": string } }[] };
  const cluster = clusters[0]!.cluster;
  const ca = Buffer.from(cluster["certificate-authority-data"], "base64");
  return ({ method = "POST", path, token, body, type = "application/json" }) =>
    new Promise((resolve, reject) => {
      const headers = { Authorization: `Bearer ${token}`, "Content-Type": type };
      const request = https.request(cluster.server + path, { method, ca, headers }, (reply) => {
        let text = "";
        reply.on("data", (chunk: Buffer) => (text += chunk.toString()));
        reply.on("end", () => {
          const { message = "" } = JSON.parse(text) as { message?: string };
          resolve({ status: reply.statusCode ?? 0, message });
        });
      });
      request.on("error", reject).end(JSON.stringify(body));
    });
}

const strategic = "application/strategic-merge-patch+json";
const merge = "application/merge-patch+json";
const firing = { type: "TargetVPCAlertsFiring", status: "False", reason: "Quiet", message: "" };

describe("the admission policy", () => {
  const release = new Release(namespace);
  let ask: (question: Question) => Promise<Answer>;
  let node: string;
  let pod: string;
  /** Tokens of the agents' ServiceAccount: one bound to the agent's pod, one bound to nothing. */
  let bound: string;
  let free: string;
  let count = 0;

  const event = (
    regarding: Record<string, unknown>,
    more: Record<string, unknown> = {},
  ): unknown => ({
    apiVersion: "events.k8s.io/v1",
    kind: "Event",
    metadata: { name: `targetvpc-admission.${Date.now()}.${(count += 1)}` },
    eventTime: new Date().toISOString().replace("Z", "000Z"),
    type: "Normal",
    reason: "AdmissionTest",
    action: "Test",
    reportingController: "targetvpc.io/agent",
    reportingInstance: "test",
    note: "a test",
    regarding,
    ...more,
  });
  const ownNode = (): Record<string, unknown> => ({
    apiVersion: "v1",
    kind: "Node",
    name: node,
    uid: "u",
  });
  const status = (name: string, body: unknown, token = bound, type = strategic): Promise<Answer> =>
    ask({ method: "PATCH", path: `/api/v1/nodes/${name}/status`, token, body, type });
  const create = (of: string, body: unknown, token = bound): Promise<Answer> =>
    ask({ path: events(of), token, body });
  const denied = ({ status, message }: Answer, because: RegExp): void => {
    assert.equal(status, 403, message);
    assert.match(message, /ValidatingAdmissionPolicy/);
    assert.match(message, because);
  };

  before(async () => {
    await release.uninstall();
    await release.install({
      config: { storage: { backend: "memory" }, kubernetes: { node_condition: true } },
    });
    const { metadata, spec } = await release.ready();
    node = spec.nodeName;
    pod = metadata.name;
    const token = (...more: string[]): Promise<string> =>
      kubectl("-n", namespace, "create", "token", release.name, ...more);
    const to = { kind: "Pod", name: pod, uid: metadata.uid };
    const binding = Object.entries(to).map(([key, value]) => `--bound-object-${key}=${value}`);
    bound = (await token(...binding)).trim();
    free = (await token()).trim();
    ask = await createAsk();
    await apply(
      { apiVersion: "v1", kind: "Node", metadata: { name: foreignNode } },
      {
        apiVersion: "v1",
        kind: "Event",
        metadata: { name: foreignEvent, namespace: "default" },
        involvedObject: { apiVersion: "v1", kind: "Node", name: node },
        reason: "Somebody",
        message: "else",
        source: { component: "kubelet" },
        type: "Normal",
      },
    );
  });
  after(async () => {
    await kubectl("delete", "node", foreignNode, "--ignore-not-found");
    const gone = { status: { conditions: [{ $patch: "delete", type: firing.type }] } };
    await kubectl("patch", "node", node, "--subresource=status", "-p", JSON.stringify(gone));
    const ours = ["--field-selector", "reason=AdmissionTest", "--ignore-not-found"];
    await kubectl("-n", "default", "delete", "events.events.k8s.io", ...ours);
    await kubectl("-n", "default", "delete", "event", foreignEvent, "--ignore-not-found");
    await release.uninstall();
  });

  it("is one the API server finds nothing wrong with", async () => {
    const { items } = await getJson<{
      items: { metadata: { name: string }; status: { typeChecking: unknown } }[];
    }>("validatingadmissionpolicy");
    const prefix = `${namespace}-${release.name}-`;
    const own = items.filter(({ metadata: { name } }) => name.startsWith(prefix));
    assert.equal(own.length, 1);
    assert.deepEqual(own[0]?.status.typeChecking, {});
  });

  it("lets an agent speak of its own node, its own pod and its ConfigMap, and count on", async () => {
    const made = event(ownNode());
    assert.equal((await create("default", made)).status, 201);
    const { name } = (made as { metadata: { name: string } }).metadata;
    const series = { count: 2, lastObservedTime: new Date().toISOString().replace("Z", "000Z") };
    const path = `${events("default")}/${name}`;
    const patch = { method: "PATCH", path, body: { series }, type: merge };
    assert.equal((await ask({ ...patch, token: bound })).status, 200);
    denied(await ask({ ...patch, token: free }), /bound to none/);
    const about = (kind: string, name: string): unknown =>
      event({ apiVersion: "v1", kind, name, namespace, uid: "u" });
    assert.equal((await create(namespace, about("Pod", pod))).status, 201);
    assert.equal((await create(namespace, about("ConfigMap", release.name))).status, 201);
  });

  it("refuses to an agent every Event about something else", async () => {
    const about = (kind: string, name: string, of = namespace): Promise<Answer> =>
      create(of, event({ apiVersion: "v1", kind, name, namespace: of, uid: "u" }));
    const other = event({ apiVersion: "v1", kind: "Node", name: foreignNode, uid: "u" });
    denied(await create("default", other), new RegExp(`node it runs on: ${node}`));
    denied(await about("Pod", "another"), new RegExp(`own: ${namespace}/${pod}`));
    denied(await about("Pod", pod, "default"), /about its own/);
    denied(
      await about("ConfigMap", "kube-root-ca.crt"),
      /must be about targetvpc-admission\/targetvpc/,
    );
    denied(await about("Service", release.name), /a Node, a Pod or a ConfigMap/);
    denied(await create("default", event({})), /a Node, a Pod or a ConfigMap/);
    const disguised = event(ownNode(), { reportingController: "example.com/other" });
    denied(await create("default", disguised), /reportingController/);
  });

  it("refuses to an agent to touch Events of others, even about its own node", async () => {
    const body = { metadata: { labels: { mine: "now" } } };
    const path = `${events("default")}/${foreignEvent}`;
    denied(
      await ask({ method: "PATCH", path, token: bound, body, type: merge }),
      /reportingController/,
    );
  });

  it("refuses everything with a token that is bound to no pod", async () => {
    denied(await create("default", event(ownNode()), free), /bound to none/);
    const map = { apiVersion: "v1", kind: "ConfigMap", name: release.name, namespace, uid: "u" };
    denied(await create(namespace, event(map), free), /bound to none/);
    denied(await status(node, { status: { conditions: [firing] } }, free), /bound to none/);
  });

  it("lets an agent keep its own condition of its own node", async () => {
    const { status: code, message } = await status(node, { status: { conditions: [firing] } });
    assert.equal(code, 200, message);
    denied(await status(foreignNode, { status: { conditions: [firing] } }), /node it runs on/);
  });

  for (const [what, body, because, type] of [
    ["Ready", { status: { conditions: [{ type: "Ready", status: "False" }] } }, /condition other/],
    [
      "a new condition",
      { status: { conditions: [{ type: "Other", status: "True" }] } },
      /condition other/,
    ],
    ["all conditions", { status: { conditions: null } }, /condition other/, merge],
    ["capacity", { status: { capacity: { "example.com/gpu": "8" } } }, /but for its condition/],
    ["allocatable", { status: { allocatable: { cpu: "1000" } } }, /but for its condition/],
    ["addresses", { status: { addresses: [] } }, /but for its condition/, merge],
    ["nodeInfo", { status: { nodeInfo: { kubeletVersion: "v0" } } }, /but for its condition/],
    ["volumesInUse", { status: { volumesInUse: ["x"] } }, /but for its condition/],
    ["images", { status: { images: null } }, /but for its condition/, merge],
    ["labels", { metadata: { labels: { pool: "x" } } }, /labels, annotations/],
    ["a label away", { metadata: { labels: { "kubernetes.io/os": null } } }, /labels, annotations/],
    ["annotations", { metadata: { annotations: { a: "b" } } }, /labels, annotations/],
    ["finalizers", { metadata: { finalizers: ["example.com/x"] } }, /labels, annotations/],
  ] as const)
    it(`refuses to an agent to change of its node ${what}`, async () => {
      denied(await status(node, body, bound, type), because);
    });

  it("is not needed for a node's taints: the API server drops them from a status", async () => {
    await status(node, {
      spec: { taints: [{ key: "a", effect: "NoExecute" }], unschedulable: true },
    });
    const { spec } = await getJson<{ spec: Record<string, unknown> }>("node", node);
    assert.deepEqual([spec["taints"], spec["unschedulable"]], [undefined, undefined]);
  });
});
