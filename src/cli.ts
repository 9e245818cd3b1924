import os from "node:os";
import { setFlagsFromString } from "node:v8";
import { AgentError, codeOf, errorText } from "./core/errors.ts";
import type { Log } from "./core/ports.ts";
import { createSystemLanes } from "./collect/host.ts";
import type { StatfsLanes } from "./collect/statfs.ts";
import { systemClock } from "./base/clock.ts";
import { exitNow } from "./base/exit.ts";
import { createLog } from "./base/log.ts";
import { createRedactor, type Redactor } from "./base/secret.ts";
import { stateDirectory } from "./config/state-dir.ts";
import { App } from "./app.ts";
import { loadSettings, tryLoadSettings, type Settings } from "./settings.ts";
import { Supervisor } from "./supervise.ts";
import { misuse, readUse, usage, type Use } from "./use.ts";
import { version } from "./version.ts";

type Env = Readonly<Record<string, string | undefined>>;

const failed = 1;
const wrongUse = 2;
/** What was started is stopped within two seconds; who still waits then is not waited for. */
const stopDeadlineMs = 5_000;
/** Node's default of four threads is shared by DNS, files, compression and sizes of filesystems, of which four may hang. */
const threadPoolSize = "8";
/** Of a terminal since the VT100. */
const usualColumns = 80;

function print(text: string): void {
  process.stdout.write(text);
}

function complain(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** Answers `--help` and `--version`; says whether there was anything to answer. */
async function answered({ command, options }: Use): Promise<boolean> {
  if (options.has("help"))
    print(command === "query" ? (await import("./query/help.ts")).help : usage);
  else if (options.has("version")) print(`${version}\n`);
  else return false;
  return true;
}

function createAgentLog(settings: Settings, redactor: Redactor): Log {
  const { level, format } = settings.config.log;
  return createLog({
    level,
    format: format ?? (process.stdout.isTTY ? "text" : "json"),
    clock: systemClock,
    redactor,
    write: (line) => print(`${line}\n`),
  });
}

function createApp(
  settings: Settings,
  env: Env,
  lanes: StatfsLanes = createSystemLanes(systemClock),
): { app: App; log: Log } {
  const redactor = createRedactor();
  const log = createAgentLog(settings, redactor);
  const stateDir = stateDirectory(settings.config.storage.dir, env, os.homedir());
  const app = new App({
    settings,
    clock: systemClock,
    log,
    redactor,
    random: Math.random,
    stateDir,
    lanes,
  });
  return { app, log };
}

/** Runs the agent for good; signals and what hangs are the process's, whichever agent runs in it. */
async function serve(config: string | null, env: Env): Promise<void> {
  const lanes = createSystemLanes(systemClock);
  const supervisor = new Supervisor(await loadSettings(config, env), {
    clock: systemClock,
    load: () => tryLoadSettings(config, env),
    create: (settings) => createApp(settings, env, lanes),
    onLost: (cause) => exitNow(explain(cause), lanes.stuckCalls()),
  });
  let stopping = false;
  const stop = (why: string): void => {
    if (stopping) exitNow(failed, lanes.stuckCalls());
    stopping = true;
    const { log } = supervisor;
    log.info("stopping", { why });
    const late = systemClock
      .sleep(stopDeadlineMs)
      .then(() => log.warn("stopped without waiting any longer"));
    void Promise.race([supervisor.stop(), late])
      .catch((cause: unknown) => log.error("stop failed", { cause: errorText(cause) }))
      .finally(() => exitNow(0, lanes.stuckCalls()));
  };
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => stop(signal));
  process.on("SIGHUP", () => void supervisor.reload());
  process.on("uncaughtException", (cause) => {
    supervisor.log.error("crashed", { cause: cause.stack ?? errorText(cause) });
    exitNow(failed, lanes.stuckCalls());
  });
  await supervisor.start();
}

function noSuchChannel(name: string): AgentError {
  return misuse(`no channel "${name}" in the config file`);
}

