import assert from "node:assert/strict";
import { getJson, kubectl, ourEvents, soon } from "./cluster.ts";
import { Release } from "./release.ts";

const namespace = "targetvpc-configmap";
const policy = (threshold: number): unknown => ({
  alerts: { rules: [{ name: "cpu-high", index: "cpu", threshold }] },
});

describe("the watched ConfigMap", () => {
  const release = new Release(namespace);
  before(async () => {
    await release.uninstall();
    await release.install({ config: { metrics: { collection_interval: 1 } } });
  });
  after(() => release.uninstall());

  it("is in force within two seconds of kubectl apply, twenty times", async () => {
    const url = `${await release.url()}/api/rules`;
    const took: number[] = [];
    for (let i = 1; i <= 20; i++) {
      await release.setPolicy(policy(100 + i));
      const appliedMs = performance.now();
      await soon(`threshold ${100 + i}`, async () => {
        const reply = await fetch(url);
        return (await reply.text()).includes(`"warning":${100 + i}`);
      });
      took.push(performance.now() - appliedMs);
    }
    took.sort((a, b) => a - b);
    const shown = [took[0], took[10], took[19]].map((ms) => `${Math.round(ms ?? 0)} ms`);
    console.log(`        least, median, most after apply: ${shown.join(", ")}`);
    assert.ok((took[19] ?? Infinity) <= 2_000, `${took[19]} ms`);
  });

  it("is refused whole when it is invalid, with one Event that says what and where", async () => {
    await release.setPolicy({
      alerts: {
        rules: [
          { name: "cpu-high", index: "cpu", threshold: 42 },
          { name: "broken", index: "cpu", treshold: 1 },
        ],
      },
    });
    await soon("an Event of the ConfigMap", async () => {
      return (await ourEvents("ConfigMap", namespace)).length > 0;
    });
    const [event] = await ourEvents("ConfigMap", namespace);
    assert.equal(event?.type, "Warning");
    assert.equal(event?.reason, "ConfigRefused");
    assert.match(
      event?.note ?? "",
      /alerts\.rules\[1\]\.treshold: unknown key; did you mean "threshold"/,
    );
    assert.match(
      await kubectl("-n", namespace, "describe", "configmap", release.name),
      /ConfigRefused/,
    );
    assert.equal(
      (await release.rule("cpu-high"))?.levels["warning"],
      120,
      "the last good one stays",
    );
    const { status, components } = await release.health();
    assert.equal(status, "degraded");
    assert.match(components["kubernetes"]?.last_error ?? "", /treshold/);
    await release.setPolicy(policy(99));
    await soon("mended", async () => (await release.health()).status === "ok");
    assert.equal((await release.rule("cpu-high"))?.levels["warning"], 99);
  });

  it("gives way to the other sources when it is deleted, and comes back", async () => {
    await kubectl("-n", namespace, "delete", "configmap", release.name);
    await soon("the built-in rule stands", async () => {
      return (await release.rule("default-cpu"))?.source === "default";
    });
    assert.equal(await release.rule("cpu-high"), undefined);
    await release.setPolicy(policy(77));
    await soon(
      "it is back",
      async () => (await release.rule("cpu-high"))?.levels["warning"] === 77,
    );
  });

  it("is used from its mount without API rights, and changes come with the kubelet", async () => {
    await release.upgrade({
      config: { kubernetes: { enabled: false }, metrics: { collection_interval: 1 } },
      rbac: { create: false },
      rules: [{ name: "cpu-high", index: "cpu", threshold: 55 }],
    });
    await soon("by the mount", async () => {
      const { components } = await release.health();
      return components["kubernetes"]?.details?.["configmap"] === "mounted";
    });
    assert.equal((await release.rule("cpu-high"))?.levels["warning"], 55);
    const { spec } = await getJson<{ spec: { automountServiceAccountToken: boolean } }>(
      "-n",
      namespace,
      "pod",
      (await release.pod()).metadata.name,
    );
    assert.equal(spec.automountServiceAccountToken, false);
    await release.setPolicy(policy(56));
    await soon(
      "the kubelet brought it",
      async () => (await release.rule("cpu-high"))?.levels["warning"] === 56,
      150_000,
    );
  });
});
