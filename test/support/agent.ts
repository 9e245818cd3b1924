import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { eventually } from "./clock.ts";

const entry = new URL("../../src/main.ts", import.meta.url).pathname;

export interface AgentOptions {
  /** Written to a file and given by --config; a string is written as it is. */
  readonly config?: unknown;
  /** Gives no --config and writes none: the agent looks at the default path, which `configFile` then names. */
  readonly unconfigured?: boolean;
  readonly env?: Readonly<Record<string, string>>;
  /** Command and options before `--config`; `serve` without them. */
  readonly args?: readonly string[];
  /** Kept over restarts; without it a directory of its own that `stop` removes. */
  readonly stateDir?: string;
  /** The program; the sources without it. */
  readonly program?: string;
}

/** The whole agent as a process of its own. */
export interface Agent {
  /** Where it listens, or listened last. */
  readonly url: string;
  /** Its config file. */
  readonly configFile: string;
  readonly pid: number;
  /** Everything it wrote. */
  output(): string;
  lines(): Record<string, unknown>[];
  get(
    path: string,
    headers?: Record<string, string>,
  ): Promise<{ status: number; text: string; json: unknown }>;
  post(path: string, body: unknown): Promise<{ status: number; json: unknown }>;
  /** Dies at once, as by `kill -9`. */
  kill(): Promise<void>;
  /** Ends as a supervisor ends it; the exit code. */
  stop(): Promise<number | null>;
}

async function spawnAgent(
  options: AgentOptions,
  dir: string,
): Promise<{ child: ChildProcess; output: () => string; file: string }> {
  const { unconfigured = false, config = {} } = options;
  const file = path.join(dir, unconfigured ? "config/default.json" : "config.json");
  if (!unconfigured)
    await writeFile(file, typeof config === "string" ? config : JSON.stringify(config));
  const args = [...(options.args ?? []), ...(unconfigured ? [] : ["--config", file])];
  const child = spawn(process.execPath, [options.program ?? entry, ...args], {
    cwd: dir,
    env: {
      PATH: process.env["PATH"],
      HOME: dir,
      SERVER_PORT: "0",
      SERVER_HOST: "127.0.0.1",
      STORAGE_DIR: options.stateDir ?? path.join(dir, "state"),
      ...(process.env["NODE_V8_COVERAGE"] === undefined
        ? {}
        : { NODE_V8_COVERAGE: process.env["NODE_V8_COVERAGE"] }),
      ...options.env,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  child.stdout?.on("data", (chunk: Buffer) => (output += chunk.toString()));
  child.stderr?.on("data", (chunk: Buffer) => (output += chunk.toString()));
  return { child, output: () => output, file };
}

function parseLines(output: string): Record<string, unknown>[] {
  return output
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

async function ended(child: ChildProcess): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  return child.exitCode;
}

/** Runs the agent until it ends by itself. */
export async function runAgent(
  options: AgentOptions,
): Promise<{ code: number | null; output: string }> {
  const dir = await mkdtemp(path.join(tmpdir(), "targetvpc-agent-"));
  try {
    const { child, output } = await spawnAgent(options, dir);
    return { code: await ended(child), output: output() };
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** Starts the agent and waits until it says where it listens. */
export async function startAgent(options: AgentOptions = {}): Promise<Agent> {
  const dir = await mkdtemp(path.join(tmpdir(), "targetvpc-agent-"));
  const { child, output, file } = await spawnAgent(options, dir);
  const listening = (): Record<string, unknown> | undefined =>
    parseLines(output()).findLast(({ event }) => event === "listening");
  await eventually("the agent listens", () => {
    if (child.exitCode !== null)
      throw new Error(`the agent ended with ${child.exitCode}: ${output()}`);
    return listening() !== undefined;
  });
  const url = (): string => String(listening()?.["url"]);
  const clean = (): Promise<void> => rm(dir, { recursive: true, force: true });
  return {
    get url() {
      return url();
    },
    configFile: file,
    pid: child.pid ?? 0,
    output,
    lines: () => parseLines(output()),
    get: async (at, headers = {}) => {
      const reply = await fetch(url() + at, { headers });
      const text = await reply.text();
      const isJson = reply.headers.get("content-type")?.includes("json") === true;
      return {
        status: reply.status,
        text,
        json: isJson ? (JSON.parse(text) as unknown) : undefined,
      };
    },
    post: async (at, body) => {
      const reply = await fetch(url() + at, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(body),
      });
      return { status: reply.status, json: await reply.json() };
    },
    kill: async () => {
      child.kill("SIGKILL");
      await ended(child);
      await clean();
    },
    stop: async () => {
      child.kill("SIGTERM");
      const code = await ended(child);
      await clean();
      return code;
    },
  };
}
