import assert from "node:assert/strict";
import { getJson, soon, type Pod } from "./cluster.ts";
import { Release } from "./release.ts";

const namespace = "targetvpc-secrets";

describe("the chart's secrets", () => {
  const release = new Release(namespace);
  const secret = async (): Promise<Record<string, string>> =>
    (await getJson<{ data: Record<string, string> }>("-n", namespace, "secret", release.name)).data;
  const redis = (): Promise<Pod> => getJson<Pod>("-n", namespace, "pod", `${release.name}-redis-0`);
  const redisIsUsed = (): Promise<void> =>
    soon("Redis is used", () =>
      release.health().then(
        ({ components }) => components["redis"]?.status === "ok",
        () => false,
      ),
    );
  before(() => release.uninstall());
  after(() => release.uninstall());

  it("are generated once and kept over upgrades, which restart nothing", async () => {
    await release.install();
    await redisIsUsed();
    const [first, { metadata }, agent] = [await secret(), await redis(), await release.pod()];
    assert.deepEqual(Object.keys(first).sort(), ["redis-password", "server-token"]);
    await release.upgrade({ rules: [{ index: "cpu", threshold: 99 }] });
    assert.deepEqual(await secret(), first);
    assert.equal((await redis()).metadata.uid, metadata.uid);
    assert.equal((await release.pod()).metadata.uid, agent.metadata.uid);
  });

  it("reach Redis and agents when they are changed", async () => {
    const { metadata } = await redis();
    const agent = await release.pod();
    await release.upgrade({ secrets: { redisPassword: 'another "one" with \\ and $HOME' } });
    assert.notEqual((await redis()).metadata.uid, metadata.uid, "Redis reads it at its start only");
    assert.equal(
      (await release.pod()).metadata.uid,
      agent.metadata.uid,
      "the agent reads it by itself",
    );
    await soon(
      "the agent has the new one",
      async () => {
        const { components } = await release.health().catch(() => ({ components: {} as never }));
        return components["redis"]?.status === "ok";
      },
      180_000,
    );
  });
});
