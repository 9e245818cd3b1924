import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { rm } from "node:fs/promises";
import path from "node:path";
import { freePort } from "../../test/support/redis.ts";
import { countMatrix, type Database, inDirectory, meterUrl } from "./database.ts";
import { directoryBytes, launch, run } from "./programs.ts";
import { readSeries, readWeek, samplesOf, stepMs, type Week } from "./week.ts";

function valueText(scaled: number, decimals: number): string {
  return String(scaled / 10 ** decimals);
}

/** The series of some weeks as OpenMetrics, a series after the other. */
async function writeOpenMetrics(file: string, weeks: readonly Week[]): Promise<void> {
  const out = createWriteStream(file);
  const [first] = weeks;
  for (const [index, { name, decimals }] of (first?.series ?? []).entries()) {
    out.write(`# TYPE ${name} gauge\n`);
    for (const { kind, columns, rows, startMs } of weeks) {
      const lines: string[] = [];
      for (let row = 0; row < rows; row++) {
        const value = valueText(columns[index]?.[row] ?? 0, decimals);
        lines.push(`${name}{node="${kind}"} ${value} ${(startMs + row * stepMs) / 1_000}\n`);
      }
      if (!out.write(lines.join(""))) await once(out, "drain");
    }
  }
  out.end("# EOF\n");
  await once(out, "finish");
}

/** Spans of its blocks when it keeps three weeks or more: a tenth of that at most. */
const longestBlock = "54h";

/** Prometheus, its blocks made from a file by promtool. */
export function prometheus(programs: { readonly server: string; readonly tool: string }): Database {
  return (weeks) =>
    inDirectory(async (dir) => {
      const week = readWeek(weeks);
      const file = path.join(dir, "week.txt");
      const data = path.join(dir, "data");
      await writeOpenMetrics(file, weeks);
      const make = ["tsdb", "create-blocks-from", `--max-block-duration=${longestBlock}`];
      await run(programs.tool, [...make, "--quiet", "openmetrics", file, data]);
      await rm(file);
      const bytesASample = (await directoryBytes(data)) / samplesOf(weeks);
      const base = `http://127.0.0.1:${await freePort()}`;
      const server = await launch(
        programs.server,
        [
          `--config.file=${await emptyConfig(dir)}`,
          `--storage.tsdb.path=${data}`,
          `--web.listen-address=${base.slice("http://".length)}`,
        ],
        `${base}/-/ready`,
      );
      try {
        const query = encodeURIComponent(`${readSeries}{node="${week.kind}"}[${week.rows * 10}s]`);
        const url = `${base}/api/v1/query?query=${query}&time=${week.endMs / 1_000 - 1}`;
        const cost = await meterUrl(url, countMatrix, week);
        return { name: "Prometheus", bytesASample, reads: [["query of a range", cost]] };
      } finally {
        await server.stop();
      }
    });
}

async function emptyConfig(dir: string): Promise<string> {
  const file = path.join(dir, "prometheus.yml");
  const out = createWriteStream(file);
  out.end("global: {}\n");
  await once(out, "finish");
  return file;
}
