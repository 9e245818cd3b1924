import assert from "node:assert/strict";
import type { Outcome, Waiting } from "../../src/core/delivery.ts";
import { isDigest, nextTogether } from "../../src/notify/parcel.ts";
import { Splitting } from "../../src/notify/splitting.ts";
import { job } from "../support/jobs.ts";

/** Sends everything to a service that refuses what holds one of some alerts; what became of each, and in how many messages. */
function send(count: number, isRefused: (id: string) => boolean) {
  const splitting = new Splitting();
  let waiting: Waiting[] = Array.from({ length: count }, (_, at) => ({
    job: job(`${at}`),
    dueInMs: 0,
  }));
  const outcomes = new Map<string, Outcome["outcome"]>();
  let messages = 0;
  for (;;) {
    const parcel = nextTogether(waiting, { atMs: 1, most: splitting.most });
    if (parcel === null) return { outcomes, messages };
    messages += 1;
    assert.ok(messages < 10 * count + 10, "it ends");
    const isBad = parcel.jobs.some(({ id }) => isRefused(id));
    const answer: Outcome = isBad
      ? { outcome: "refused", code: "9499", reason: "bad" }
      : { outcome: "sent", code: "0" };
    const { outcome } = splitting.judge(parcel, answer);
    if (outcome === "retry") {
      assert.ok(isDigest(parcel.content));
      continue;
    }
    for (const { id } of parcel.jobs) outcomes.set(id, outcome);
    const gone = new Set(parcel.jobs.map(({ id }) => id));
    waiting = waiting.filter(({ job: { id } }) => !gone.has(id));
  }
}

describe("a digest that a service refuses", () => {
  it("costs no other alert its message", () => {
    for (const bad of ["0", "25", "49"]) {
      const { outcomes, messages } = send(50, (id) => id === bad);
      const lost = [...outcomes].filter(([, outcome]) => outcome === "refused").map(([id]) => id);
      assert.deepEqual(lost, [bad]);
      assert.equal(outcomes.size, 50);
      assert.ok(messages <= 20, `${messages} messages`);
    }
  });

  it("is refused as a whole by a service that refuses everything, soon", () => {
    const { outcomes, messages } = send(200, () => true);
    assert.deepEqual(new Set(outcomes.values()), new Set(["refused"]));
    assert.equal(outcomes.size, 200);
    assert.ok(messages <= 12, `${messages} messages`);
  });
});
