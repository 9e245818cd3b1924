import type { Incident } from "../core/alert.ts";
import { errorText } from "../core/errors.ts";
import type { Clock, ComponentStatus, Log, Running } from "../core/ports.ts";
import { rank } from "../core/rule.ts";
import { seriesKey } from "../core/series.ts";
import { deadline, loop } from "../base/every.ts";
import { createStatus, type StatusKeeper } from "../base/status.ts";
import { truncateBytes } from "../base/text.ts";
import type { KubeClient } from "./client.ts";
import { refusalOf, type KubeNode } from "./objects.ts";
import { reasonOf } from "./reasons.ts";
import { explainRefusal, rights } from "./rights.ts";

export interface ConditionDeps {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly log: Log;
  readonly node: string;
  /** The Node as last seen, for when the condition last changed. */
  readonly seen: () => KubeNode | null;
  /** Alerts of this node that fire. */
  readonly firing: () => readonly Incident[];
}

export const conditionType = "TargetVPCAlertsFiring";

/** Changes are told within this; the heartbeat of an unchanged one as often as the kubelet tells its own. */
const lookMs = 2_000;
const heartbeatMs = 5 * 60_000;
const retryMs = 30_000;
const maxMessageBytes = 512;
/** How long the agent waits for the condition to go when it stops. */
const goodbyeMs = 300;

interface Condition {
  readonly status: "True" | "False";
  readonly reason: string;
  readonly message: string;
}

/** What the condition says while these alerts fire. */
export function conditionOf(firing: readonly Incident[]): Condition {
  const [worst, ...others] = firing.toSorted((a, b) => rank(b.level) - rank(a.level));
  if (worst === undefined)
    return { status: "False", reason: "NoAlerts", message: "no alert fires" };
  const { index, operator } = worst.subject;
  const told = [worst, ...others]
    .map(({ subject, level }) => `${level} ${seriesKey(subject.index, subject.labels)}`)
    .join(", ");
  return {
    status: "True",
    reason: reasonOf(index, "breach", operator),
    message: truncateBytes(told, maxMessageBytes),
  };
}

/** Times of conditions have whole seconds. */
function time(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

/** Keeps the Node's condition while the agent runs, and takes it away when it stops: nobody would keep it true. */
export class NodeCondition {
  readonly #deps: ConditionDeps;
  readonly #status: StatusKeeper;
  #told: Condition | null = null;
  /** A request for it was on its way, whatever became of the answer. */
  #mayBeThere = false;
  #toldAtMs = Number.NEGATIVE_INFINITY;
  #changedAt: string | null = null;

  constructor(deps: ConditionDeps) {
    this.#deps = deps;
    this.#status = createStatus(deps.clock, "ok");
  }

  get status(): ComponentStatus {
    return this.#status.current;
  }

  start(): Running {
    const running = loop(
      this.#deps.clock,
      (signal) => this.#follow(signal),
      (cause) => this.#fail("down", errorText(cause)),
    );
    return {
      stop: async () => {
        await running.stop();
        if (this.#mayBeThere) await this.#remove();
      },
    };
  }

  async #follow(signal: AbortSignal): Promise<number> {
    const { clock, firing } = this.#deps;
    const now = conditionOf(firing());
    const isSame = JSON.stringify(now) === JSON.stringify(this.#told);
    if (isSame && clock.monotonic() - this.#toldAtMs < heartbeatMs) return lookMs;
    return this.#tell(now, signal);
  }

  async #tell(condition: Condition, signal: AbortSignal): Promise<number> {
    const { client, clock, log } = this.#deps;
    const nowMs = client.serverNowMs();
    const changedAt = this.#since(condition, nowMs);
    const wasThere = this.#mayBeThere;
    this.#mayBeThere = true;
    const refused = await this.#patch(
      {
        type: conditionType,
        ...condition,
        lastHeartbeatTime: time(nowMs),
        lastTransitionTime: changedAt,
      },
      signal,
    );
    if (refused !== null) {
      this.#mayBeThere = wasThere;
      return this.#fail("degraded", refused);
    }
    this.#told = condition;
    this.#toldAtMs = clock.monotonic();
    this.#changedAt = changedAt;
    if (this.#status.set("ok")) log.info("node condition kept again");
    return lookMs;
  }

  /** When the condition got its present status; an earlier run may have told it. */
  #since({ status }: Condition, nowMs: number): string {
    if (this.#told?.status === status && this.#changedAt !== null) return this.#changedAt;
    const before = this.#deps.seen()?.status.conditions?.find(({ type }) => type === conditionType);
    if (this.#told === null && before?.status === status && before.lastTransitionTime !== null)
      return before.lastTransitionTime;
    return time(nowMs);
  }

  async #remove(): Promise<void> {
    const { clock, log } = this.#deps;
    const limit = deadline(clock, goodbyeMs);
    try {
      await this.#patch({ $patch: "delete", type: conditionType }, limit.signal);
    } catch (cause) {
      log.warn("node condition not removed", { cause: errorText(cause) });
    } finally {
      limit.clear();
    }
  }

  /** Why it was refused; null: it was not. */
  async #patch(
    condition: Readonly<Record<string, unknown>>,
    signal: AbortSignal,
  ): Promise<string | null> {
    const { client, node } = this.#deps;
    const reply = await client.request({
      method: "PATCH",
      path: `/api/v1/nodes/${encodeURIComponent(node)}/status`,
      patch: "strategic-merge",
      body: { status: { conditions: [condition] } },
      signal,
    });
    if (reply.status === 200) return null;
    return explainRefusal(rights.nodeCondition, "", refusalOf(reply.status, reply.body));
  }

  #fail(state: "degraded" | "down", reason: string): number {
    if (this.#status.set(state, reason)) this.#deps.log.warn("node condition not kept", { reason });
    return retryMs;
  }
}
