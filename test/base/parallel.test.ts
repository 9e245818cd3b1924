import assert from "node:assert/strict";
import { createTurns, mapParallel } from "../../src/base/parallel.ts";
import { settle } from "../support/clock.ts";

describe("work in parallel", () => {
  it("gives the results in order and never has more under way than asked for", async () => {
    let running = 0;
    let most = 0;
    const doubled = await mapParallel([5, 1, 4, 2, 3], 2, async (item) => {
      most = Math.max(most, ++running);
      await settle(item);
      running--;
      return item * 2;
    });
    assert.deepEqual(doubled, [10, 2, 8, 4, 6]);
    assert.equal(most, 2);
    assert.deepEqual(await mapParallel([], 2, () => Promise.resolve(1)), []);
  });

  it("rejects with the first failure and begins nothing further", async () => {
    const begun: number[] = [];
    await assert.rejects(
      mapParallel([1, 2, 3, 4, 5, 6], 2, async (item) => {
        begun.push(item);
        await settle(1);
        if (item === 2) throw new Error("two");
      }),
      /two/,
    );
    await settle(10);
    assert.ok(begun.length <= 4, String(begun));
  });

  it("lets everybody have a turn, also after a failure", async () => {
    const inTurn = createTurns(1);
    const order: string[] = [];
    const work = (name: string) =>
      inTurn(async () => {
        order.push(`${name} begins`);
        await settle(2);
        order.push(`${name} ends`);
        if (name === "a") throw new Error(name);
      });
    const results = await Promise.allSettled([work("a"), work("b"), work("c")]);
    assert.deepEqual(
      results.map(({ status }) => status),
      ["rejected", "fulfilled", "fulfilled"],
    );
    assert.deepEqual(
      order,
      ["a", "b", "c"].flatMap((name) => [`${name} begins`, `${name} ends`]),
    );
  });
});
