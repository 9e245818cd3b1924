/** What a week of nodes costs in Redis, beside other ways to keep the same samples there and beside databases. */
import os from "node:os";
import { systemClock } from "../src/base/clock.ts";
import type { DatabaseFigures } from "./storage/database.ts";
import { databases } from "./storage/databases.ts";
import { readOverHttp } from "./storage/http-read.ts";
import { measureAgents } from "./storage/measure-agents.ts";
import { measureOurs } from "./storage/measure-ours.ts";
import { measureRival } from "./storage/measure-rival.ts";
import type { Compared, RivalMeasured } from "./storage/measured.ts";
import type { ReadCost } from "./storage/meter.ts";
import { readOptions, type Options } from "./storage/options.ts";
import { rivals } from "./storage/rivals.ts";
import { startServer, type Server } from "./storage/server.ts";
import { printAgents, printMemory, printReads, printTicks } from "./storage/tables.ts";
import { createWeeks, readWeek, type Week, withThreeSeries } from "./storage/week.ts";

function sayMachine(server: Server, { days, nodes }: Options): void {
  console.log(
    `${os.availableParallelism()} cores, Node ${process.versions.node}, Redis ${server.version}; ` +
      `${days} days, ${nodes} nodes; load ${os.loadavg()[0]?.toFixed(1)}`,
  );
}

/** Ours and the rivals, one after the other in the same server. */
async function compare(
  deps: { readonly server: Server; readonly options: Options; readonly weeks: readonly Week[] },
  reading: boolean,
): Promise<{ readonly compared: Compared; readonly http: ReadCost | null }> {
  const { server, weeks } = deps;
  const ours = await measureOurs({ ...deps, reading });
  const http = reading ? await readOverHttp(server, readWeek(weeks)) : null;
  await server.empty();
  const others: RivalMeasured[] = [];
  for (const rival of rivals) others.push(await measureRival({ ...deps, rival, reading }));
  const series = readWeek(weeks).series.length;
  return { compared: { series, ours, rivals: others }, http };
}

/** All figures of the store on this machine, its rivals' in the same run. */
export async function storage(): Promise<void> {
  const options = readOptions();
  const weeks = createWeeks(options.days, systemClock.now());
  const others: DatabaseFigures[] = [];
  for (const database of databases()) others.push(await database(weeks));
  const server = await startServer();
  try {
    sayMachine(server, options);
    const { compared, http } = await compare({ server, options, weeks }, true);
    printMemory(compared, others);
    printTicks(compared);
    printReads(compared, others, { options, http });
    const small = await compare({ server, options, weeks: weeks.map(withThreeSeries) }, false);
    printMemory(small.compared, []);
    printTicks(small.compared);
  } finally {
    await server.stop();
  }
  const fleet = await measureAgents(weeks, options);
  printAgents(options, fleet.ours, fleet.rivals);
  console.log(`\nload at the end ${os.loadavg()[0]?.toFixed(1)}`);
}
