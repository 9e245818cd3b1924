import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { chart } from "../../scripts/chart.ts";
import { setNames } from "../../scripts/chart/golden.ts";
import { idOf, type KubernetesObject } from "../../scripts/chart/helm.ts";
import { violations } from "./pod-security.ts";
import { golden, podSpec, the, type PodSpec } from "./support.ts";

function pods(objects: readonly KubernetesObject[]): Map<string, PodSpec> {
  return new Map(
    objects.flatMap((object) => {
      const spec = podSpec(object);
      return spec === null ? [] : [[idOf(object), spec] as const];
    }),
  );
}

/** The rights of a render, one in a row, as the README's table has them. */
function rights(objects: readonly KubernetesObject[]): string[] {
  return objects
    .filter(({ kind }) => kind === "Role" || kind === "ClusterRole")
    .flatMap(({ metadata: { namespace }, rules = [] }) =>
      rules.map((rule) => {
        const list = (key: string): string => (rule[key] ?? []).join(", ");
        const resources = list("resourceNames")
          ? `${list("resources")} (${list("resourceNames")})`
          : list("resources");
        return [namespace ?? "cluster", list("apiGroups"), resources, list("verbs")].join(" | ");
      }),
    )
    .sort();
}

describe("the chart's security", () => {
  for (const name of setNames()) {
    it(`${name}: pods fit Pod Security "restricted", the agent's but for its hostPath volumes`, async () => {
      for (const [id, pod] of pods(await golden(name))) {
        const expected = id.startsWith("DaemonSet/") ? ["spec.volumes"] : [];
        assert.deepEqual(violations(pod), expected, id);
      }
    });

    it(`${name}: hostPath volumes are the three, read-only`, async () => {
      for (const [id, { volumes = [], containers }] of pods(await golden(name))) {
        const host = volumes.filter((volume) => "hostPath" in volume);
        const paths = host.map(({ hostPath }) => (hostPath as { path: string }).path);
        assert.deepEqual(paths, id.startsWith("DaemonSet/") ? ["/proc", "/sys", "/"] : [], id);
        const names = new Set(host.map((volume) => volume["name"]));
        const mounts = containers.flatMap(({ volumeMounts = [] }) => volumeMounts);
        for (const mount of mounts.filter((one) => names.has(one.name)))
          assert.equal("readOnly" in mount && mount.readOnly, true, mount.mountPath);
      }
    });

    it(`${name}: no secret stands anywhere but in a Secret`, async () => {
      const objects = await golden(name);
      const secrets = objects
        .filter(({ kind }) => kind === "Secret")
        .flatMap(({ data = {} }) => Object.values(data));
      const others = JSON.stringify(objects.filter(({ kind }) => kind !== "Secret"));
      for (const secret of secrets) {
        const text = Buffer.from(secret, "base64").toString();
        assert.ok(!others.includes(text) && !others.includes(secret), text);
      }
    });

    it(`${name}: only the agent that uses the API has a token for it`, async () => {
      // The clean-up job has rights of its own, for as long as it runs.
      const lasting = [...pods(await golden(name))].filter(([id]) => !id.startsWith("Job/"));
      for (const [id, pod] of lasting)
        assert.equal(
          pod.automountServiceAccountToken,
          id.startsWith("DaemonSet/") && name !== "no-api",
          id,
        );
    });
  }

  it("asks for the rights that README.md lists, and for no other", async () => {
    const readme = await readFile(path.join(chart, "README.md"), "utf8");
    const [, table = ""] = /<!-- rights -->([\s\S]*?)<!-- end -->/.exec(readme) ?? [];
    const rows = table
      .split("\n")
      .filter((line) => line.startsWith("|"))
      .slice(2)
      .map((line) =>
        line
          .split("|")
          .slice(1, -1)
          .map((cell) => cell.trim().replaceAll("`", "")),
      );
    const documented = (withCondition: boolean): string[] =>
      rows
        .filter((row) => withCondition || !(row[4] ?? "").includes("node_condition"))
        .map((row) => row.slice(0, 4).join(" | "))
        .sort();
    const named = (text: string, fullname: string): string =>
      text.replaceAll("<namespace>", "monitoring").replaceAll("<fullname>", fullname);
    assert.deepEqual(
      rights(await golden("default")),
      documented(false)
        .map((row) => named(row, "tv-targetvpc"))
        .sort(),
    );
    assert.deepEqual(
      rights(await golden("everything")),
      documented(true)
        .map((row) => named(row, "tv-agent"))
        .sort(),
    );
    assert.deepEqual(rights(await golden("no-api")), []);
  });

  it("lets only agents reach the bundled Redis", async () => {
    const { spec } = the(await golden("everything"), "NetworkPolicy/monitoring/tv-agent-redis");
    assert.deepEqual(spec, {
      podSelector: { matchLabels: labels("redis") },
      policyTypes: ["Ingress", "Egress"],
      ingress: [
        {
          from: [{ podSelector: { matchLabels: labels("agent") } }],
          ports: [{ protocol: "TCP", port: "redis" }],
        },
      ],
    });
  });
});

function labels(component: string): Record<string, string> {
  return {
    "app.kubernetes.io/name": "agent",
    "app.kubernetes.io/instance": "tv",
    "app.kubernetes.io/component": component,
  };
}
