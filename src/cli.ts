import os from "node:os";
import { parseArgs } from "node:util";
import { AgentError, errorText } from "./core/errors.ts";
import type { Log } from "./core/ports.ts";
import { createSystemLanes } from "./collect/host.ts";
import type { StatfsLanes } from "./collect/statfs.ts";
import { systemClock } from "./base/clock.ts";
import { exitNow } from "./base/exit.ts";
import { createLog } from "./base/log.ts";
import { createRedactor, type Redactor } from "./base/secret.ts";
import { nearest } from "./base/text.ts";
import { stateDirectory } from "./config/state-dir.ts";
import { App } from "./app.ts";
import { loadSettings, tryLoadSettings, type Settings } from "./settings.ts";
import { Supervisor } from "./supervise.ts";
import { version } from "./version.ts";

type Env = Readonly<Record<string, string | undefined>>;

const usage = `Usage: targetvpc [command] [options]

Commands:
  serve               run the agent (the default)
  check-config FILE   check a config file with the environment, and print what would be in force
  test-channel NAME   send a test message through a channel of the config file
  doctor              say what of the agent's surroundings works, what the rest costs and how to mend it

Options:
  --config FILE       config file (JSON with comments, or YAML); also TARGETVPC_CONFIG; default config/default.json
  --json              doctor: print a list instead of lines
  --send              doctor: send a test message through every channel
  --version           print the version
  --help              print this text

Exit codes: 0 ok, 1 failed, 2 wrong use or configuration.
`;

const failed = 1;
const wrongUse = 2;
/** What was started is stopped within two seconds; who still waits then is not waited for. */
const stopDeadlineMs = 5_000;
/** Node's default of four threads is shared by DNS, files, compression and sizes of filesystems, of which four may hang. */
const threadPoolSize = "8";

const commands = ["serve", "check-config", "test-channel", "doctor"] as const;
type Command = (typeof commands)[number];

interface Use {
  readonly command: Command;
  readonly operand: string | null;
  readonly config: string | null;
  readonly json: boolean;
  readonly send: boolean;
}

function print(text: string): void {
  process.stdout.write(text);
}

function complain(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** A wrong use: what is wrong, and where the right use is told. */
function misuse(text: string): AgentError {
  return new AgentError("INPUT_INVALID", `${text}\nTry: targetvpc --help`);
}

function readCommand(word: string): Command {
  const command = commands.find((one) => one === word);
  if (command !== undefined) return command;
  const meant = nearest(word, commands);
  throw misuse(
    `unknown command "${word}"${meant === undefined ? "" : `; did you mean "${meant}"?`}`,
  );
}

/** Answers `--help` and `--version`; says whether there was anything to answer. */
function answered({
  help,
  version: asked,
}: {
  help?: boolean | undefined;
  version?: boolean | undefined;
}): boolean {
  if (help === true) print(usage);
  else if (asked === true) print(`${version}\n`);
  return help === true || asked === true;
}

const operandNames: Readonly<Partial<Record<Command, string>>> = {
  "check-config": "FILE",
  "test-channel": "NAME",
};

function readOperand(command: Command, operands: readonly string[]): string | null {
  const wanted = operandNames[command];
  const [operand = null, ...more] = operands;
  if (more.length > 0 || (wanted === undefined && operand !== null))
    throw misuse(`too many arguments: ${operands.join(" ")}`);
  if (wanted !== undefined && operand === null) throw misuse(`${command}: ${wanted} is missing`);
  return operand;
}

/** Reads the command line; null when it only asked for help or the version, which is printed. */
function readUse(args: readonly string[], env: Env): Use | null {
  const { values, positionals } = parse(args);
  if (answered(values)) return null;
  const [word = "serve", ...operands] = positionals;
  const command = readCommand(word);
  const config = values.config ?? env["TARGETVPC_CONFIG"] ?? null;
  const { json = false, send = false } = values;
  if (command !== "doctor" && (json || send)) throw misuse("--json and --send are for doctor only");
  return { command, operand: readOperand(command, operands), config, json, send };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        config: { type: "string" },
        json: { type: "boolean" },
        send: { type: "boolean" },
        help: { type: "boolean", short: "h" },
        version: { type: "boolean", short: "V" },
      },
    });
  } catch (cause) {
    throw misuse(errorText(cause));
  }
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

async function testChannel(settings: Settings, env: Env, name: string): Promise<number> {
  const { app } = createApp(settings, env);
  const outcome = await app.testChannel(name);
  if (outcome === null) throw misuse(`no channel "${name}" in the config file`);
  print(`${JSON.stringify(outcome)}\n`);
  return outcome.outcome === "sent" ? 0 : failed;
}

/** Loaded only now: the agent itself has no use for it. */
async function doctor(settings: Settings, { json, send }: Use, env: Env): Promise<never> {
  const { diagnose } = await import("./doctor/command.ts");
  const colour = process.stdout.isTTY;
  const stateDir = stateDirectory(settings.config.storage.dir, env, os.homedir());
  const deps = { settings, clock: systemClock, stateDir, json, send, colour };
  const { text, fine, stuckCalls } = await diagnose(deps);
  print(text);
  return exitNow(fine ? 0 : failed, stuckCalls);
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
      return exitNow(
        await testChannel(await loadSettings(use.config, env), env, use.operand ?? ""),
        0,
      );
    case "doctor":
      return doctor(await loadSettings(use.config, env), use, env);
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
    if (use !== null) await run(use, env);
  } catch (cause) {
    exitNow(explain(cause), 0);
  }
}
