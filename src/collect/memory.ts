import { noLabels } from "../core/series.ts";
import { defineCollector, type Family } from "./contract.ts";
import { type MemInfo, parseMemInfo } from "./proc/meminfo.ts";

/** Bytes a new program could have; before Linux 3.14 estimated as what is free or easily freed. */
function availableBytes(info: MemInfo): number {
  const bytes = (name: string): number => info.get(name)?.value ?? 0;
  return info.get("MemAvailable")?.value ?? bytes("MemFree") + bytes("Buffers") + bytes("Cached");
}

/** Active(anon) → node_memory_Active_anon_bytes; what is not in kB has no unit in its name. */
function familyName(field: string, isBytes: boolean): string {
  return `node_memory_${field.replace(/\((.*)\)/, "_$1")}${isBytes ? "_bytes" : ""}`;
}

/** Memory that is not available to new programs. */
export const memory = defineCollector<MemInfo>({
  name: "memory",
  doc: "Memory by /proc/meminfo: what is not available to new programs",
  defaultOn: true,
  indexes: [
    {
      name: "memory",
      unit: "%",
      decimals: 1,
      labels: [],
      help: "Memory not available to new programs",
    },
  ],
  read: (host) => parseMemInfo(host.readProc("meminfo")),
  readings: (info) => {
    const totalBytes = info.get("MemTotal")?.value ?? Number.NaN;
    const value = 100 * (1 - availableBytes(info) / totalBytes);
    return [{ index: "memory", labels: noLabels, value }];
  },
  families: (info): readonly Family[] =>
    [...info].map(([field, { value, isBytes }]) => ({
      name: familyName(field, isBytes),
      help: `${field} of /proc/meminfo.`,
      type: "gauge",
      samples: [{ labels: noLabels, value }],
    })),
});
