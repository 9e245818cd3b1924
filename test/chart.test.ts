import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { chart, generated, valuesText } from "../scripts/chart.ts";
import { documentedValues } from "../scripts/chart/values.ts";
import { ownHistograms, ownMetrics, type MeasuredParts } from "../src/own-metrics.ts";
import { processMetrics } from "../src/telemetry/agent.ts";
import { isRecord, leafKeys } from "./chart/support.ts";
import { parse } from "yaml";

/** What a scrape of an agent has, besides the node's own families. */
const scraped = new Set([
  "up",
  "targetvpc_index",
  ...[...ownMetrics({} as MeasuredParts), ...processMetrics(0)].map(({ name }) => name),
  ...ownHistograms({} as MeasuredParts).flatMap(({ name }) =>
    ["bucket", "sum", "count"].map((part) => `${name}_${part}`),
  ),
]);

async function metricsIn(file: string): Promise<string[]> {
  const text = await readFile(path.join(chart, file), "utf8");
  return [...new Set(text.match(/\b(targetvpc|process)_[a-z_]+(?=\{)|\bup(?=\{)/g))];
}

describe("the chart, without helm", () => {
  for (const [name, text] of Object.entries(generated()))
    it(`${name} is what the code makes it (npm run chart)`, async () => {
      assert.equal(await readFile(path.join(chart, name), "utf8"), text);
    });

  it("documents every value", () => {
    const documented = documentedValues(valuesText()).map(({ key }) => key);
    const values: unknown = parse(valuesText());
    assert.ok(isRecord(values));
    const missing = leafKeys(values).filter(
      (key) => !documented.some((known) => key === known || key.startsWith(`${known}.`)),
    );
    assert.deepEqual(missing, []);
  });

  for (const file of ["files/prometheus-rules.yaml", "dashboards/targetvpc.json"])
    it(`${file} asks only for metrics that there are`, async () => {
      const metrics = await metricsIn(file);
      assert.ok(metrics.length > 5, "found too few metrics");
      assert.deepEqual(
        metrics.filter((name) => !scraped.has(name)),
        [],
      );
    });

  it("has a dashboard whose panels have ids and places of their own", async () => {
    const text = await readFile(path.join(chart, "dashboards/targetvpc.json"), "utf8");
    const { panels } = JSON.parse(text) as {
      panels: { id: number; gridPos: { x: number; y: number; w: number; h: number } }[];
    };
    assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
    const taken = new Set<string>();
    for (const { id, gridPos } of panels)
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1)
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
          assert.ok(x < 24 && !taken.has(`${x},${y}`), `panel ${id} at ${x},${y}`);
          taken.add(`${x},${y}`);
        }
  });
});
