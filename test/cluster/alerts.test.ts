import assert from "node:assert/strict";
import os from "node:os";
import type { Robot } from "../support/robots.ts";
import { apply, doctor, helm, image, kubectl, ourEvents, soon } from "./cluster.ts";
import { Release, type Rows } from "./release.ts";
import { channelOf, startAdmin, startRobot } from "./services.ts";

const namespace = "targetvpc-alerts";
const adminToken = "cluster-admin-token";
/** What the load takes of the node's memory; other work on it comes and goes by less. */
const share = 0.12;

/** A pod that fills memory, in pages that are really there. */
function hungryPod(): unknown {
  const mib = Math.round((os.totalmem() * share) / 2 ** 20);
  const program = `const kept = []; for (let i = 0; i < ${Math.round(mib / 64)}; i++) kept.push(Buffer.alloc(64 << 20, 1)); setInterval(() => kept.length, 1e6);`;
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "stress-pod", namespace },
    spec: {
      terminationGracePeriodSeconds: 0,
      containers: [
        { name: "eater", image, imagePullPolicy: "Never", command: ["node", "-e", program] },
      ],
    },
  };
}

describe("a real load on the node", () => {
  const release = new Release(namespace);
  let robot: Robot;
  let admin: Awaited<ReturnType<typeof startAdmin>>;

  before(async () => {
    await release.uninstall();
    await kubectl("create", "namespace", namespace);
    robot = await startRobot();
    admin = await startAdmin(namespace, adminToken);
    await release.install({
      config: {
        admin: { base_url: admin.url, sync_interval: 2 },
        metrics: { collection_interval: 2 },
        alerts: { language: "en" },
        kubernetes: { node_condition: true },
      },
      secrets: { adminToken },
      channels: [channelOf(robot)],
    });
    await soon("all is well", async () => (await release.health()).status === "ok");
  });
  after(async () => {
    await release.uninstall();
    await robot.close();
  });

  it("keeps the robot's address and secret out of everything but its Secret", async () => {
    const { url, token } = robot;
    const shown = [
      await kubectl("-n", namespace, "get", "configmap,daemonset,pod", "-o", "yaml"),
      JSON.stringify(await release.get("/api/config")),
      await release.logs(),
    ].join("\n");
    assert.ok(!shown.includes(url) && !shown.includes(token) && !shown.includes("signing-secret"));
    assert.equal((await release.get<{ items: unknown[] }>("/api/channels")).items.length, 1);
  });

  it("finds a doctor who has nothing to say against host, rights, Redis, admin server and channel", async () => {
    const { code, checks } = await doctor(namespace, (await release.pod()).metadata.name);
    const wrong = checks.filter(({ status }) => status === "warning" || status === "failed");
    assert.deepEqual(wrong, []);
    assert.equal(code, 0);
    const fine = checks.flatMap(({ name, status }) => (status === "ok" ? [name] : []));
    for (const name of ["redis", "admin", "kubernetes.right.nodeCondition"])
      assert.ok(fine.includes(name), fine.join());
    assert.ok(
      fine.some((name) => name.startsWith("channel")),
      fine.join(),
    );
  });

  it("is told to people, to the cluster and to the admin server, and so is its end", async () => {
    const rows = await release.get<Rows>("/api/metrics?start=-20s&index=memory");
    const now = Math.max(...rows.map(({ metrics }) => metrics["memory"] ?? 0));
    const threshold = Math.round(now + 50 * share);
    await release.setPolicy({
      alerts: {
        rules: [
          {
            name: "memory-high",
            index: "memory",
            threshold,
            for: "4s",
            clear: threshold - 1,
            level: "critical",
          },
        ],
        channels: [
          {
            type: "feishu",
            webhook_url_file: await fileOf("webhook_url"),
            secret_file: await fileOf("secret"),
            enabled: true,
          },
        ],
      },
    });
    await soon("the rule stands", async () => (await release.rule("memory-high")) !== undefined);
    await apply(hungryPod());
    await soon("the robot is told", () => robot.received.length > 0, 120_000);
    const [fired] = robot.received;
    assert.match(fired?.title ?? "", /CRITICAL/);
    assert.match(fired?.text ?? "", new RegExp(`${namespace}/stress-pod/eater`));

    const node = (await release.pod()).spec.nodeName;
    const ours = async (reason: string): Promise<boolean> =>
      (await ourEvents("Node")).some(
        (event) => event.reason === reason && event.regarding.name === node,
      );
    await soon("an Event", () => ours("NodeMemoryHigh"));
    const described = await kubectl("describe", "node", node);
    assert.match(
      described,
      /Warning\s+NodeMemoryHigh\s.*targetvpc\.io\/agent\s+critical: memory is/,
    );
    assert.match(described, /biggest process \S+ of targetvpc-alerts\/stress-pod\/eater/);
    assert.match(await kubectl("events", "--for", `node/${node}`), /NodeMemoryHigh/);
    await soon("the condition", async () =>
      /TargetVPCAlertsFiring\s+True.*NodeMemoryHigh/.test(await kubectl("describe", "node", node)),
    );
    await soon("a record", async () => (await admin.records()).length > 0);

    await kubectl("-n", namespace, "delete", "pod", "stress-pod", "--now");
    await soon("the robot is told the end", () => robot.received.length > 1, 120_000);
    assert.match(robot.received[1]?.title ?? "", /RESOLVED/i);
    await soon("the Event of the end", () => ours("NodeMemoryRecovered"));
    await soon("the condition is false", async () =>
      /TargetVPCAlertsFiring\s+False.*NoAlerts/.test(await kubectl("describe", "node", node)),
    );
    await soon("both records", async () => (await admin.records()).length === 2);
    const records = await admin.records();
    assert.deepEqual(
      records.map(({ status }) => status),
      ["firing", "resolved"],
    );
    assert.equal(new Set(records.map(({ alert_id }) => alert_id)).size, 1);
    assert.ok(records.every((record) => record.node === node && record.index === "memory"));
    assert.equal(robot.received.length, 2);
  });

  it("leaves no condition behind when it is switched off, nor when it is uninstalled", async () => {
    const node = (await release.pod()).spec.nodeName;
    const condition = async (): Promise<boolean> =>
      (await kubectl("describe", "node", node)).includes("TargetVPCAlertsFiring");
    const withCondition = (on: boolean): Record<string, unknown> => ({
      config: { kubernetes: { node_condition: on } },
    });
    assert.ok(await condition());
    await release.upgrade(withCondition(false));
    assert.ok(!(await condition()), "after it was switched off");
    await release.upgrade(withCondition(true));
    await soon("it is kept again", condition, 150_000);
    await helm("uninstall", release.name, "-n", namespace, "--wait");
    assert.ok(!(await condition()), "after the uninstallation");
  });

  /** Where the chart has put a secret of the channel. */
  async function fileOf(setting: string): Promise<string> {
    const names = await kubectl(
      "-n",
      namespace,
      "get",
      "secret",
      "targetvpc-channels",
      "-o",
      "go-template={{range $k, $v := .data}}{{$k}} {{end}}",
    );
    const key = names.split(" ").find((name) => name.endsWith(`.${setting}`));
    assert.ok(key !== undefined, names);
    return `/etc/targetvpc/channels/${key}`;
  }
});