/** Sends a test message, or shows what alerts would look like. */
async function testChannel(
  settings: Settings,
  env: Env,
  { operand, options }: Use,
): Promise<number> {
  const { app } = createApp(settings, env);
  const name = operand ?? "";
  if (options.has("dry-run")) {
    const preview = app.previewChannel(name);
    if (preview === null) throw noSuchChannel(name);
    print(`${preview}\n`);
    return 0;
  }
  const outcome = await app.testChannel(name);
  if (outcome === null) throw noSuchChannel(name);
  print(`${JSON.stringify(outcome)}\n`);
  return outcome.outcome === "sent" ? 0 : failed;
}

/** Loaded only now: the agent itself has no use for it. */
async function doctor(settings: Settings, { options }: Use, env: Env): Promise<never> {
  const { diagnose } = await import("./doctor/command.ts");
  const colour = process.stdout.isTTY;
  const stateDir = stateDirectory(settings.config.storage.dir, env, os.homedir());
  const [json, send] = [options.has("json"), options.has("send")];
  const deps = { settings, clock: systemClock, stateDir, json, send, colour };
  const { text, fine, stuckCalls } = await diagnose(deps);
  print(text);
  return exitNow(fine ? 0 : failed, stuckCalls);
}

/** Whoever reads the output may have had enough of it: that is no failure. */
function watchOutput(): void {
  process.stdout.on("error", (cause: Error) => {
    if (codeOf(cause) !== "EPIPE") complain(`targetvpc: cannot write: ${cause.message}`);
    exitNow(codeOf(cause) === "EPIPE" ? 0 : failed, 0);
  });
}

/**
 * Beside an agent in one container there is little room: garbage is collected early instead of a larger heap taken. A
 * week of three series takes 35 MB of its own instead of 68.
 */
function stayLean(): void {
  setFlagsFromString("--optimize-for-size");
  setFlagsFromString("--semi-space-growth-factor=1");
}

/** Loaded only now: the agent itself has no use for it. */
async function query({ options, config }: Use, env: Env): Promise<never> {
  const { readQuestion, runQuery } = await import("./query/command.ts");
  const question = readQuestion(options);
  const { server } = (await loadSettings(config, env)).config;
  stayLean();
  watchOutput();
  await runQuery(question, {
    server,
    clock: systemClock,
    // A terminal that does not tell its size (kubectl exec) says 0.
    columns: process.stdout.isTTY ? process.stdout.columns || usualColumns : null,
    write: (text) => new Promise((resolve) => process.stdout.write(text, () => resolve())),
  });
  return exitNow(0, 0);
}

async function run(use: Use, env: Env): Promise<void> {
  switch (use.command) {
    case "serve":
      await serve(use.config, env);
      return;
    case "check-config": {
      const settings = await loadSettings(use.operand, env);
      print(`${JSON.stringify(createApp(settings, env).app.effectiveConfig(), null, 2)}\n`);
      return exitNow(0, 0);
    }
    case "test-channel":
      return exitNow(await testChannel(await loadSettings(use.config, env), env, use), 0);
    case "doctor":
      return doctor(await loadSettings(use.config, env), use, env);
    case "query":
      return query(use, env);
  }
}

function explain(cause: unknown): number {
  if (!(cause instanceof AgentError)) {
    complain(
      `targetvpc: ${cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)}`,
    );
    return failed;
  }
  complain(`targetvpc: ${cause.message}`);
  for (const { path, message } of cause.faults)
    complain(`  ${path === "" ? "" : `${path}: `}${message}`);
  return cause.code === "CONFIG_INVALID" || cause.code === "INPUT_INVALID" ? wrongUse : failed;
}

/** Runs the command line; ends the process when the command is done or was wrong. */
export async function main(args: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  env["UV_THREADPOOL_SIZE"] ??= threadPoolSize;
  try {
    const use = readUse(args, env);
    if (!(await answered(use))) await run(use, env);
  } catch (cause) {
    exitNow(explain(cause), 0);
  }
}
