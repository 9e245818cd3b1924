import * as v from "valibot";
import type { NodeFacts } from "../core/node.ts";

/** Where small documents outlive the agent. */
export interface Keep {
  load(kind: "configmap" | "node"): Promise<string | null>;
  save(kind: "configmap" | "node", json: string): Promise<void>;
}

/** A ConfigMap's text, and since when it had been in force: Unix milliseconds. */
export interface KeptConfig {
  readonly key: string;
  readonly text: string;
  readonly sinceMs: number;
}

/** Without a time it was written by a version that kept none: anything else is newer. */
const config = v.nullable(
  v.object({ key: v.string(), text: v.string(), sinceMs: v.optional(v.number(), 0) }),
);
const facts = v.object({
  labels: v.record(v.string(), v.string()),
  taints: v.array(v.object({ key: v.string(), value: v.string(), effect: v.string() })),
});

function parse<S extends v.GenericSchema>(schema: S, json: string | null): v.InferOutput<S> | null {
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), schema), json);
  return parsed.success ? parsed.output : null;
}

/** What an earlier run knew, for a start while the API server is away. */
export class Keepsakes {
  readonly #keep: Keep;

  constructor(keep: Keep) {
    this.#keep = keep;
  }

  /** The ConfigMap last in force; null: none, or nothing was kept. */
  async loadConfig(): Promise<KeptConfig | null> {
    return parse(config, await this.#keep.load("configmap"));
  }

  async saveConfig(content: KeptConfig | null): Promise<void> {
    await this.#keep.save("configmap", JSON.stringify(content));
  }

  /** Labels and taints of the Node as last seen; null: never. */
  async loadFacts(): Promise<NodeFacts | null> {
    return parse(facts, await this.#keep.load("node"));
  }

  async saveFacts(found: NodeFacts): Promise<void> {
    await this.#keep.save("node", JSON.stringify(found));
  }
}
