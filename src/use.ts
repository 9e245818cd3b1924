import { AgentError, type Fault } from "./core/errors.ts";
import { readOptions, type CommandLine, type OptionSpec } from "./base/options.ts";
import { nearest } from "./base/text.ts";
import { queryOptions } from "./query/options.ts";

type Env = Readonly<Record<string, string | undefined>>;

/** What `--help` prints. */
export const usage = `Usage: targetvpc [command] [options]

Commands:
  serve               run the agent (the default)
  check-config FILE   check a config file with the environment, and print what would be in force
  test-channel NAME   send a test message through a channel of the config file
  doctor              say what of the agent's surroundings works, what the rest costs and how to mend it
  query               ask the running agent for series of any node: targetvpc query --help

Options:
  --config FILE       config file (JSON with comments, or YAML); also TARGETVPC_CONFIG; default config/default.json
  --dry-run           test-channel: print what would be sent of an alert and of its end; nothing is sent
  --json              doctor: print a list instead of lines
  --send              doctor: send a test message through every channel
  --version           print the version
  --help              print this text

Exit codes: 0 ok, 1 failed, 2 wrong use or configuration.
`;

const commands = ["serve", "check-config", "test-channel", "doctor", "query"] as const;
export type Command = (typeof commands)[number];

/** Options that every command takes. */
const common = {
  config: { kind: "value" },
  help: { kind: "flag", short: "h" },
  version: { kind: "flag", short: "V" },
} as const satisfies Readonly<Record<string, OptionSpec>>;

/** Options that one command takes. */
const special: Readonly<Partial<Record<Command, Readonly<Record<string, OptionSpec>>>>> = {
  "test-channel": { "dry-run": { kind: "flag" } },
  doctor: { json: { kind: "flag" }, send: { kind: "flag" } },
  query: queryOptions,
};

const operandNames: Readonly<Partial<Record<Command, string>>> = {
  "check-config": "FILE",
  "test-channel": "NAME",
};

/** A command line that was understood. */
export interface Use {
  readonly command: Command;
  readonly operand: string | null;
  /** The config file; null: the default. */
  readonly config: string | null;
  readonly options: CommandLine["options"];
}

/** A wrong use: what is wrong, and where the right use is told. */
export function misuse(text: string, faults: readonly Fault[] = []): AgentError {
  const hint = "try: targetvpc --help";
  if (faults.length > 0) return new AgentError("INPUT_INVALID", `${text}; ${hint}`, { faults });
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

function readOperand(command: Command, operands: readonly string[]): string | null {
  const wanted = operandNames[command];
  const [operand = null, ...more] = operands;
  if (more.length > 0 || (wanted === undefined && operand !== null))
    throw misuse(`too many arguments: ${operands.join(" ")}`);
  if (wanted !== undefined && operand === null) throw misuse(`${command}: ${wanted} is missing`);
  return operand;
}

/** Options that are another command's. */
function foreignOptions(command: Command, { options }: CommandLine): Fault[] {
  const own = { ...common, ...special[command] };
  return [...options.keys()].flatMap((name) => {
    if (Object.hasOwn(own, name)) return [];
    const whose = commands.filter((other) => Object.hasOwn(special[other] ?? {}, name));
    return [{ path: `--${name}`, message: `is for ${whose.join(" and ")} only` }];
  });
}

/** Reads the command line. Throws INPUT_INVALID, naming every option that is wrong. */
export function readUse(args: readonly string[], env: Env): Use {
  const everything = Object.assign({}, common, ...Object.values(special)) as typeof common; // proof: only more of the same
  const line = readOptions(args, everything);
  if (!line.ok) throw misuse("wrong options", line.faults);
  const [word = "serve", ...operands] = line.value.words;
  const command = readCommand(word);
  const { options } = line.value;
  const config = options.get("config")?.[0] ?? env["TARGETVPC_CONFIG"] ?? null;
  if (options.has("help") || options.has("version"))
    return { command, operand: null, config, options };
  const foreign = foreignOptions(command, line.value);
  if (foreign.length > 0) throw misuse("wrong options", foreign);
  return { command, operand: readOperand(command, operands), config, options };
}
