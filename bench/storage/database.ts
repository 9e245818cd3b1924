import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { meterRead, type ReadCost } from "./meter.ts";
import { fetchText } from "./programs.ts";
import type { Week } from "./week.ts";

/** What another database makes of the same weeks. */
export interface DatabaseFigures {
  readonly name: string;
  /** On disk. */
  readonly bytesASample: number;
  /** A week of one series over HTTP, every sample. */
  readonly reads: readonly (readonly [how: string, cost: ReadCost])[];
}

/** Takes some weeks in, and is measured. */
export type Database = (weeks: readonly Week[]) => Promise<DatabaseFigures>;

/** Does something in a directory that is gone afterwards. */
export async function inDirectory<T>(work: (dir: string) => Promise<T>): Promise<T> {
  const dir = await mkdtemp(path.join(os.tmpdir(), "targetvpc-bench-"));
  try {
    return await work(dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** Throws when an answer has not every sample. */
function expectSamples(found: number, { rows }: Week): void {
  if (found !== rows) throw new Error(`${found} samples, expected ${rows}`);
}

interface Matrix {
  readonly data: { readonly result: readonly { readonly values: readonly unknown[] }[] };
}

/** How long an answer takes; that it is whole is looked at once, outside the time. */
export async function meterUrl(
  url: string,
  count: (text: string) => number,
  week: Week,
): Promise<ReadCost> {
  expectSamples(count(await fetchText(url)), week);
  return meterRead(() => fetchText(url));
}

/** How many samples the one series of an answer in Prometheus' form has. */
export function countMatrix(text: string): number {
  return (JSON.parse(text) as Matrix).data.result[0]?.values.length ?? 0;
}
