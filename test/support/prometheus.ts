import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { eventually } from "./clock.ts";
import { freePort } from "./redis.ts";

const run = promisify(execFile);

/** What a Prometheus is started with besides samples. */
export interface PrometheusOptions {
  /** Its configuration; one that collects nothing without it. */
  readonly config?: string;
  /** The rules that the configuration may name as `rules.yml`. */
  readonly rules?: string;
}

/** A real Prometheus that has some samples and collects none. */
export interface TestPrometheus {
  /** Until version 3 windows and the lookback had their beginning in them. */
  readonly closedWindows: boolean;
  ask(path: string, params: URLSearchParams): Promise<{ status: number; json: unknown }>;
  stop(): Promise<void>;
}

async function started(
  program: string,
  dir: string,
  { port, config, rules }: { port: number; config: string; rules: string },
): Promise<ChildProcess> {
  const { stdout, stderr } = await run(program, ["--version"]);
  const closed = / version 2\./.test(stdout + stderr);
  await writeFile(path.join(dir, "prometheus.yml"), config);
  await writeFile(path.join(dir, "rules.yml"), rules);
  return spawn(
    program,
    [
      `--config.file=${dir}/prometheus.yml`,
      `--storage.tsdb.path=${dir}/data`,
      "--storage.tsdb.retention.time=10y",
      `--web.listen-address=127.0.0.1:${port}`,
      // A minute unless it is set, in which a test would wait.
      "--rules.alert.resend-delay=1s",
      // A millisecond less leaves out what is five minutes old.
      ...(closed ? ["--query.lookback-delta=299999ms"] : []),
    ],
    { stdio: "ignore" },
  );
}

/** Starts a Prometheus over samples in OpenMetrics, if any; `program` is its path, promtool has to be beside it. */
export async function startPrometheus(
  program: string,
  openMetrics: string | null,
  { config = "scrape_configs: []\n", rules = "groups: []\n" }: PrometheusOptions = {},
): Promise<TestPrometheus> {
  const dir = await mkdtemp(path.join(tmpdir(), "targetvpc-prometheus-"));
  const file = path.join(dir, "samples.txt");
  if (openMetrics !== null) {
    await writeFile(file, openMetrics);
    const promtool = path.join(path.dirname(program), "promtool");
    await run(promtool, ["tsdb", "create-blocks-from", "openmetrics", file, `${dir}/data`]);
  }
  const port = await freePort();
  const child = await started(program, dir, { port, config, rules });
  const url = `http://127.0.0.1:${port}`;
  await eventually("prometheus is ready", () =>
    fetch(`${url}/-/ready`).then(
      ({ status }) => status === 200,
      () => false,
    ),
  );
  const { stdout, stderr } = await run(program, ["--version"]);
  return {
    closedWindows: / version 2\./.test(stdout + stderr),
    ask: async (asked, params) => {
      const reply = await fetch(`${url}${asked}`, { method: "POST", body: params });
      return { status: reply.status, json: await reply.json() };
    },
    stop: async () => {
      const exited = once(child, "exit");
      child.kill("SIGKILL");
      await exited;
      await rm(dir, { recursive: true, force: true });
    },
  };
}
