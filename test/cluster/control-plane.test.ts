import assert from "node:assert/strict";
import { parse } from "yaml";
import { systemClock } from "../../src/base/clock.ts";
import { createKubeClient, type KubeClient } from "../../src/kubernetes/client.ts";
import { loadCredentials } from "../../src/kubernetes/credentials.ts";
import { watchConfigMap, type Sight } from "../../src/kubernetes/watch.ts";
import type { Robot } from "../support/robots.ts";
import { apply, getJson, killContainer, kubectl, ourEvents, pause, sh, soon } from "./cluster.ts";
import { Release } from "./release.ts";
import { channelOf, startRobot } from "./services.ts";

const namespace = "targetvpc-control-plane";

/** How this cluster's API server is killed and started again: shell commands, since every kind of cluster has its own. */
function command(name: "KILL_API_SERVER" | "START_API_SERVER"): string {
  const given = process.env[name];
  if (given === undefined)
    throw new Error(
      `set ${name} to a command that does so (kind: docker exec … ), or leave this file out`,
    );
  return given;
}

describe("an API server that dies", () => {
  const release = new Release(namespace);
  let robot: Robot;
  /** The pod's address; nobody can be asked for it meanwhile. */
  let url = "";
  const kill = (): Promise<string> => sh("sh", ["-c", command("KILL_API_SERVER")]);
  const start = async (): Promise<void> => {
    await sh("sh", ["-c", command("START_API_SERVER")]);
    await soon("the API server is back", () =>
      kubectl("get", "--raw", "/readyz").then(
        () => true,
        () => false,
      ),
    );
  };
  const get = async <T>(at: string): Promise<T> => (await fetch(url + at)).json() as Promise<T>;
  const kubernetes = async (): Promise<{ status: string; last_error: string | null }> => {
    const { components } = await get<{
      components: Record<string, { status: string; last_error: string | null }>;
    }>("/health");
    return components["kubernetes"]!;
  };

  /** The channels of the ConfigMap as the chart wrote them, for a policy that keeps them. */
  const channelsInForce = async (): Promise<unknown> => {
    const { data } = await getJson<{ data: Record<string, string> }>(
      "-n",
      namespace,
      "configmap",
      release.name,
    );
    const policy = parse(data["config.yaml"] ?? "") as { alerts: { channels: unknown } };
    return policy.alerts.channels;
  };

  before(async () => {
    command("KILL_API_SERVER");
    await release.uninstall();
    robot = await startRobot();
    await release.install({
      config: { metrics: { collection_interval: 1 }, alerts: { language: "en" } },
      channels: [channelOf(robot)],
    });
    url = await release.url();
    await soon("all is well", async () => (await release.health()).status === "ok");
  });
  after(async () => {
    await start();
    await release.uninstall();
    await robot.close();
  });

  it("during a breach delays no alert, and gets its Event when it is back", async () => {
    const node = (await release.pod()).spec.nodeName;
    await release.setPolicy({
      alerts: {
        rules: [
          { name: "disk-used", index: "disk", threshold: 0.5, for: "12s", level: "critical" },
        ],
        channels: await channelsInForce(),
      },
    });
    await soon("the rule stands", async () => (await release.rule("disk-used")) !== undefined);
    const startedMs = performance.now();
    await kill();
    await soon("it is missed", async () => (await kubernetes()).status === "down");
    assert.equal(robot.received.length, 0, "the breach is still young");
    await soon("the robot is told", () => robot.received.length === 1);
    const ms = performance.now() - startedMs;
    console.log(
      `        told ${Math.round(ms)} ms after a rule with 12 s stood, without an API server`,
    );
    assert.ok(ms < 16_000, `${ms} ms`);
    await pause(5_000);
    assert.equal((await fetch(`${url}/ready`)).status, 200);
    assert.equal((await fetch(`${url}/health`)).status, 200);
    await start();
    await soon("the Event", async () =>
      (await ourEvents("Node")).some(
        ({ reason, regarding, note }) =>
          reason === "NodeDiskHigh" && regarding.name === node && note.includes("critical"),
      ),
    );
    await soon("all is well", async () => (await release.health()).status === "ok");
    assert.equal(robot.received.length, 1);
  });

  it("and comes back is watched again: a change is in force in two seconds", async () => {
    await kill();
    await soon("it is missed", async () => (await kubernetes()).status === "down");
    await start();
    await soon("it is watched", async () => (await kubernetes()).status === "ok");
    await release.setPolicy({
      alerts: { rules: [{ name: "memory-used", index: "memory", threshold: 102 }] },
    });
    const startedMs = performance.now();
    await soon(
      "in force",
      async () => (await release.rule("memory-used"))?.levels["warning"] === 102,
    );
    const ms = performance.now() - startedMs;
    assert.ok(ms < 2_000, `${ms} ms`);
  });

  it("and comes back with no memory of a version is listed anew (410)", async () => {
    await kill();
    await start();
    // It knows nothing of before its start once it watches by itself; until then etcd is asked, which may know the first version.
    await soon("the first version is forgotten", async () =>
      (
        await kubectl(
          "get",
          "--raw",
          `/api/v1/namespaces/${namespace}/configmaps?watch=1&resourceVersion=1&timeoutSeconds=1`,
        ).catch(String)
      ).includes("too old resource version"),
    );
    const client = createKubeClient(() => loadCredentials("kubeconfig"), systemClock);
    const name = "watched-410";
    // The first list claims a version that the server has long forgotten; everything else is as it comes.
    let lies = 1;
    const forgetful: KubeClient = {
      serverNowMs: () => client.serverNowMs(),
      close: () => client.close(),
      stream: (request) => client.stream(request),
      request: async (request) => {
        const reply = await client.request(request);
        if (lies-- > 0)
          (reply.body as { metadata: { resourceVersion: string } }).metadata.resourceVersion = "1";
        return reply;
      },
    };
    const seen: Sight[] = [];
    const watching = watchConfigMap({
      client: forgetful,
      clock: systemClock,
      random: Math.random,
      namespace,
      name,
      see: (sight) => seen.push(sight),
    });
    try {
      // By itself a watch would go on for minutes.
      const looks = (): number => seen.filter(({ kind }) => kind === "absent").length;
      await soon("it is listed anew", () => looks() > 1, 30_000);
      await apply({
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: { name, namespace },
        data: { "config.yaml": "" },
      });
      await soon("seen after the 410", () => seen.some(({ kind }) => kind === "object"));
      assert.deepEqual(
        seen.filter(({ kind }) => kind === "unreachable" || kind === "refused"),
        [],
      );
    } finally {
      await watching.stop();
      client.close();
    }
  });

  it("does not keep an agent from starting with the ConfigMap's rules", async () => {
    const { metadata, status: state } = await release.pod();
    const [container] = state.containerStatuses ?? [];
    // A start without the API server goes by the mount, which the kubelet brings up to date within about a minute.
    const mounted = ["exec", metadata.name, "--", "cat", "/etc/targetvpc/policy/config.yaml"];
    await soon("the mount is up to date", async () =>
      (await kubectl("-n", namespace, ...mounted)).includes("memory-used"),
    );
    await kill();
    await soon("it is missed", async () => (await kubernetes()).status === "down");
    // The kubelet starts a container anew without asking anybody.
    await killContainer(container?.containerID ?? "");
    await soon("the agent is gone", () =>
      fetch(`${url}/health`).then(
        () => false,
        () => true,
      ),
    );
    await soon("the agent is back", () =>
      fetch(`${url}/ready`).then(
        ({ status }) => status === 200,
        () => false,
      ),
    );
    const { items } = await get<{ items: { name: string; source: string }[] }>("/api/rules");
    assert.equal(items.find(({ name }) => name === "memory-used")?.source, "configmap");
    await start();
    await soon("all is well", async () => (await release.health()).status === "ok");
    // The kubelet tells of what it did meanwhile when it gets round to it.
    const restarts = async (): Promise<number> =>
      (await release.pod()).status.containerStatuses?.[0]?.restartCount ?? 0;
    const before = container?.restartCount ?? 0;
    await soon("the restart is told", async () => (await restarts()) > before);
    assert.equal(await restarts(), before + 1);
  });
});
