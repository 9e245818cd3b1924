import { type IndexDefinition, noLabels } from "../core/series.ts";
import { defineCollector, type Family } from "./contract.ts";
import { type LoadAverages, parseLoadAverages } from "./proc/loadavg.ts";

const periods = [
  ["load1", 1],
  ["load5", 5],
  ["load15", 15],
] as const;

function definition(name: string, minutes: number): IndexDefinition {
  const help = `Tasks running or waiting for CPU or disk, average of ${minutes} min`;
  return { name, unit: "", decimals: 2, labels: [], help };
}

/** Load averages. */
export const load = defineCollector<LoadAverages>({
  name: "load",
  doc: "Load averages by /proc/loadavg",
  defaultOn: true,
  indexes: periods.map(([name, minutes]) => definition(name, minutes)),
  read: (host) => parseLoadAverages(host.readProc("loadavg")),
  readings: (now) => periods.map(([index]) => ({ index, labels: noLabels, value: now[index] })),
  families: (now): readonly Family[] =>
    periods.map(([name, minutes]) => ({
      name: `node_${name}`,
      help: `Load average of ${minutes} min.`,
      type: "gauge",
      samples: [{ labels: noLabels, value: now[name] }],
    })),
});
