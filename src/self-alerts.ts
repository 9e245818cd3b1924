import type { AlertSubject } from "./core/alert.ts";
import type { NodeIdentity } from "./core/node.ts";
import type { Clock, Log, Running } from "./core/ports.ts";
import { loop } from "./base/every.ts";
import type { Incidents } from "./alerts/incidents.ts";
import type { Report } from "./alerts/telling.ts";
import { errorText } from "./core/errors.ts";
import type { ChannelHealth, Notifier } from "./notify/notifier.ts";

/** The alert of the agent about itself: a channel by which messages do not arrive. */
export const notificationsFailing = "NotificationsFailing";

/** How often channels are looked at, and how long an alert goes on without being looked at. */
const lookEveryMs = 10_000;
const untilMs = 5 * 60_000;

export interface SelfAlertDeps {
  readonly node: NodeIdentity;
  readonly clock: Clock;
  readonly log: Log;
  readonly notifier: Pick<Notifier, "channels">;
  readonly incidents: Pick<Incidents, "report">;
}

/** What is known of a channel that failed. */
interface Failing {
  readonly subject: AlertSubject;
  readonly sinceMs: number;
}

/** What others are told of a channel; the channel itself is not, it would be the last to tell. */
function subjectOf(
  { name, status }: ChannelHealth,
  others: readonly string[],
  node: NodeIdentity,
): AlertSubject {
  return {
    key: `self|notifications{channel=${JSON.stringify(name)}}`,
    rule: notificationsFailing,
    index: "notifications",
    unit: "",
    labels: { channel: name },
    operator: null,
    message: status.lastError ?? "messages were refused or given up: GET /api/deliveries has them",
    runbookUrl: null,
    channels: others,
    cooldownMs: null,
    node,
  };
}

/** Looks whether messages arrive, and alerts by the other channels where they do not. */
export class SelfAlerts {
  readonly #deps: SelfAlertDeps;
  readonly #failing = new Map<string, Failing>();
  /** Lost messages of each channel at the last look. */
  readonly #lost = new Map<string, number>();

  constructor(deps: SelfAlertDeps) {
    this.#deps = deps;
  }

  /** One look. Never rejects. */
  async look(): Promise<void> {
    const channels = this.#deps.notifier.channels();
    const nowMs = this.#deps.clock.now();
    const reports = [
      ...channels.flatMap((channel) => this.#judge(channel, channels, nowMs) ?? []),
      ...this.#removed(channels, nowMs),
    ];
    if (reports.length > 0) await this.#deps.incidents.report(reports);
  }

  #judge(channel: ChannelHealth, channels: readonly ChannelHealth[], nowMs: number): Report | null {
    const { name, status, lost } = channel;
    const known = this.#failing.get(name);
    // One attempt that failed is tried again; what was refused is lost, though the next message may have arrived.
    const hasLost = lost > (this.#lost.get(name) ?? 0);
    this.#lost.set(name, lost);
    if (status.status === "ok" && !hasLost)
      return known === undefined ? null : this.#over(name, known, nowMs);
    if (known === undefined && status.status !== "down" && !hasLost) return null;
    const others = channels.map((other) => other.name).filter((other) => other !== name);
    const subject = subjectOf(channel, others, this.#deps.node);
    const failing = { subject, sinceMs: known?.sinceMs ?? nowMs };
    this.#failing.set(name, failing);
    return reportOf("fired", failing, nowMs);
  }

  /** Nobody fails to be told by a channel that is no more. */
  #removed(channels: readonly ChannelHealth[], nowMs: number): readonly Report[] {
    const names = new Set(channels.map(({ name }) => name));
    return [...this.#failing]
      .filter(([name]) => !names.has(name))
      .map(([name, known]) => this.#over(name, known, nowMs));
  }

  #over(name: string, known: Failing, nowMs: number): Report {
    this.#failing.delete(name);
    return reportOf("resolved", known, nowMs);
  }
}

function reportOf(kind: "fired" | "resolved", failing: Failing, nowMs: number): Report {
  const { subject, sinceMs } = failing;
  return {
    transition: {
      kind,
      subject,
      level: "critical",
      threshold: null,
      value: null,
      atMs: nowMs,
      claimedAtMs: kind === "fired" ? sinceMs : nowMs,
      peak: null,
      reason: null,
    },
    untilMs: nowMs + untilMs,
  };
}

/** Looks at the channels from time to time. */
export function startSelfAlerts(deps: SelfAlertDeps): Running {
  const alerts = new SelfAlerts(deps);
  return loop(
    deps.clock,
    async () => {
      await alerts.look();
      return lookEveryMs;
    },
    (cause) => {
      deps.log.error("channels not looked at", { cause: errorText(cause) });
      return lookEveryMs;
    },
  );
}
