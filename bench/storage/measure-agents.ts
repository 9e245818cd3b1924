import { writeDelayMs } from "../../src/store/spread.ts";
import { type FleetCost, type FleetWrites, simulate } from "./agents.ts";
import type { Options } from "./options.ts";
import { ourWrites } from "./our-agents.ts";
import { messageOf } from "./resp.ts";
import { rivals, type Rival } from "./rivals.ts";
import { startServer } from "./server.ts";
import { rowAt, stepMs, type Week } from "./week.ts";

/** As the chart's own Redis is run. */
const serverArgs = ["--appendonly", "yes"];

/** Rivals write for a shorter time: their figures are much the same after it. */
const rivalSeconds = 20;

function nodeName(agent: number): string {
  return `bench/node-${agent}`;
}

function rivalWrites(rival: Rival, weeks: readonly Week[]): FleetWrites["message"] {
  return (agent, tick) => {
    const week = weeks[agent % weeks.length];
    if (week === undefined) throw new Error("no week");
    return messageOf(rival.commands(nodeName(agent), rowAt(week, agent + tick)));
  };
}

/** Lets a fleet write into a server of its own: ours, and each rival's at the same pace. */
export async function measureAgents(weeks: readonly Week[], options: Options) {
  const { agents, agentSeconds } = options;
  const pace = {
    agents,
    intervalMs: stepMs,
    delayMs: (agent: number) => writeDelayMs(nodeName(agent), stepMs),
  };
  const measure = async (seconds: number, message: FleetWrites["message"]): Promise<FleetCost> => {
    const server = await startServer({ args: serverArgs });
    try {
      return await simulate(server, { ...pace, seconds, message });
    } finally {
      await server.stop();
    }
  };
  const ours = await measure(agentSeconds, await ourWrites(weeks));
  const others: (readonly [string, FleetCost])[] = [];
  for (const rival of rivals)
    others.push([
      rival.name,
      await measure(Math.min(rivalSeconds, agentSeconds), rivalWrites(rival, weeks)),
    ]);
  return { ours, rivals: others };
}
