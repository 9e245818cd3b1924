import { noLabels } from "../core/series.ts";
import { defineCollector } from "./contract.ts";
import { type MemInfo, parseMemInfo } from "./proc/meminfo.ts";

/** Swap in use; a host without swap has no such series. Its families are the memory collector's. */
export const swap = defineCollector<MemInfo>({
  name: "swap",
  doc: "Swap in use by /proc/meminfo; nothing on a host without swap",
  defaultOn: true,
  indexes: [{ name: "swap", unit: "%", decimals: 1, labels: [], help: "Swap in use" }],
  read: (host) => parseMemInfo(host.readProc("meminfo")),
  readings: (info) => {
    const totalBytes = info.get("SwapTotal")?.value ?? 0;
    if (totalBytes === 0) return [];
    const freeBytes = info.get("SwapFree")?.value;
    const value = freeBytes === undefined ? null : 100 * (1 - freeBytes / totalBytes);
    return [{ index: "swap", labels: noLabels, value }];
  },
  families: () => [],
});
