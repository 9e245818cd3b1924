import { Gauge, Registry } from "prom-client";

/** A sample of one of the agent's own metrics. */
export interface OwnSample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** One of the agent's own metrics, read when it is scraped. */
export interface OwnMetric {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
  read(): readonly OwnSample[] | Promise<readonly OwnSample[]>;
}

/** What the process itself costs, under the names every Prometheus client uses. */
export function processMetrics(startedAtMs: number): readonly OwnMetric[] {
  const one = (value: number): readonly OwnSample[] => [{ labels: {}, value }];
  return [
    {
      name: "process_cpu_seconds_total",
      help: "User and system CPU time of the agent",
      labels: [],
      read: () => {
        const { user, system } = process.cpuUsage();
        return one((user + system) / 1e6);
      },
    },
    {
      name: "process_resident_memory_bytes",
      help: "Resident memory of the agent",
      labels: [],
      read: () => one(process.memoryUsage.rss()),
    },
    {
      name: "process_start_time_seconds",
      help: "When the agent started, Unix time",
      labels: [],
      read: () => one(startedAtMs / 1_000),
    },
  ];
}

/** The registry's text says `gauge` of everything it only reads; a name that ends in `_total` is a counter. */
function withCounters(text: string): string {
  return text.replaceAll(/^# TYPE (\S+_total) gauge$/gm, "# TYPE $1 counter");
}

/** The agent's own metrics in a registry of their own; `render` reads all of them. */
export function createOwnMetrics(metrics: readonly OwnMetric[]): { render(): Promise<string> } {
  const registry = new Registry();
  for (const metric of metrics) {
    const gauge: Gauge = new Gauge({
      name: metric.name,
      help: metric.help,
      labelNames: metric.labels,
      registers: [registry],
      collect: async () => {
        const samples = await metric.read();
        gauge.reset();
        for (const { labels, value } of samples) gauge.set(labels, value);
      },
    });
  }
  return { render: async () => withCounters(await registry.metrics()) };
}
