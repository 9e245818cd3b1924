import { systemClock } from "../../src/base/clock.ts";
import { parseSelector } from "../../src/core/series.ts";
import { dayMs } from "../../src/store/slots.ts";
import { copyKeys, type Copies, removeCopies } from "./copies.ts";
import type { OursMeasured, Reads } from "./measured.ts";
import { eachOf, meanCost, meanOf, meterRead, type ReadCost } from "./meter.ts";
import type { Options } from "./options.ts";
import { rowsADay } from "./fleet.ts";
import {
  closeDays,
  dayKeys,
  dayParts,
  liveOn,
  liveWeek,
  type NodePlace,
  openStore,
  type OpenStore,
  partBytes,
} from "./ours.ts";
import type { Server } from "./server.ts";
import { rangeOf, spansOf, type ReadSpan } from "./spans.ts";
import { nodeOf, readSeries, readWeek, samplesOf, stepMs, type Week } from "./week.ts";

/** The step of the tier. */
const tierStepMs = 300_000;

/** First word of our keys. */
export const prefix = "targetvpc";

export interface OursDeps {
  readonly server: Server;
  readonly weeks: readonly Week[];
  readonly options: Options;
  /** Whether reads are measured, not only what is stored and sent. */
  readonly reading: boolean;
}

/** How a node is read: every sample, or buckets of five minutes. */
type Reader = (node: string, range: { fromMs: number; toMs: number }) => Promise<void>;

function expectRows(found: number, expected: number): void {
  if (found !== expected) throw new Error(`${found} rows, expected ${expected}`);
}

/** Reads as an agent reads another node: nothing of it is in memory. */
function readersOf({ series }: OpenStore): { readonly raw: Reader; readonly buckets: Reader } {
  const selectors = [parseSelector(readSeries)];
  return {
    raw: async (node, range) => {
      const { timesMs } = await series.read({ node, selectors, ...range });
      expectRows(timesMs.length, (range.toMs + 1 - range.fromMs) / stepMs);
    },
    buckets: async (node, range) => {
      const query = { node, selectors, ...range, stepMs: tierStepMs };
      const { timesMs } = await series.readBuckets(query);
      expectRows(timesMs.length, (range.toMs + 1 - range.fromMs) / tierStepMs);
    },
  };
}

async function readsOf(
  read: Reader,
  week: Week,
  nodes: readonly string[],
): Promise<ReadonlyMap<string, ReadCost>> {
  const reads = new Map<string, ReadCost>();
  for (const span of spansOf(week)) {
    const range = rangeOf(week, span);
    reads.set(span.name, await meterRead(() => eachOf(nodes, (node) => read(node, range))));
  }
  return reads;
}

/** Names of so many copies, the kinds of node in equal parts. */
function copyNames(weeks: readonly Week[], count: number): readonly string[] {
  const each = Math.ceil(count / weeks.length);
  return weeks
    .flatMap((week) => Array.from({ length: each }, (_, copy) => nodeOf(week, copy)))
    .slice(0, count);
}

/** The days of each kind of node for its copies; the last of them only where a fleet is wide. */
function dayCopies(weeks: readonly Week[], count: number, days?: number): readonly Copies[] {
  const nodes = copyNames(weeks, count);
  return weeks.flatMap((week) => {
    const own = nodes.filter((node) => node.startsWith(`${nodeOf(week)}-`));
    return dayParts.flatMap((part) => {
      const keys = (node: string): readonly string[] =>
        dayKeys(prefix, part, node, week).slice(days === undefined ? 0 : -days);
      return keys(nodeOf(week)).map((from, day) => ({
        from,
        to: own.map((node) => keys(node)[day] ?? ""),
      }));
    });
  });
}

async function readBoth(
  { weeks, options, server, reading }: OursDeps,
  read: Reader,
): Promise<Reads | null> {
  if (!reading) return null;
  const week = readWeek(weeks);
  const one = await readsOf(read, week, [nodeOf(week)]);
  const copies = dayCopies(weeks, options.nodes);
  await copyKeys(server, copies);
  const fleet = await readsOf(read, week, copyNames(weeks, options.nodes));
  await removeCopies(server, copies);
  return { one, fleet };
}

/** A day of many nodes, in buckets. */
async function readWide(
  { server, weeks, options, reading }: OursDeps,
  read: Reader,
): Promise<ReadCost | null> {
  if (!reading) return null;
  const week = readWeek(weeks);
  const day: ReadSpan = { name: "24 h", hours: 24 };
  const copies = dayCopies(weeks, options.wideNodes, 1);
  const nodes = copyNames(weeks, options.wideNodes);
  await copyKeys(server, copies);
  const cost = await meterRead(() => eachOf(nodes, (node) => read(node, rangeOf(week, day))));
  await removeCopies(server, copies);
  return cost;
}

/** Memory a sample of the tier alone. */
async function tierBytesOf({ server, weeks }: OursDeps): Promise<number> {
  return (await partBytes(server, prefix, "tier", weeks)) / samplesOf(weeks);
}

/** Does the same for every node, one after the other. */
async function ofEach<T>(
  { server, weeks }: OursDeps,
  work: (place: NodePlace) => Promise<T>,
): Promise<readonly T[]> {
  const results: T[] = [];
  for (const week of weeks) results.push(await work({ server, prefix, week }));
  return results;
}

/** A day of everything, so that what a server takes at the first command of a kind is taken. */
async function warm({ server, weeks }: OursDeps): Promise<void> {
  const week = readWeek(weeks);
  const day = { ...week, rows: rowsADay, endMs: week.startMs + dayMs };
  const place = { server, prefix, week: day };
  await liveWeek(place);
  await closeDays(place);
  await server.empty();
}

/** Lets every node live through its week in an empty server, and measures what is there then; it stays there. */
export async function measureOurs(deps: OursDeps): Promise<OursMeasured> {
  const { server, weeks } = deps;
  await warm(deps);
  const before = await server.storedBytes();
  const bytes = async (): Promise<number> =>
    ((await server.storedBytes()) - before) / samplesOf(weeks);
  const writing = meanCost(await ofEach(deps, liveWeek));
  const blockBytes = await bytes();
  const reader = await openStore({ server, prefix, node: "bench/reader", clock: systemClock });
  const { raw, buckets } = readersOf(reader);
  try {
    const blockReads = await readBoth(deps, raw);
    const closingMs = meanOf(await ofEach(deps, closeDays));
    const tierBytes = await tierBytesOf(deps);
    const closedBytes = (await bytes()) - tierBytes;
    return {
      writing,
      closingMs,
      blocks: { name: "blocks", bytesASample: blockBytes, reads: blockReads },
      compacted: {
        name: "closed days",
        bytesASample: closedBytes,
        reads: await readBoth(deps, raw),
      },
      tier: { name: "the tier", bytesASample: tierBytes, reads: await readBoth(deps, buckets) },
      wide: await readWide(deps, buckets),
      tick: meanCost(await ofEach(deps, liveOn)),
    };
  } finally {
    await reader.close();
  }
}
