import type { AlertSubject, Transition } from "../core/alert.ts";
import { errorText } from "../core/errors.ts";
import type { NodeFacts, NodeIdentity } from "../core/node.ts";
import type { Log, StatePort } from "../core/ports.ts";
import type { Rule } from "../core/rule.ts";
import { parseSelector, type IndexDefinition, type Row, type SeriesKey } from "../core/series.ts";
import { Unsaved } from "../base/saved.ts";
import { alertKey, RuleSet, seriesOf } from "./ruleset.ts";
import { okState, parseState, step, type StepInput, type StepState } from "./step.ts";

export interface EngineDeps {
  readonly node: NodeIdentity;
  readonly definitions: () => readonly IndexDefinition[];
  readonly port: StatePort;
  readonly log: Log;
}

/** Held time, peaks and the like are saved at most this often while nothing else changes. */
const saveEveryMs = 60_000;

interface Tracked {
  rule: Rule;
  readonly series: SeriesKey;
  state: StepState;
  savedAtMs: number;
}

function isQuiet(state: StepState): boolean {
  return state.phase === "ok";
}

/** What must survive a restart at once; the rest may wait for the next minute. */
function differs(a: StepState, b: StepState): boolean {
  const hasData = (state: StepState): boolean => state.noDataSinceMs === null;
  return a.phase !== b.phase || a.level !== b.level || hasData(a) !== hasData(b);
}

/** Judges every series of a tick under every rule, and remembers where each alert stands. */
export class Engine {
  readonly #deps: EngineDeps;
  readonly #unsaved: Unsaved;
  readonly #tracked = new Map<string, Tracked>();
  /** States no rule has taken up yet: of an earlier run, or of rules that wait for what is known of the node. */
  readonly #restored = new Map<string, StepState>();
  #list: readonly Rule[] = [];
  #facts: NodeFacts | null = null;
  #rules: RuleSet;
  #complete = false;
  #followed = true;

  constructor(deps: EngineDeps) {
    this.#deps = deps;
    this.#unsaved = new Unsaved(deps.port);
    this.#rules = new RuleSet([], deps.node, null);
  }

  /** Takes up the states of an earlier run that are not judged yet; what is unreadable is dropped with a warning. */
  async restore(): Promise<void> {
    for (const [key, text] of await this.#deps.port.load()) {
      try {
        const state = parseState(text);
        if (!this.#tracked.has(key)) this.#restored.set(key, state);
      } catch (cause) {
        this.#deps.log.warn("alert state unreadable", { alert: key, cause: errorText(cause) });
        this.#unsaved.set(key, null);
      }
    }
  }

  /**
   * The rules from now on. An alert whose rule is gone ends with the next row, but not before every source has
   * spoken (`complete`): an admin server that is slow to answer removes nothing.
   */
  setRules(rules: readonly Rule[], complete: boolean): void {
    this.#list = rules;
    this.#complete = complete;
    this.#choose();
  }

  /**
   * What is known of the node from now on; null: nothing yet. An alert whose rule is not for this node any more ends
   * with the next row. While nobody knows whether a rule is for this node, its alerts wait: they are neither judged
   * nor ended.
   */
  setFacts(facts: NodeFacts | null): void {
    this.#facts = facts;
    this.#choose();
  }

  #choose(): void {
    this.#rules = new RuleSet(this.#list, this.#deps.node, this.#facts);
    this.#followed = false;
  }

