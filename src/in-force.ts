import type { NodeIdentity } from "./core/node.ts";
import type { Clock, ComponentStatus, Log } from "./core/ports.ts";
import { createStatus, type StatusKeeper } from "./base/status.ts";
import { revisionOf } from "./base/text.ts";
import type { Collection } from "./collect/runner.ts";
import { createBook, type Book, type Policy } from "./rules/book.ts";
import { doubts } from "./doubts.ts";
import { effectiveConfig } from "./effective.ts";
import { runtimeOf, type Runtime } from "./runtime.ts";
import type { Settings } from "./settings.ts";

export interface InForceDeps {
  readonly settings: Settings;
  readonly node: NodeIdentity;
  readonly collection: Collection;
  readonly clock: Clock;
  readonly log: Log;
}

/** What is in force: the policy merged from all sources, and the settings that follow from it. */
export class InForce {
  readonly book: Book;
  readonly #deps: InForceDeps;
  readonly #warned = new Set<string>();
  readonly #file: StatusKeeper;
  #settings: Settings;
  #runtime: Runtime;
  #listener: (policy: Policy) => void = () => {};
  #awaited: () => boolean = () => true;

  constructor(deps: InForceDeps) {
    const { config } = deps.settings;
    this.#deps = deps;
    this.#settings = deps.settings;
    this.#file = createStatus(deps.clock, "ok");
    this.book = createBook(config.alerts.precedence, (policy) => this.#apply(policy));
    this.#runtime = runtimeOf(config, this.book.policy);
  }

  get runtime(): Runtime {
    return this.#runtime;
  }

  /** Whether the file as it is now is what is in force, and else why not. */
  get file(): ComponentStatus {
    return this.#file.current;
  }

  /** Tells every change of the policy. */
  onChange(listener: (policy: Policy) => void): void {
    this.#listener = listener;
  }

  /** Waits for one more source: it says whether it has spoken. */
  awaits(spoken: () => boolean): void {
    this.#awaited = spoken;
  }

  /** Whether every source that may have rules has spoken. */
  get complete(): boolean {
    if (!this.#awaited()) return false;
    return this.#settings.config.admin.base_url === null || this.book.sources().has("admin");
  }

  /** Puts in force what the file says; of other settings than before, only what may change at run time. */
  takeFile(settings = this.#settings): void {
    this.#settings = settings;
    this.#file.set("ok");
    const { document } = settings;
    this.book.set("file", { document, revision: revisionOf(JSON.stringify(document)) });
  }

  /** The file as it is now is of no use (null: it is, and says nothing new); what is in force stays. */
  judgeFile(reason: string | null): void {
    this.#file.set(reason === null ? "ok" : "degraded", reason);
  }

  /** All of it as people may see it, secrets masked. */
  shown(): Readonly<Record<string, unknown>> {
    return effectiveConfig({
      config: this.#settings.config,
      policy: this.book.policy,
      runtime: this.#runtime,
      node: this.#deps.node,
    });
  }

  #apply(policy: Policy): void {
    this.#runtime = runtimeOf(this.#settings.config, policy);
    this.#deps.collection.configure(this.#runtime.collectors);
    for (const what of doubts(policy, this.#deps.collection.definitions())) {
      if (this.#warned.has(what)) continue;
      this.#warned.add(what);
      this.#deps.log.warn("doubtful configuration", { what });
    }
    this.#listener(policy);
  }
}
