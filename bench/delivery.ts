/** How long a message takes, and what becomes of a storm, beside the limits they are to keep. */
import { systemClock } from "../src/base/clock.ts";
import { message } from "../test/notify/kit.ts";
import { startFleet, strike } from "../test/support/fleet.ts";
import { startRedis } from "../test/support/redis.ts";
import { startDingtalk, startFeishu } from "../test/support/robots.ts";

const rounds = 50;
const aloneLimitMs = 200;
const stormLimitMs = 20_000;
const mostMessages = 5;
const nodes = 200;

function say(what: string, figure: string): void {
  console.log(`${what.padEnd(72)} ${figure}`);
}

function quantile(values: readonly number[], share: number): number {
  return (
    values.toSorted((a, b) => a - b)[
      Math.min(values.length - 1, Math.floor(values.length * share))
    ] ?? Number.NaN
  );
}

async function until(check: () => boolean): Promise<void> {
  while (!check()) await systemClock.sleep(1);
}

/** From the decision to the robot, by Redis, with nothing else on the way. */
async function alone(server: Awaited<ReturnType<typeof startRedis>>): Promise<void> {
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const robots = [await startDingtalk(), await startFeishu()];
    const { agents, stop } = await startFleet(["node-1"], {
      server,
      robots,
      prefix: `alone-${round}`,
    });
    await systemClock.sleep(50);
    const beganMs = performance.now();
    await agents[0]?.notifier.notify(message(), null);
    await until(() => robots.every(({ received }) => received.length === 1));
    times.push(performance.now() - beganMs);
    await stop();
    for (const robot of robots) await robot.close();
  }
  for (const [name, share] of [
    ["median", 0.5],
    ["worst of 50", 1],
  ] as const) {
    const ms = quantile(times, share);
    const ratio = (ms / aloneLimitMs).toFixed(2);
    say(
      `a single alert to two robots, ${name}`,
      `${ms.toFixed(1)} ms, ${ratio} of ${aloneLimitMs} ms`,
    );
  }
}

async function storm(
  server: Awaited<ReturnType<typeof startRedis>>,
  latencyMs: number,
): Promise<void> {
  const robots = [await startDingtalk({ latencyMs }), await startFeishu({ latencyMs })];
  const names = Array.from({ length: nodes }, (_, at) => `node-${String(at).padStart(3, "0")}`);
  const prefix = `storm-${latencyMs}`;
  const { agents, stop } = await startFleet(names, { server, robots, prefix });
  await strike(agents, "firing");
  const beganMs = performance.now();
  await until(() =>
    robots.every(({ received }) => {
      const words = new Set(received.flatMap(({ text }) => text.split(/[^\w-]+/)));
      return names.every((name) => words.has(name));
    }),
  );
  const ms = performance.now() - beganMs;
  const most = Math.max(...robots.map(({ received }) => received.length));
  const refused = robots.flatMap(({ answers }) => answers).filter((code) => code !== 0).length;
  say(
    `${nodes} nodes in 10 s, robots that take ${latencyMs} ms: all named after the last`,
    `${(ms / 1_000).toFixed(1)} s, ${(ms / stormLimitMs).toFixed(2)} of 20 s; ${most} of ${mostMessages} messages; ${refused} refused`,
  );
  await stop();
  for (const robot of robots) await robot.close();
}

export async function delivery(): Promise<void> {
  const server = await startRedis();
  await alone(server);
  for (const latencyMs of [0, 150, 5_000]) await storm(server, latencyMs);
  await server.stop();
}
