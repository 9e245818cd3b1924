import type { IndexDefinition } from "../../src/core/series.ts";

type SeriesSpec = readonly [name: string, decimals: number, unit: string];

/** The 50 series of a generated node, in the order of its rows. */
const specs = [
  ["cpu", 1, "%"],
  ["cpu_user", 1, "%"],
  ["cpu_system", 1, "%"],
  ["cpu_iowait", 1, "%"],
  ["cpu_irq", 1, "%"],
  ["cpu_softirq", 1, "%"],
  ["cpu_steal", 1, "%"],
  ["cpu_core0", 1, "%"],
  ["cpu_core1", 1, "%"],
  ["load1", 2, ""],
  ["load5", 2, ""],
  ["load15", 2, ""],
  ["memory", 1, "%"],
  ["memory_used", 0, "MiB"],
  ["memory_available", 0, "MiB"],
  ["memory_cached", 0, "MiB"],
  ["memory_buffers", 0, "MiB"],
  ["memory_dirty", 0, "MiB"],
  ["memory_slab", 0, "MiB"],
  ["memory_anonymous", 0, "MiB"],
  ["swap_used", 0, "MiB"],
  ["disk", 1, "%"],
  ["disk_used", 0, "MiB"],
  ["inodes", 1, "%"],
  ["disk_read", 0, "KiB/s"],
  ["disk_write", 0, "KiB/s"],
  ["disk_reads", 0, "1/s"],
  ["disk_writes", 0, "1/s"],
  ["disk_busy", 1, "%"],
  ["disk_await", 1, "ms"],
  ["net_receive", 0, "KiB/s"],
  ["net_transmit", 0, "KiB/s"],
  ["net_packets_in", 0, "1/s"],
  ["net_packets_out", 0, "1/s"],
  ["net_errors", 0, "1/s"],
  ["net_drops", 0, "1/s"],
  ["tcp_connections", 0, ""],
  ["tcp_time_wait", 0, ""],
  ["tcp_retransmits", 1, "1/s"],
  ["tcp_segments", 0, "1/s"],
  ["context_switches", 0, "1/s"],
  ["interrupts", 0, "1/s"],
  ["processes_running", 0, ""],
  ["processes_blocked", 0, ""],
  ["forks", 0, "1/s"],
  ["file_descriptors", 0, ""],
  ["pressure_cpu", 1, "%"],
  ["pressure_io", 1, "%"],
  ["net_received_total", 0, "B"],
  ["disk_written_total", 0, "B"],
] as const satisfies readonly SeriesSpec[];

/** How a series of a generated node is called. */
export type FleetName = (typeof specs)[number][0];

/** The series of a generated node as the store knows indexes. */
export const fleetSeries: readonly IndexDefinition[] = specs.map(([name, decimals, unit]) => ({
  name,
  decimals,
  unit,
  labels: [],
  help: "",
}));

/** The three series every node has. */
export const threeSeries: ReadonlySet<string> = new Set(["cpu", "memory", "disk"]);
