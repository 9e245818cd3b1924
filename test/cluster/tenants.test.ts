import assert from "node:assert/strict";
import { kubectl, soon } from "./cluster.ts";
import { Release, type Rows } from "./release.ts";

const first = new Release("targetvpc-tenant-a");
const second = new Release("targetvpc-tenant-b", "other");
const password = "shared-redis-of-two-clusters";

/** Two installations on one node and one Redis: the node has the same name in both, the clusters have not. */
describe("two releases in two namespaces on one Redis", () => {
  const config = (cluster: string): Record<string, unknown> => ({
    node: { cluster },
    metrics: { collection_interval: 1 },
  });
  const known = async (release: Release): Promise<string[]> => {
    const { items } = await release.get<{ items: { cluster: string; name: string }[] }>(
      "/api/nodes",
    );
    return items.map(({ cluster }) => cluster).sort();
  };

  before(async () => {
    await Promise.all([first.uninstall(), second.uninstall()]);
    await first.install({
      config: config("alpha"),
      secrets: { redisPassword: password },
      rules: [{ name: "of-alpha", index: "disk", threshold: 0.5 }],
    });
    await second.install({
      redis: { enabled: false },
      config: {
        ...config("beta"),
        redis: { host: `targetvpc-redis.${first.namespace}` },
      },
      secrets: { redisPassword: password },
      rules: [{ name: "of-beta", index: "disk", threshold: 101 }],
    });
    for (const release of [first, second])
      await soon(`Redis of ${release.namespace}`, async () => {
        return (await release.health()).components["redis"]?.status === "ok";
      });
  });
  after(() => Promise.all([first.uninstall(), second.uninstall()]));

  it("know of each other's nodes, and keep their series, states and configurations apart", async () => {
    await soon("both nodes are known", async () => {
      return (await known(first)).length === 2 && (await known(second)).length === 2;
    });
    assert.deepEqual(await known(second), ["alpha", "beta"]);
    const node = (await first.pod()).spec.nodeName;
    for (const release of [first, second])
      for (const cluster of ["alpha", "beta"])
        await soon(`${release.name} reads ${cluster}`, async () => {
          const at = `/api/metrics?node=${cluster}/${node}&start=-30s&index=disk`;
          return (await release.get<Rows>(at)).some(({ metrics }) => (metrics["disk"] ?? 0) > 0);
        });
    await soon("alpha's alert", async () => (await first.firing()).length === 1);
    assert.deepEqual(await second.firing(), [], "the other's alert");
    assert.equal(await second.rule("of-alpha"), undefined);
    assert.equal((await second.rule("of-beta"))?.source, "configmap");
  });

  it("hold data of one cluster only under its own keys", async () => {
    const said = await kubectl(
      "-n",
      first.namespace,
      "exec",
      "targetvpc-redis-0",
      "--",
      "sh",
      "-c",
      `REDISCLI_AUTH=${password} redis-cli --scan --pattern 'targetvpc:[am]:*'`,
    );
    const keys = said.split("\n").filter((line) => line !== "");
    const of = (cluster: string): string[] => keys.filter((key) => key.includes(`{${cluster}/`));
    assert.ok(of("alpha").length > 0 && of("beta").length > 0, said);
    assert.equal(of("alpha").length + of("beta").length, keys.length, said);
  });

  it("tell Events and change objects of their own only", async () => {
    const roles = await kubectl("-n", "default", "get", "role", "-o", "name");
    assert.match(roles, /targetvpc-tenant-a-targetvpc/);
    assert.match(roles, /targetvpc-tenant-b-other-targetvpc/);
    await second.uninstall();
    const health = await first.health();
    assert.equal(health.status, "ok", JSON.stringify(health));
    assert.equal((await first.firing()).length, 1);
    const left = await kubectl("-n", "default", "get", "role", "-o", "name");
    assert.ok(left.includes("targetvpc-tenant-a") && !left.includes("targetvpc-tenant-b"));
  });
});