  /** One row: every transition it causes, ended alerts first. */
  judge(row: Row, intervalMs: number): readonly Transition[] {
    const found = this.#followRules(row.slotMs);
    this.#admit(row);
    for (const [key, entry] of this.#tracked) {
      const value = row.values.get(entry.series) ?? null;
      const transition = this.#judgeOne(key, entry, {
        value,
        nowMs: row.slotMs,
        maxGapMs: 2 * intervalMs,
      });
      if (transition !== null) found.push(transition);
      if (isQuiet(entry.state) && !row.values.has(entry.series)) this.#tracked.delete(key);
    }
    return found;
  }

  /** Saves what changed since the last call. Rejects when it cannot; the next call tries again. */
  async save(): Promise<void> {
    await this.#unsaved.save();
  }

  /** Whether every source has spoken, so that an alert without a rule has lost it for good. */
  get complete(): boolean {
    return this.#complete;
  }

  /** Whether an alert waits until it is known what rules are for this node. */
  awaits(key: string): boolean {
    return this.#rules.awaits(key);
  }

  /** Where every alert stands that is not simply ok. */
  states(): ReadonlyMap<string, StepState> {
    const loud = [...this.#tracked].filter(([, { state }]) => !isQuiet(state));
    return new Map(loud.map(([key, { state }]) => [key, state]));
  }

  #judgeOne(key: string, entry: Tracked, input: StepInput): Transition | null {
    const before = entry.state;
    const { state, transition } = step(before, entry.rule, input);
    this.#remember(key, entry, state);
    if (transition === null) return null;
    const value = state.lastValue ?? 0;
    const peak = state.peak ?? before.peak ?? value;
    return {
      ...transition,
      subject: this.#subject(key, entry),
      value,
      atMs: input.nowMs,
      peak,
      reason: null,
    };
  }

  #remember(key: string, entry: Tracked, next: StepState): void {
    const nowMs = next.lastAtMs ?? 0;
    const due = !isQuiet(next) && nowMs - entry.savedAtMs >= saveEveryMs;
    if (differs(entry.state, next) || due) {
      this.#unsaved.set(key, isQuiet(next) ? null : JSON.stringify(next));
      entry.savedAtMs = nowMs;
    }
    entry.state = next;
  }

  #subject(key: string, { rule, series }: Tracked): AlertSubject {
    const { index, labels } = parseSelector(series);
    return {
      key,
      rule: rule.name,
      index,
      unit: this.#deps.definitions().find(({ name }) => name === index)?.unit ?? "",
      labels: labels === "*" ? {} : labels,
      operator: rule.operator,
      message: rule.message,
      runbookUrl: rule.runbookUrl,
      channels: rule.channels,
      cooldownMs: rule.cooldownMs,
      node: this.#deps.node,
    };
  }

  /** Everything that is judged from now on: the row's own series, and alerts of an earlier run. */
  #admit(row: Row): void {
    for (const series of row.values.keys())
      for (const rule of this.#rules.rulesFor(series)) this.#track(rule, series, row.slotMs);
    for (const key of this.#restored.keys()) {
      const series = seriesOf(key);
      const rule = this.#rules.rulesFor(series).find(({ name }) => alertKey(name, series) === key);
      if (rule !== undefined) this.#track(rule, series, row.slotMs);
      else if (this.#complete && !this.#rules.awaits(key)) {
        this.#restored.delete(key);
        this.#unsaved.set(key, null);
      }
    }
  }

  #track(rule: Rule, series: SeriesKey, nowMs: number): void {
    const key = alertKey(rule.name, series);
    if (this.#tracked.has(key)) return;
    const state = this.#restored.get(key) ?? okState;
    // A state of an earlier run is as old as its save: an agent that restarts often must not lose time again and again.
    this.#tracked.set(key, { rule, series, state, savedAtMs: state.lastAtMs ?? nowMs });
    this.#restored.delete(key);
  }

  /** Follows changed rules; ends what has none any more. */
  #followRules(atMs: number): Transition[] {
    if (this.#followed) return [];
    const ended: Transition[] = [];
    for (const [key, entry] of this.#tracked) {
      const rule = this.#rules.rule(entry.rule.name, entry.series);
      if (rule !== undefined) entry.rule = rule;
      else if (this.#rules.awaits(key)) {
        this.#tracked.delete(key);
        if (!isQuiet(entry.state)) this.#restored.set(key, entry.state);
      } else if (this.#complete) {
        ended.push(...this.#end(key, entry, atMs));
        this.#tracked.delete(key);
        this.#unsaved.set(key, null);
      }
    }
    this.#followed = true;
    return ended;
  }

  #end(key: string, entry: Tracked, atMs: number): Transition[] {
    const { level, lastValue, peak } = entry.state;
    if (level === null || lastValue === null) return [];
    return [
      {
        kind: "resolved",
        subject: this.#subject(key, entry),
        level,
        threshold: entry.rule.thresholds[level] ?? 0,
        value: lastValue,
        atMs,
        peak: peak ?? lastValue,
        reason: "rule_removed",
      },
    ];
  }
}
