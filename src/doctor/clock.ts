import { off, ok, warning, type Check, type Finding } from "./contract.ts";

/** Robots refuse signatures of another hour; half a minute already shifts samples by slots. */
const mostMs = 30_000;

function compare(whose: string, aheadMs: number | null): Finding {
  const name = `clock.${whose}`;
  if (aheadMs === null) return off(name, "not told");
  const seconds = (Math.abs(aheadMs) / 1_000).toFixed(1);
  if (Math.abs(aheadMs) <= mostMs) return ok(name, `${seconds} s apart`);
  return warning(name, {
    found: `this node's clock is ${seconds} s ${aheadMs > 0 ? "behind" : "ahead of"} that of ${whose}`,
    costs: "robots refuse signatures of another time, samples of nodes do not line up",
    fix: "let NTP set this node's clock (timedatectl, chronyc tracking)",
  });
}

/** This node's clock against those of others. */
export const clock: Check = {
  name: "clock",
  doc: "This node's clock agrees with those of Redis, the admin server and the API server, to half a minute",
  costs: "it is not known whether signatures of messages will be accepted",
  run: async (around) => {
    const [redis, admin, api] = await Promise.all([around.redis(), around.admin(), around.api()]);
    return [
      compare("redis", redis.kind === "up" ? redis.aheadMs : null),
      compare("admin", admin.kind === "answered" ? admin.aheadMs : null),
      compare("kubernetes", api.kind === "up" ? api.aheadMs : null),
    ];
  },
};
