import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { createKubeClient } from "../../src/kubernetes/client.ts";
import { loadCredentials, serviceAccountDir } from "../../src/kubernetes/credentials.ts";
import { rights, type Right } from "../../src/kubernetes/rights.ts";
import { kubectl, sh, soon } from "./cluster.ts";
import { Release } from "./release.ts";

const namespace = "targetvpc-rights";

/** `kubectl auth can-i --list` of a service account, a line a right; without URLs, which everybody may read. */
async function canDo(account: string, where: string): Promise<string[]> {
  const text = await kubectl(
    "auth",
    "can-i",
    "--list",
    `--as=system:serviceaccount:${account}`,
    "-n",
    where,
  );
  return text
    .split("\n")
    .slice(1)
    .filter((line) => line.trim() !== "" && !/^\s+\[\//.test(line))
    .map((line) => line.replaceAll(/\s+/g, " ").trim())
    .sort();
}

/** A right as `can-i --list` writes it. */
function line({ group, resource, verbs, name }: Right): string {
  const what = group === "" ? resource : `${resource}.${group}`;
  return `${what} [] [${name === "configmap" ? "targetvpc" : ""}] [${verbs.join(" ")}]`;
}

describe("what an agent may do in the cluster", () => {
  const release = new Release(namespace);
  before(async () => {
    await release.uninstall();
    await release.install({
      config: { metrics: { collection_interval: 1 } },
      rules: [{ name: "cpu-high", index: "cpu", threshold: 101 }],
    });
  });
  after(() => release.uninstall());

  it("is what the documented list says, and nothing else", async () => {
    await kubectl("-n", namespace, "create", "serviceaccount", "nobody");
    const extra = async (where: string): Promise<string[]> => {
      const everybody = new Set(await canDo(`${namespace}:nobody`, where));
      return (await canDo(`${namespace}:targetvpc`, where)).filter((one) => !everybody.has(one));
    };
    const { configmap, node, nodeEvents, ownEvents } = rights;
    assert.deepEqual(await extra(namespace), [line(configmap), line(node), line(ownEvents)].sort());
    assert.deepEqual(await extra("default"), [line(node), line(nodeEvents)].sort());
    assert.deepEqual(await extra("kube-system"), [line(node)]);
  });

  it("fits Pod Security restricted, but for the host's directories", async () => {
    const said = await sh("sh", [
      "-c",
      `kubectl label --dry-run=server --overwrite namespace ${namespace} pod-security.kubernetes.io/enforce=restricted 2>&1`,
    ]);
    const warnings = said.split("\n").filter((one) => /^Warning: +targetvpc-/.test(one));
    assert.ok(warnings.length > 0, said);
    for (const warning of warnings) {
      const faults = warning.replace(/^Warning: +\S+ ?(\([^)]*\))?: */, "");
      assert.equal(faults, "restricted volume types", warning);
    }
    assert.ok(!warnings.some((one) => one.includes("redis")), "Redis has no such volumes");
  });

  it("is missed when it is taken away, and works again when it is given back", async () => {
    const role = await kubectl("-n", namespace, "get", "role", "targetvpc", "-o", "json");
    const roles = await kubectl("-n", "default", "get", "role", "-o", "name");
    const inDefault = roles
      .split("\n")
      .map((one) => one.replace(/^.*\//, ""))
      .find((one) => one.startsWith(`${namespace}-targetvpc-`));
    assert.ok(inDefault !== undefined, roles);
    const eventRole = await kubectl("-n", "default", "get", "role", inDefault, "-o", "json");
    await kubectl("-n", namespace, "delete", "role", "targetvpc");
    await kubectl("-n", "default", "delete", "role", inDefault);
    // A watch that runs is not asked again for its right: another container begins one anew.
    await kubectl("-n", namespace, "delete", "pod", "-l", release.selector);
    await release.ready();
    await soon("the missing rule is named", async () => {
      const { last_error } = (await release.health()).components["kubernetes"] ?? {};
      return /missing right: get, list, watch configmaps targetvpc-rights\/targetvpc/.test(
        last_error ?? "",
      );
    });
    const { status, components } = await release.health();
    assert.equal(status, "degraded");
    assert.equal(components["kubernetes"]?.details?.["configmap"], "mounted");
    assert.equal((await release.rule("cpu-high"))?.source, "configmap");

    // A breach is an alert all the same, and its Event waits.
    await release.setPolicy({
      alerts: { rules: [{ name: "disk-used", index: "disk", threshold: 0.5 }] },
    });
    await soon("the kubelet brought it", async () => (await release.firing()).length > 0, 150_000);
    await soon("the missing right for Events is named", async () => {
      const { last_error } = (await release.health()).components["kubernetes"] ?? {};
      return /missing right: create, patch events\.events\.k8s\.io in namespace default/.test(
        last_error ?? "",
      );
    });

    for (const text of [role, eventRole]) await sh("kubectl", ["create", "-f", "-"], clean(text));
    await soon(
      "all is well",
      async () => {
        const health = await release.health();
        return (
          health.status === "ok" &&
          health.components["kubernetes"]?.details?.["configmap"] === "watch"
        );
      },
      150_000,
    );
    const events = await kubectl("get", "events.events.k8s.io", "-o", "json");
    assert.match(events, /rule disk-used/);
  });

  it("goes on with a token that was rotated, from the first request that the old one is refused", async () => {
    const root = await mkdtemp(path.join(os.tmpdir(), "targetvpc-token-"));
    const dir = path.join(root, serviceAccountDir);
    const bindTo = async (name: string): Promise<string> => {
      await kubectl("-n", namespace, "create", "secret", "generic", name);
      const token = await kubectl(
        "-n",
        namespace,
        "create",
        "token",
        "targetvpc",
        "--bound-object-kind=Secret",
        `--bound-object-name=${name}`,
      );
      return token.trim();
    };
    const server = new URL(
      await kubectl("config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}"),
    );
    const [host, port] = [
      process.env["KUBERNETES_SERVICE_HOST"],
      process.env["KUBERNETES_SERVICE_PORT"],
    ];
    process.env["KUBERNETES_SERVICE_HOST"] = server.hostname;
    process.env["KUBERNETES_SERVICE_PORT"] = server.port;
    try {
      await mkdir(dir, { recursive: true });
      const ca = await kubectl(
        "-n",
        namespace,
        "get",
        "configmap",
        "kube-root-ca.crt",
        "-o",
        "jsonpath={.data.ca\\.crt}",
      );
      await writeFile(path.join(dir, "ca.crt"), ca);
      await writeFile(path.join(dir, "token"), await bindTo("first"));
      const client = createKubeClient(() => loadCredentials("cluster", root), systemClock);
      const ask = async (): Promise<number> => {
        const { signal } = new AbortController();
        const at = `/api/v1/namespaces/${namespace}/configmaps/targetvpc`;
        return (await client.request({ method: "GET", path: at, signal })).status;
      };
      assert.equal(await ask(), 200);
      // What the first token is bound to goes: the API server refuses it from then on, after its cache of ten seconds.
      await kubectl("-n", namespace, "delete", "secret", "first");
      await soon("the first token is refused", async () => (await ask()) === 401, 30_000);
      await writeFile(path.join(dir, "token"), await bindTo("second"));
      assert.equal(await ask(), 200);
      client.close();
    } finally {
      restore("KUBERNETES_SERVICE_HOST", host);
      restore("KUBERNETES_SERVICE_PORT", port);
      await rm(root, { recursive: true });
    }
  });
});

function restore(name: string, value: string | undefined): void {
  if (value === undefined) delete process.env[name];
  else process.env[name] = value;
}

/** An object as it can be created again. */
function clean(json: string): string {
  const object = JSON.parse(json) as { metadata: Record<string, unknown> };
  for (const name of ["uid", "resourceVersion", "creationTimestamp", "managedFields"])
    delete object.metadata[name];
  return JSON.stringify(object);
}
