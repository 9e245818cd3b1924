import path from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { freePort } from "../../test/support/redis.ts";
import { countMatrix, type Database, inDirectory, meterUrl } from "./database.ts";
import { directoryBytes, fetchText, launch } from "./programs.ts";
import { readSeries, readWeek, samplesOf, stepMs, type Week } from "./week.ts";

/** Brings every series in as JSON lines, and has it merged into as few parts as it makes. */
async function importAll(base: string, weeks: readonly Week[]): Promise<void> {
  for (const { kind, series, columns, rows, startMs } of weeks)
    for (const [index, { name, decimals }] of series.entries()) {
      const values = Array.from(columns[index] ?? [], (value) => value / 10 ** decimals);
      const timestamps = Array.from({ length: rows }, (_, row) => startMs + row * stepMs);
      const metric = { __name__: name, node: kind };
      await fetchText(`${base}/api/v1/import`, JSON.stringify({ metric, values, timestamps }));
    }
  await fetchText(`${base}/internal/force_flush`);
  await fetchText(`${base}/internal/force_merge`);
}

const lookMs = 200;

/** Waits until no merge is running any more. */
async function merged(base: string): Promise<void> {
  for (let quiet = 0; quiet < 5;) {
    const text = await fetchText(`${base}/metrics`);
    const busy = /^vm_active_merges\{[^}]*\} [1-9]|^vm_active_force_merges [1-9]/m.test(text);
    quiet = busy ? 0 : quiet + 1;
    await systemClock.sleep(lookMs);
  }
}

/** VictoriaMetrics, fed over its import API. */
export function victoriaMetrics(program: string): Database {
  return (weeks) =>
    inDirectory(async (dir) => {
      const week = readWeek(weeks);
      const base = `http://127.0.0.1:${await freePort()}`;
      const server = await launch(
        program,
        [
          `-storageDataPath=${dir}`,
          `-httpListenAddr=${base.slice("http://".length)}`,
          "-search.maxPointsPerTimeseries=100000",
          "-loggerLevel=ERROR",
        ],
        `${base}/health`,
      );
      try {
        await importAll(base, weeks);
        await merged(base);
        const bytesASample = (await directoryBytes(path.join(dir, "data"))) / samplesOf(weeks);
        const match = encodeURIComponent(`${readSeries}{node="${week.kind}"}`);
        const range = `start=${week.startMs / 1_000}&end=${week.endMs / 1_000 - 10}`;
        const lineValues = (text: string): number =>
          text
            .trim()
            .split("\n")
            .flatMap((line) => (JSON.parse(line) as { values: readonly number[] }).values).length;
        return {
          name: "VictoriaMetrics",
          bytesASample,
          reads: [
            [
              "export",
              await meterUrl(`${base}/api/v1/export?match[]=${match}&${range}`, lineValues, week),
            ],
            [
              "query_range",
              await meterUrl(
                `${base}/api/v1/query_range?query=${match}&${range}&step=10s&nocache=1`,
                countMatrix,
                week,
              ),
            ],
          ],
        };
      } finally {
        await server.stop();
      }
    });
}
