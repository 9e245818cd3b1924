import * as v from "valibot";
import { errorText } from "../core/errors.ts";
import type { Clock, ComponentStatus, Log, Running } from "../core/ports.ts";
import { backoffMs } from "../base/backoff.ts";
import { loop } from "../base/every.ts";
import { createStatus, type StatusKeeper } from "../base/status.ts";
import type { KubeClient } from "./client.ts";
import { node as nodeSchema, refusalOf, type KubeNode } from "./objects.ts";
import { explainRefusal, refusalStandsMs, rights } from "./rights.ts";

export interface NodeDeps {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly log: Log;
  /** In [0, 1). */
  readonly random: () => number;
  readonly name: string;
  /** Told after every look that changed something of what rules may match. */
  readonly onChange: (node: KubeNode) => void;
  /** There is no such Node, or the agent may not look: for a minute now, and until somebody mends it. */
  readonly onRefused: () => void;
}

/**
 * Labels and taints change rarely, and a watch would bring every heartbeat of the kubelet and need a right to all nodes:
 * a look every five minutes, spread over the fleet, answered from the API server's cache.
 */
const everyMs = 5 * 60_000;
const jitter = 0.1;
/** An API server that was away is asked again soon after it is back. */
const backoffLimits = { firstMs: 2_000, maxMs: 30_000 };

/** The agent's own Node: its UID, labels, taints and conditions. */
export class OwnNode {
  readonly #deps: NodeDeps;
  readonly #status: StatusKeeper;
  #seen: KubeNode | null = null;
  #failures = 0;
  #refusedSinceMs: number | null = null;

  constructor(deps: NodeDeps) {
    this.#deps = deps;
    this.#status = createStatus(deps.clock, "starting");
  }

  /** Null: not seen yet. */
  get current(): KubeNode | null {
    return this.#seen;
  }

  get status(): ComponentStatus {
    return this.#status.current;
  }

  start(): Running {
    return loop(
      this.#deps.clock,
      async (signal) => {
        await this.#look(signal);
        const { random } = this.#deps;
        if (this.#failures > 0) return backoffMs(this.#failures, backoffLimits, random);
        return Math.round(everyMs * (1 + jitter * (2 * random() - 1)));
      },
      (cause) => {
        this.#fail("down", errorText(cause));
        return backoffMs(this.#failures, backoffLimits, this.#deps.random);
      },
    );
  }

  async #look(signal: AbortSignal): Promise<void> {
    const { client, name, onRefused } = this.#deps;
    const path = `/api/v1/nodes/${encodeURIComponent(name)}`;
    const query = { resourceVersion: "0" };
    const reply = await client.request({ method: "GET", path, query, signal });
    if (reply.status === 200) return this.#take(reply.body);
    const refusal = refusalOf(reply.status, reply.body);
    const lasts = refusal.code === 403 || refusal.code === 404;
    const why =
      refusal.code === 404
        ? `no Node "${name}": set node.name (NODE_NAME) to its name`
        : explainRefusal(rights.node, "", refusal);
    this.#fail(lasts ? "degraded" : "down", why);
    if (!lasts) return;
    const nowMs = this.#deps.clock.monotonic();
    this.#refusedSinceMs ??= nowMs;
    if (nowMs - this.#refusedSinceMs >= refusalStandsMs) onRefused();
  }

  #take(body: unknown): void {
    const parsed = v.safeParse(nodeSchema, body);
    if (!parsed.success) return this.#fail("down", "API server: not a Node");
    this.#failures = 0;
    this.#refusedSinceMs = null;
    if (this.#status.set("ok") && this.#seen !== null)
      this.#deps.log.info("kubernetes node seen again");
    const before = this.#seen;
    this.#seen = parsed.output;
    if (before === null || factsText(before) !== factsText(parsed.output))
      this.#deps.onChange(parsed.output);
  }

  #fail(state: "degraded" | "down", reason: string): void {
    this.#failures += 1;
    if (this.#status.set(state, reason))
      this.#deps.log.warn("kubernetes node not seen", { reason });
  }
}

function factsText({ metadata, spec }: KubeNode): string {
  return JSON.stringify([metadata.uid, metadata.labels, spec.taints]);
}
