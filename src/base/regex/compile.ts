import { AgentError } from "../../core/errors.ts";
import type { CharClass } from "./char-class.ts";
import { type Assertion, parseRegex, type RegexNode } from "./parse.ts";

/** One step of a machine that reads a text; each goes on with the next unless it says otherwise. */
export type Step =
  | { readonly do: "take"; readonly chars: CharClass }
  | { readonly do: "assert"; readonly what: Assertion }
  /** Goes on at both places. */
  | { readonly do: "split"; first: number; second: number }
  | { readonly do: "jump"; to: number }
  | { readonly do: "accept" };

/** A thousand node names as alternatives are some 25,000 steps. */
const maxSteps = 60_000;

function tooBig(): AgentError {
  return new AgentError("INPUT_INVALID", "invalid regular expression: too big");
}

/** How many steps a tree becomes, before any is made: counted repetitions multiply. */
function sizeOf(node: RegexNode): number {
  switch (node.kind) {
    case "class":
    case "assert":
      return 1;
    case "sequence":
      return node.parts.reduce((sum, part) => sum + sizeOf(part), 0);
    case "choice":
      return node.options.reduce((sum, option) => sum + sizeOf(option) + 2, 0);
    case "repeat": {
      const { part, least, most } = node;
      const once = sizeOf(part) + 2;
      return once * (most === Number.POSITIVE_INFINITY ? least + 1 : Math.max(most, 1));
    }
  }
}

/** Writes the steps of a tree, one part after the other. */
class Compiler {
  readonly steps: Step[] = [];

  add(node: RegexNode): void {
    switch (node.kind) {
      case "class":
        this.steps.push({ do: "take", chars: node.chars });
        return;
      case "assert":
        this.steps.push({ do: "assert", what: node.what });
        return;
      case "sequence":
        for (const part of node.parts) this.add(part);
        return;
      case "choice":
        this.#choice(node.options);
        return;
      case "repeat":
        this.#repeat(node.part, node.least, node.most);
    }
  }

  #split(): { readonly do: "split"; first: number; second: number } {
    const split = { do: "split" as const, first: this.steps.length + 1, second: 0 };
    this.steps.push(split);
    return split;
  }

  #choice(options: readonly RegexNode[]): void {
    const ends: { readonly do: "jump"; to: number }[] = [];
    for (const [at, option] of options.entries()) {
      const split = at < options.length - 1 ? this.#split() : null;
      this.add(option);
      if (split === null) break;
      const end = { do: "jump" as const, to: 0 };
      this.steps.push(end);
      ends.push(end);
      split.second = this.steps.length;
    }
    for (const end of ends) end.to = this.steps.length;
  }

  #repeat(part: RegexNode, least: number, most: number): void {
    for (let time = 0; time < least; time++) this.add(part);
    if (most === Number.POSITIVE_INFINITY) {
      const begin = this.steps.length;
      const split = this.#split();
      this.add(part);
      this.steps.push({ do: "jump", to: begin });
      split.second = this.steps.length;
      return;
    }
    const splits = Array.from({ length: most - least }, () => {
      const split = this.#split();
      this.add(part);
      return split;
    });
    for (const split of splits) split.second = this.steps.length;
  }
}

/** The steps of a pattern, the last of which accepts. Throws INPUT_INVALID. */
export function compile(pattern: string): readonly Step[] {
  const tree = parseRegex(pattern);
  if (sizeOf(tree) > maxSteps) throw tooBig();
  const compiler = new Compiler();
  compiler.add(tree);
  return [...compiler.steps, { do: "accept" }];
}
