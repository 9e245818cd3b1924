import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { collectors } from "../../src/collect/index.ts";
import { laneOf } from "../../src/collect/mounts.ts";
import { createCollection } from "../../src/collect/runner.ts";
import { seriesKey } from "../../src/core/series.ts";
import { ManualClock } from "../support/clock.ts";
import { createTestLog, fixturePath, recordedHost, recordedHosts } from "./support.ts";

/** Everything a recorded host gives: its mounts, its row, its families; cpu needs a second look and has its own tests. */
async function everything(name: string): Promise<unknown> {
  const clock = new ManualClock();
  const host = recordedHost(name, clock);
  const collection = createCollection({ host, collectors, clock, log: createTestLog() });
  const filesystems = await host.filesystems();
  const { values } = await collection.collect(0);
  const families = await collection.families();
  return {
    mounts: filesystems.map(
      ({ mountPoint, type, device, readOnly, error }) =>
        `${mountPoint} ${type} ${device} ${readOnly ? "ro" : "rw"} ${laneOf(type)}${error === null ? "" : ` ${error}`}`,
    ),
    values: Object.fromEntries(values),
    families: families.map(({ name, type, help, samples }) => ({
      name,
      type,
      help,
      samples: Object.fromEntries(
        samples.map(({ labels, value }) => [seriesKey("", labels), value]),
      ),
    })),
  };
}

describe("recorded hosts", () => {
  for (const name of recordedHosts)
    it(`gives the mounts, values and families of ${name}`, async () => {
      const file = path.join(fixturePath(name), "expected.json");
      const actual = await everything(name);
      // After a wanted change: UPDATE_GOLDEN=1 npx mocha test/collect/golden.test.ts, and look at the difference.
      if (process.env["UPDATE_GOLDEN"] === "1")
        await writeFile(file, `${JSON.stringify(actual, undefined, 1)}\n`);
      assert.deepEqual(actual, JSON.parse(await readFile(file, "utf8")));
    });
});
