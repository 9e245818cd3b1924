import assert from "node:assert/strict";
import https from "node:https";
import { rights } from "../../src/kubernetes/rights.ts";
import {
  agentNamespace,
  configMapName,
  fullToken,
  startKube,
  type Json,
  type KubeServer,
} from "../support/kube.ts";

/** What a real API server (1.37) answered to the same. */
describe("the API server of these tests", () => {
  let server: KubeServer;
  before(async () => {
    server = await startKube();
    server.setNode("node-1");
    server.allow("narrow", rights.configmap);
  });
  after(() => server.stop());

  const ask = (
    method: string,
    path: string,
    { body = "", type = "application/json", token = fullToken } = {},
  ): Promise<{ status: number; message: string }> =>
    new Promise((resolve, reject) => {
      const headers = { Authorization: `Bearer ${token}`, "Content-Type": type };
      const request = https.request(server.url + path, {
        method,
        headers,
        ca: server.ca,
        agent: false,
      });
      request.on("error", reject);
      request.on("response", (reply) => {
        let text = "";
        reply.on("data", (chunk: Buffer) => (text += chunk.toString()));
        reply.on("end", () => {
          const { message = "" } = JSON.parse(text) as { message?: string };
          resolve({ status: reply.statusCode ?? 0, message });
        });
      });
      request.end(body);
    });
  const maps = `/api/v1/namespaces/${agentNamespace}/configmaps`;
  const events = "/apis/events.k8s.io/v1/namespaces/default/events";
  const event = (changes: Json = {}, name = "node-1.1"): string =>
    JSON.stringify({
      apiVersion: "events.k8s.io/v1",
      kind: "Event",
      metadata: { name },
      eventTime: "2026-01-05T12:00:00.000000Z",
      type: "Warning",
      reason: "R",
      action: "A",
      note: "n",
      regarding: { apiVersion: "v1", kind: "Node", name: "node-1", uid: "u" },
      reportingController: "targetvpc.io/agent",
      reportingInstance: "node-1",
      ...changes,
    });
  const series = (count: number, time = "2026-01-05T12:10:00.000000Z"): string =>
    JSON.stringify({ series: { count, lastObservedTime: time } });
  const merge = { type: "application/merge-patch+json" };

  it("lets a right to one object list by its selector only", async () => {
    const token = "narrow";
    const one = (name: string): string => `${maps}?fieldSelector=metadata.name%3D${name}`;
    assert.equal((await ask("GET", one(configMapName), { token })).status, 200);
    assert.deepEqual(await ask("GET", maps, { token }), {
      status: 403,
      message: `configmaps is forbidden: User "system:serviceaccount:monitoring:agent" cannot list resource "configmaps" in API group "" in the namespace "monitoring"`,
    });
    assert.equal((await ask("GET", one("other"), { token })).status, 403);
    assert.match(
      (await ask("GET", "/api/v1/nodes/node-1", { token })).message,
      /^nodes "node-1" is forbidden: User ".*" cannot get resource "nodes" in API group "" at the cluster scope$/,
    );
    assert.deepEqual(await ask("GET", maps, { token: "unknown" }), {
      status: 401,
      message: "Unauthorized",
    });
    assert.deepEqual(await ask("GET", "/api/v1/nodes/nope"), {
      status: 404,
      message: 'nodes "nope" not found',
    });
  });

  it("takes Events as they must be, and no others", async () => {
    assert.equal((await ask("POST", events, { body: event() })).status, 201);
    assert.deepEqual(await ask("POST", events, { body: event() }), {
      status: 409,
      message: 'events.events.k8s.io "node-1.1" already exists',
    });
    const long = "x".repeat(129);
    const cases: readonly (readonly [Json, number, RegExp])[] = [
      [{ eventTime: "2026-01-05T12:00:00.000Z" }, 400, /cannot parse ".000Z" as ".000000"/],
      [{ eventTime: null }, 422, /is invalid: eventTime: Required value/],
      [{ type: "Bad" }, 422, /type: Invalid value: "": has invalid value: Bad/],
      [{ reason: "", action: "" }, 422, /\[action: Required value, reason: Required value\]/],
      [{ reason: long }, 422, /reason: Invalid value: "": can have at most 128 characters/],
      [{ action: long }, 422, /action: /],
      [{ reportingInstance: long }, 422, /reportingInstance: /],
      [{ note: "é".repeat(513) }, 422, /message: Invalid value: "": can have at most 1024 char/],
      [{ reportingController: "a/b/c" }, 422, /reportingController: Invalid value: "a\/b\/c"/],
      [{ metadata: { name: "Upper_case" } }, 422, /metadata.name: Invalid value: "Upper_case"/],
      [{ metadata: { name: "a", namespace: "b" } }, 400, /namespace of the provided object/],
      [{ kind: "Pod" }, 400, /unrecognized/],
    ];
    for (const [changes, status, message] of cases) {
      const answer = await ask("POST", events, { body: event(changes, "node-1.2") });
      assert.equal(answer.status, status, JSON.stringify(changes));
      assert.match(answer.message, message);
    }
    const own = events.replace("default", agentNamespace);
    assert.match(
      (await ask("POST", own, { body: event() })).message,
      /involvedObject.namespace: Invalid value: "": does not match event.namespace/,
    );
    assert.equal((await ask("POST", events, { body: event(), type: "text/plain" })).status, 415);
  });

  it("lets nothing of an Event change but its series", async () => {
    await ask("POST", events, { body: event({}, "node-1.3") });
    const at = `${events}/node-1.3`;
    assert.equal((await ask("PATCH", at, { body: series(2), ...merge })).status, 200);
    const cases = [
      [series(1), 422, /series.count: Invalid value: "": should be at least 2/],
      [series(3, "2026-01-05T12:10:00Z"), 422, /cannot parse "Z" as ".000000"/],
      ['{"note":"other"}', 422, /message: Invalid value: "other": field is immutable/],
      ["{", 400, /invalid JSON patch/],
    ] as const;
    for (const [body, status, message] of cases) {
      const answer = await ask("PATCH", at, { body, ...merge });
      assert.equal(answer.status, status, body);
      assert.match(answer.message, message);
    }
    assert.equal((await ask("PATCH", at, { body: series(3) })).status, 415);
    assert.deepEqual(await ask("PATCH", `${events}/none`, { body: series(2), ...merge }), {
      status: 404,
      message: 'events.events.k8s.io "none" not found',
    });
  });

  it("merges conditions of a Node by their type", async () => {
    const patch = async (condition: Json): Promise<number> =>
      (
        await ask("PATCH", "/api/v1/nodes/node-1/status", {
          type: "application/strategic-merge-patch+json",
          body: JSON.stringify({ status: { conditions: [condition] } }),
        })
      ).status;
    await patch({ type: "Ready", status: "True" });
    await patch({ type: "Other", status: "False", reason: "R" });
    assert.equal(await patch({ type: "Other", status: "True" }), 200);
    assert.deepEqual(server.conditions("node-1"), [
      { type: "Ready", status: "True" },
      { type: "Other", status: "True", reason: "R" },
    ]);
    await patch({ type: "Other", $patch: "delete" });
    assert.deepEqual(server.conditions("node-1"), [{ type: "Ready", status: "True" }]);
  });
});
