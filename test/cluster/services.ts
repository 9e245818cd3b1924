/** What agents speak with: robots on this machine, an admin server inside the cluster. */
import { readFile } from "node:fs/promises";
import { apply, hostAddress, image, kubectl } from "./cluster.ts";
import { startFeishu, type Robot } from "../support/robots.ts";

const root = new URL("../../", import.meta.url).pathname;

/** A Feishu robot that pods can reach. */
export function startRobot(): Promise<Robot> {
  return startFeishu({ host: hostAddress(), secret: robotSecret });
}

export const robotSecret = "cluster-robot-signing-secret";

/** The channel of a robot, as the chart's values have it. */
export function channelOf(robot: Robot): Record<string, unknown> {
  return { type: "feishu", webhook_url: robot.url, secret: robotSecret, enabled: true };
}

export interface AlertRecord {
  readonly id: string;
  readonly alert_id: string;
  readonly status: string;
  readonly index: string;
  readonly node: string;
}

/** The example admin server as a Deployment; `records` reads what agents have reported. */
export async function startAdmin(
  namespace: string,
  token: string,
): Promise<{ url: string; records: () => Promise<readonly AlertRecord[]> }> {
  const labels = { app: "admin" };
  const program = await readFile(`${root}examples/admin/admin.mjs`, "utf8");
  await apply(
    {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "admin", namespace },
      // It has no opinion: rules and channels come from the chart.
      data: { "admin.mjs": program, "config.json": '{"default": {}}' },
    },
    {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "admin", namespace },
      spec: {
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: {
            terminationGracePeriodSeconds: 1,
            containers: [
              {
                name: "admin",
                image,
                imagePullPolicy: "Never",
                command: ["node", "/admin/admin.mjs"],
                env: [
                  { name: "HOST", value: "0.0.0.0" },
                  { name: "TOKEN", value: token },
                  { name: "DATA_DIR", value: "/tmp/admin" },
                ],
                readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 },
                volumeMounts: [{ name: "admin", mountPath: "/admin" }],
              },
            ],
            volumes: [{ name: "admin", configMap: { name: "admin" } }],
          },
        },
      },
    },
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "admin", namespace },
      spec: { selector: labels, ports: [{ port: 8080 }] },
    },
  );
  await kubectl("-n", namespace, "rollout", "status", "deployment/admin", "--timeout=60s");
  return {
    url: `http://admin.${namespace}:8080`,
    records: async () => {
      const text = await kubectl(
        "-n",
        namespace,
        "exec",
        "deployment/admin",
        "--",
        "sh",
        "-c",
        "cat /tmp/admin/records.jsonl 2>/dev/null || true",
      );
      return text
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line) as AlertRecord); // the records the server wrote itself
    },
  };
}
