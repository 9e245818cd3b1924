import assert from "node:assert/strict";
import { AgentError } from "../src/core/errors.ts";
import { readUse } from "../src/use.ts";

function refusal(args: readonly string[]): string {
  try {
    readUse(args, {});
  } catch (cause) {
    assert.ok(cause instanceof AgentError && cause.code === "INPUT_INVALID", String(cause));
    return [cause.message, ...cause.faults.map((fault) => `${fault.path}: ${fault.message}`)].join(
      "\n",
    );
  }
  return assert.fail(`taken: ${args.join(" ")}`);
}

describe("the command line", () => {
  it("serves without a command, by the file of the environment unless another is named", () => {
    assert.deepEqual(readUse([], { TARGETVPC_CONFIG: "/a" }), {
      command: "serve",
      operand: null,
      config: "/a",
      options: new Map(),
    });
    assert.equal(readUse(["--config", "/b", "doctor"], { TARGETVPC_CONFIG: "/a" }).config, "/b");
    assert.equal(readUse(["check-config", "file"], {}).operand, "file");
  });

  it("takes options before and after the command, repeated, and with values that begin with a dash", () => {
    const { command, options } = readUse(
      ["--node=a", "query", "--start", "-1h", "--node", "b,c"],
      {},
    );
    assert.equal(command, "query");
    assert.deepEqual(Object.fromEntries(options), { node: ["a", "b,c"], start: ["-1h"] });
  });

  it("names every option that is wrong, and the one that was meant", () => {
    const cases: [args: string[], text: RegExp][] = [
      [["query", "--lst", "1h", "--nod=a"], /--lst: .*"--last"\?\n--nod: .*"--node"\?$/],
      [["query", "--step"], /--step: needs a value/],
      [["query", "--last", "--step", "5m"], /--last: needs a value/],
      [["query", "--last="], /--last: must not be empty/],
      [["query", "--last", "1h", "--last", "2h"], /--last: given more than once/],
      [["doctor", "--json=yes"], /--json: takes no value/],
      [["doctor", "-x"], /-x: unknown option; known here: --config/],
      [["query", "--json"], /--json: is for doctor only/],
      [["serve", "--node", "a", "--send"], /--node: is for query only\n--send: is for doctor only/],
      [["query", "cpu"], /too many arguments: cpu/],
      [["check-config"], /FILE is missing/],
      [["qurey"], /did you mean "query"/],
    ];
    for (const [args, text] of cases) {
      assert.match(refusal(args), text);
      assert.match(refusal(args), /targetvpc --help/);
    }
  });
});
