import { copyKeys, type Copies } from "./copies.ts";
import type { Reads, RivalMeasured } from "./measured.ts";
import { eachOf, meanCost, meterRead, meterTicks, type ReadCost, type TickCost } from "./meter.ts";
import type { Options } from "./options.ts";
import { loadWeek, type Question, type Rival, send } from "./rivals.ts";
import type { Server } from "./server.ts";
import { rangeOf, spansOf } from "./spans.ts";
import { nodeOf, readSeries, readWeek, samplesOf, type Week } from "./week.ts";

/** An hour of ticks after the week, while the oldest hour goes. */
const meteredTicks = 360;

interface RivalDeps {
  readonly server: Server;
  readonly rival: Rival;
  readonly weeks: readonly Week[];
  readonly options: Options;
  /** Whether reads are measured, not only what is stored and sent. */
  readonly reading: boolean;
}

function ticksOf({ server, rival }: RivalDeps, week: Week): Promise<TickCost> {
  const node = nodeOf(week);
  return meterTicks(server, week, { from: week.rows, count: meteredTicks }, (row) =>
    send(server.redis.client, rival.commands(node, row)),
  );
}

/** Reads, and throws when not every sample is there: a benchmark of nothing is quick. */
async function readAll({ server, rival }: RivalDeps, question: Question): Promise<void> {
  const { timesMs } = await rival.read(server.redis.client, question);
  const expected = (question.toMs + 1 - question.fromMs) / 10_000;
  if (timesMs.length !== expected)
    throw new Error(`${rival.name}: ${timesMs.length} samples, expected ${expected}`);
}

async function readsOf(
  deps: RivalDeps,
  nodes: readonly string[],
): Promise<ReadonlyMap<string, ReadCost>> {
  const reads = new Map<string, ReadCost>();
  const week = readWeek(deps.weeks);
  for (const span of spansOf(week)) {
    const range = rangeOf(week, span);
    const read = (node: string): Promise<void> =>
      readAll(deps, { node, series: readSeries, ...range });
    reads.set(span.name, await meterRead(() => eachOf(nodes, read)));
  }
  return reads;
}

/**
 * All series of so many nodes would not fit into memory. Where one series has its own key, the nodes get only that;
 * elsewhere the time of one node counts so many times.
 */
async function fleetReads(deps: RivalDeps, one: Reads["one"]): Promise<Reads["fleet"]> {
  const { server, rival, weeks, options } = deps;
  const { seriesKey } = rival;
  if (seriesKey === null)
    return new Map(
      [...one].map(([span, { ms, cpuMs }]) => [
        span,
        { ms: ms * options.nodes, cpuMs: cpuMs * options.nodes },
      ]),
    );
  const each = Math.ceil(options.nodes / weeks.length);
  const names = (week: Week): string[] =>
    Array.from({ length: each }, (_, copy) => nodeOf(week, copy));
  const copies = weeks.map((week): Copies => {
    const to = names(week).map((node) => seriesKey(node, readSeries));
    return { from: seriesKey(nodeOf(week), readSeries), to };
  });
  await copyKeys(server, copies);
  return readsOf(deps, weeks.flatMap(names).slice(0, options.nodes));
}

/** An hour of everything, so that what a server takes at the first command of a kind is taken. */
async function warm(deps: RivalDeps): Promise<void> {
  const { server, rival } = deps;
  const hour = { ...readWeek(deps.weeks), rows: meteredTicks };
  await loadWeek(server.redis.client, rival, nodeOf(hour), hour);
  await ticksOf(deps, hour);
  await server.empty();
}

async function readBoth(deps: RivalDeps): Promise<Reads> {
  const one = await readsOf(deps, [nodeOf(readWeek(deps.weeks))]);
  return { one, fleet: await fleetReads(deps, one) };
}

/** Measures a rival in an empty server, and leaves it empty. */
export async function measureRival(deps: RivalDeps): Promise<RivalMeasured> {
  const { server, rival, weeks } = deps;
  await warm(deps);
  const before = await server.storedBytes();
  for (const week of weeks) await loadWeek(server.redis.client, rival, nodeOf(week), week);
  const bytesASample = ((await server.storedBytes()) - before) / samplesOf(weeks);
  const reads = deps.reading ? await readBoth(deps) : null;
  const costs: TickCost[] = [];
  for (const week of weeks) costs.push(await ticksOf(deps, week));
  await server.empty();
  return { name: rival.name, bytesASample, reads, tick: meanCost(costs) };
}
