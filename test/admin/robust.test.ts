import assert from "node:assert/strict";
import fc from "fast-check";
import { adminServer, cleanUp, harness, settingsFor } from "./harness.ts";

const good = JSON.stringify({
  code: 0,
  data: { alerts: { rules: [{ index: "cpu", threshold: 80 }], channels: [] } },
});

const isEmptyObject = (value: unknown): boolean =>
  typeof value === "object" && value !== null && JSON.stringify(value) === "{}";

/** Bodies none of which is a policy: any JSON but `{}`, bare or wrapped, and a good answer cut off. */
const broken = fc.oneof(
  fc
    .jsonValue()
    .filter((value) => !isEmptyObject(value))
    .map((value) => JSON.stringify(value)),
  fc
    .jsonValue()
    .filter((value) => !isEmptyObject(value))
    .map((data) => JSON.stringify({ code: 0, data })),
  fc
    .jsonValue()
    .filter((value) => !Array.isArray(value) || value.length > 0)
    .map((rules) => JSON.stringify({ data: { alerts: { rules } } })),
  fc.integer({ min: 0, max: good.length - 1 }).map((end) => good.slice(0, end)),
  fc.string(),
);

describe("a good configuration", () => {
  afterEach(cleanUp);

  it("is never replaced by a broken answer, and no answer stops the sync", async () => {
    const server = await adminServer();
    const agent = harness(settingsFor(server.url));
    const headers = { "Content-Type": "application/json" };
    server.answerConfig({ headers, body: good });
    await agent.start();
    const { content } = agent.cache;
    await fc.assert(
      fc.asyncProperty(
        broken,
        fc.constantFrom(200, 200, 200, 201, 304, 404, 500),
        async (body, status) => {
          const { polls, applied, unchanged } = agent.sync.counters;
          server.answerConfig({ status, headers, body });
          await agent.next();
          const after = agent.sync.counters;
          assert.deepEqual([after.polls, after.applied], [polls + 1, applied]);
          assert.equal(after.unchanged, unchanged);
          assert.equal(agent.taken.length, 1);
          assert.equal(agent.cache.content, content);
          assert.notEqual(agent.lastError(), "");
        },
      ),
      { numRuns: 150 },
    );
    server.answerConfig({ headers, body: good });
    await agent.next();
    assert.equal(agent.sync.status().status, "ok");
  });
});
