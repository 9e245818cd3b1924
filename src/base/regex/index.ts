import { AgentError } from "../../core/errors.ts";
import { isInClass, isWordChar } from "./char-class.ts";
import { compile, type Step } from "./compile.ts";
import type { Assertion } from "./parse.ts";

/** How much work all matching of one question may be. */
export interface RegexBudget {
  steps: number;
}

const lineBreak = 0x0a;

/** Whether a demanded place is here, between two characters; undefined is beyond an end. */
function holds(what: Assertion, before: number | undefined, after: number | undefined): boolean {
  switch (what) {
    case "text-start":
      return before === undefined;
    case "text-end":
      return after === undefined;
    case "line-start":
      return before === undefined || before === lineBreak;
    case "line-end":
      return after === undefined || after === lineBreak;
    case "word":
      return isWordChar(before) !== isWordChar(after);
    case "no-word":
      return isWordChar(before) === isWordChar(after);
  }
}

/** What a machine may be at after some characters: remembered, as texts have beginnings in common. */
interface State {
  /** Steps that take a character, and the last one when the text may end here. */
  readonly places: readonly number[];
  readonly accepts: boolean;
  /** By the character taken, and the one behind it where that matters. */
  readonly next: Map<number, State>;
}

/** Places and ways remembered of one expression, some MB; then it begins anew. */
const maxRemembered = 200_000;
/** More than there are code points. */
const charRadix = 0x110_001;

/** Reads texts with all ways through the steps at once. */
class Machine {
  readonly #steps: readonly Step[];
  readonly #budget: RegexBudget;
  /** The turn in which a step was visited last; each is visited once a character. */
  readonly #seen: Uint32Array;
  readonly #looksAround: boolean;
  readonly #states = new Map<string, State>();
  readonly #starts = new Map<number, State>();
  #remembered = 0;
  #turn = 0;

  constructor(steps: readonly Step[], budget: RegexBudget) {
    this.#steps = steps;
    this.#budget = budget;
    this.#seen = new Uint32Array(steps.length);
    this.#looksAround = steps.some((step) => step.do === "assert");
  }

  /** Before any character but the first. */
  start(first: number | undefined): State {
    const way = this.#looksAround ? (first ?? -1) : -1;
    const state = this.#starts.get(way) ?? this.#stateOf(this.#reach([0], undefined, first));
    this.#starts.set(way, state);
    return state;
  }

  after(state: State, char: number, behind: number | undefined): State {
    const way = char * charRadix + (this.#looksAround ? (behind ?? -1) + 1 : 0);
    const known = state.next.get(way);
    if (known !== undefined) return known;
    const taken: number[] = [];
    for (const place of state.places) {
      this.#spend();
      const step = this.#steps[place];
      if (step?.do === "take" && isInClass(step.chars, char)) taken.push(place + 1);
    }
    const next = this.#stateOf(this.#reach(taken, char, behind));
    state.next.set(way, next);
    this.#remembered++;
    return next;
  }

  #spend(): void {
    if (--this.#budget.steps < 0)
      throw new AgentError("LIMIT_EXCEEDED", "the regular expressions take too much work");
  }

  #stateOf(places: readonly number[]): State {
    const name = places.join(" ");
    const known = this.#states.get(name);
    if (known !== undefined) return known;
    if (this.#remembered > maxRemembered) {
      this.#states.clear();
      this.#starts.clear();
      this.#remembered = 0;
    }
    const accepts = places.includes(this.#steps.length - 1);
    const state: State = { places, accepts, next: new Map() };
    this.#states.set(name, state);
    this.#remembered += places.length + 1;
    return state;
  }

  /** From some places, without a character, to all that take one or accept. */
  #reach(
    from: readonly number[],
    before: number | undefined,
    after: number | undefined,
  ): readonly number[] {
    this.#turn++;
    const stack = [...from];
    const reached: number[] = [];
    for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
      if (this.#seen[at] === this.#turn) continue;
      this.#seen[at] = this.#turn;
      this.#spend();
      const step = this.#steps[at];
      if (step === undefined) continue;
      if (step.do === "take" || step.do === "accept") reached.push(at);
      else if (step.do === "jump") stack.push(step.to);
      else if (step.do === "split") stack.push(step.second, step.first);
      else if (holds(step.what, before, after)) stack.push(at + 1);
    }
    return reached.sort((a, b) => a - b);
  }
}

/**
 * A test whether a whole text matches a regular expression in RE2's syntax. It never backtracks: a text of n characters
 * and a pattern of m steps take at most n × m. Compiling throws INPUT_INVALID for a wrong pattern, a test throws
 * LIMIT_EXCEEDED when the budget, which may be shared, is used up.
 */
export function compileRegex(pattern: string, budget: RegexBudget): (text: string) => boolean {
  const machine = new Machine(compile(pattern), budget);
  return (text) => {
    const chars = Array.from(text, (char) => char.codePointAt(0) ?? 0);
    let state = machine.start(chars[0]);
    for (const [at, char] of chars.entries()) {
      if (state.places.length === 0) return false;
      state = machine.after(state, char, chars[at + 1]);
    }
    return state.accepts;
  };
}
