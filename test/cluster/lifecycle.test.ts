import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import type { Robot } from "../support/robots.ts";
import { kubectl, pause, soon } from "./cluster.ts";
import { Release, type Rows } from "./release.ts";
import { channelOf, startRobot } from "./services.ts";

const namespace = "targetvpc-lifecycle";
/** A root filesystem has more than this in use, always: an alert that fires for as long as the test wants. */
const rule = { name: "disk-used", index: "disk", threshold: 0.5, labels: {} };

/** A process of a container, as the node numbers it; the node must be this machine. */
async function hostPid(containerId: string): Promise<number> {
  for (const pid of await readdir("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    // A process may end while it is looked at.
    const cgroup = await readFile(`/proc/${pid}/cgroup`, "utf8").catch(() => "");
    if (cgroup.includes(containerId)) return Number(pid);
  }
  throw new Error("the container's process is not on this machine: run this where the node is");
}

/** Rolls the pods: the environment is part of them. */
const extraEnv = [{ name: "LOG_LEVEL", value: "debug" }];

describe("an agent that comes and goes while an alert fires", () => {
  const release = new Release(namespace);
  let robot: Robot;
  let incident = "";
  let startedAt = 0;
  const values = (more: Record<string, unknown> = {}): Record<string, unknown> => ({
    config: { metrics: { collection_interval: 1 }, alerts: { language: "en" } },
    rules: [rule],
    channels: [channelOf(robot)],
    ...more,
  });

  /** The incident is the same, nobody was told again, and what was stored before is there. */
  const goesOn = async (what: string): Promise<void> => {
    await soon(`${what}: the incident is known`, async () => (await release.firing()).length === 1);
    const [alert] = await release.firing();
    assert.equal(alert?.id, incident, what);
    await pause(3_000);
    assert.equal(robot.received.length, 1, `${what}: told again`);
    const rows = await release.get<Rows>("/api/metrics?start=-1h&index=disk");
    assert.ok((rows[0]?.timestamp ?? Infinity) <= startedAt + 2, `${what}: history is lost`);
    assert.equal((await release.health()).components["channels"]?.status, "ok");
  };

  before(async () => {
    await release.uninstall();
    robot = await startRobot();
    await release.install(values());
    await soon("the robot is told", () => robot.received.length === 1);
    const [alert] = await release.firing();
    incident = alert?.id ?? "";
    startedAt = alert?.started_at ?? 0;
    await soon("it is in Redis", async () => {
      const { status } = (await release.health()).components["redis"] ?? {};
      return status === "ok";
    });
  });
  after(async () => {
    await release.uninstall();
    await robot.close();
  });

  it("is rolled to another version", async () => {
    const old = (await release.pod()).metadata.uid;
    await release.upgrade(values({ extraEnv }));
    assert.notEqual((await release.ready()).metadata.uid, old);
    await goesOn("rolling update");
  });

  it("has its pod deleted", async () => {
    const old = (await release.pod()).metadata;
    await kubectl("-n", namespace, "delete", "pod", old.name);
    assert.notEqual((await release.ready()).metadata.uid, old.uid);
    await goesOn("pod deletion");
  });

  it("has its container killed by kill -9, three times", async () => {
    for (let i = 0; i < 3; i++) {
      const { metadata, status } = await release.pod();
      const [container] = status.containerStatuses ?? [];
      const id = container?.containerID.replace(/.*\//, "") ?? "";
      process.kill(await hostPid(id), "SIGKILL");
      await soon("the container runs again", async () => {
        const pod = await release.pod().catch(() => null);
        const now = pod?.status.containerStatuses?.[0];
        return (
          pod?.metadata.uid === metadata.uid &&
          now?.restartCount === (container?.restartCount ?? 0) + 1
        );
      });
      await goesOn(`kill -9, ${i + 1}`);
    }
  });

  it("loses Redis, is killed meanwhile, and gets it back", async () => {
    await kubectl("-n", namespace, "scale", "statefulset/targetvpc-redis", "--replicas=0");
    await soon("Redis is missed", async () => {
      return (await release.health()).components["redis"]?.status === "down";
    });
    const { status } = await release.pod();
    const id = status.containerStatuses?.[0]?.containerID.replace(/.*\//, "") ?? "";
    process.kill(await hostPid(id), "SIGKILL");
    await soon("the container runs again", async () => {
      const pod = await release.pod().catch(() => null);
      const now = pod?.status.containerStatuses?.[0]?.containerID ?? id;
      return !now.includes(id);
    });
    await soon("the incident is known", async () => (await release.firing())[0]?.id === incident);
    await pause(3_000);
    assert.equal(robot.received.length, 1, "told again");
    await kubectl("-n", namespace, "scale", "statefulset/targetvpc-redis", "--replicas=1");
    await soon("Redis is back", async () => {
      return (await release.health()).components["redis"]?.status === "ok";
    });
    assert.equal(robot.received.length, 1, "told again");
  });

  it("takes up a changed Secret and a changed config without a restart of the pod", async () => {
    const before = await release.pod();
    await release.upgrade(
      values({
        extraEnv,
        config: { metrics: { collection_interval: 2 }, alerts: { language: "en" } },
        secrets: { serverToken: "another-token-of-the-api" },
      }),
    );
    const url = `http://${before.status.podIP}:8001`;
    await soon(
      "the new token is asked for",
      async () => {
        const reply = await fetch(`${url}/api/alerts/${incident}/ack`, {
          method: "POST",
          headers: {
            "Content-Type": "application/json",
            Authorization: "Bearer another-token-of-the-api",
          },
          body: JSON.stringify({ by: "test" }),
        }).catch(() => null);
        return reply?.status === 200;
      },
      180_000,
    );
    const after = await release.pod();
    assert.equal(after.metadata.uid, before.metadata.uid);
    assert.equal(
      after.status.containerStatuses?.[0]?.restartCount,
      before.status.containerStatuses?.[0]?.restartCount,
    );
    const config = await release.get<{ metrics: { collection_interval: number } }>("/api/config");
    assert.equal(config.metrics.collection_interval, 2);
    assert.equal(robot.received.length, 1);
  });

  it("tells the end once when the rule is gone", async () => {
    await release.setPolicy({ alerts: { default_rules: false } });
    await soon("no alert", async () => (await release.firing()).length === 0);
    await pause(3_000);
    const records = await release.get<{ items: { status: string }[] }>("/api/alerts");
    assert.equal(records.items[0]?.status, "resolved");
    assert.ok(robot.received.length <= 2, `${robot.received.length} messages`);
  });
});
