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

/** Observations of one label set: how many were no greater than each bound, how many there were, and their sum. */
export interface OwnBuckets {
  readonly labels: Readonly<Record<string, string>>;
  readonly counts: readonly number[];
  readonly count: number;
  readonly sum: number;
}

/** A histogram whose buckets are counted elsewhere, read when it is scraped. */
export interface OwnHistogram {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
  readonly bounds: readonly number[];
  buckets(): readonly OwnBuckets[];
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

function labelsText(labels: Readonly<Record<string, string>>): string {
  const escape = (value: string): string =>
    value.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"');
  return Object.entries(labels)
    .map(([name, value]) => `${name}="${escape(value)}"`)
    .join(",");
}

/** The client cannot be told what others counted: the text of a histogram is written here. */
function histogramText(histogram: OwnHistogram): string {
  const { name, help, bounds } = histogram;
  const lines = [`# HELP ${name} ${help}`, `# TYPE ${name} histogram`];
  for (const { labels, counts, count, sum } of histogram.buckets()) {
    const text = labelsText(labels);
    for (const [at, bound] of bounds.entries())
      lines.push(`${name}_bucket{${text},le="${bound}"} ${counts[at] ?? 0}`);
    lines.push(`${name}_bucket{${text},le="+Inf"} ${count}`);
    lines.push(`${name}_sum{${text}} ${sum}`, `${name}_count{${text}} ${count}`);
  }
  return `${lines.join("\n")}\n`;
}

/** The agent's own metrics in a registry of their own; `render` reads all of them. */
export function createOwnMetrics(
  metrics: readonly OwnMetric[],
  histograms: readonly OwnHistogram[] = [],
): { render(): Promise<string> } {
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
  return {
    render: async () => {
      const text = withCounters(await registry.metrics());
      return [text.trimEnd(), "\n", ...histograms.map((one) => histogramText(one))].join("");
    },
  };
}
