import { collectors as all } from "../collect/index.ts";
import type { CollectorStatus } from "../collect/contract.ts";
import { failed, off, ok, type Check, type Finding } from "./contract.ts";

function findingOf(
  { name, indexes }: (typeof all)[number],
  status: CollectorStatus | undefined,
): Finding {
  const gives = indexes.map((index) => index.name).join(", ");
  const title = `collector.${name}`;
  if (status === undefined) return off(title, "switched off (metrics.collectors), or not had here");
  const ms = Math.round(status.durationSeconds * 1_000);
  if (status.success) return ok(title, `gives ${gives}; took ${ms} ms`);
  return failed(title, {
    found: status.lastError ?? "failed",
    costs: `no values of ${gives}; rules on ${indexes.length === 1 ? "it" : "them"} judge nothing`,
    fix: `mend what host.proc and host.root say, or switch it off: metrics.collectors.${name}: false`,
  });
}

/** One look by every collector that is switched on by the file and the environment. */
export const collectors: Check = {
  name: "collector",
  doc: "Every collector that is switched on has a look",
  costs: "no values of this node",
  run: async ({ collecting: { collection }, config, clock }) => {
    collection.configure(config.metrics.collectors);
    await collection.collect(clock.now());
    const looked = new Map(collection.status().map((status) => [status.name, status]));
    return all.map((collector) => findingOf(collector, looked.get(collector.name)));
  },
};
