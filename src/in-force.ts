import { createHash } from "node:crypto";
import type { NodeIdentity } from "./core/node.ts";
import type { Log } from "./core/ports.ts";
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
  readonly log: Log;
}

/** What is in force: the policy merged from all sources, and the settings that follow from it. */
export class InForce {
  readonly book: Book;
  readonly #deps: InForceDeps;
  readonly #warned = new Set<string>();
  #runtime: Runtime;
  #listener: (policy: Policy) => void = () => {};
  #awaited: () => boolean = () => true;

  constructor(deps: InForceDeps) {
    const { config } = deps.settings;
    this.#deps = deps;
    this.book = createBook(config.alerts.precedence, (policy) => this.#apply(policy));
    this.#runtime = runtimeOf(config, this.book.policy);
  }

  get runtime(): Runtime {
    return this.#runtime;
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
    return this.#deps.settings.config.admin.base_url === null || this.book.sources().has("admin");
  }

  /** Puts in force what the file says. */
  takeFile(): void {
    const { document } = this.#deps.settings;
    const revision = createHash("sha256")
      .update(JSON.stringify(document))
      .digest("hex")
      .slice(0, 12);
    this.book.set("file", { document, revision });
  }

  /** All of it as people may see it, secrets masked. */
  shown(): Readonly<Record<string, unknown>> {
    const { settings, node } = this.#deps;
    return effectiveConfig({
      config: settings.config,
      policy: this.book.policy,
      runtime: this.#runtime,
      node,
    });
  }

  #apply(policy: Policy): void {
    this.#runtime = runtimeOf(this.#deps.settings.config, policy);
    this.#deps.collection.configure(this.#runtime.collectors);
    for (const what of doubts(policy, this.#deps.collection.definitions())) {
      if (this.#warned.has(what)) continue;
      this.#warned.add(what);
      this.#deps.log.warn("doubtful configuration", { what });
    }
    this.#listener(policy);
  }
}
