import type { AlertMessage, Job, Receipt } from "../../src/core/delivery.ts";
import type { MessageKind } from "../../src/core/alert.ts";
import type { Level } from "../../src/core/rule.ts";
import { alertSubject, receipt } from "./alerts.ts";

interface Changes extends Partial<Job> {
  readonly level?: Level;
  readonly kind?: MessageKind;
  /** The incident. */
  readonly of?: string;
}

/** A job of a channel called `ops`, and its first receipt. */
export function job(id: string, changes: Changes = {}): Job {
  const { level = "warning", kind = "firing", of = `alert-${id}`, ...rest } = changes;
  const { createdAtMs = 1_000 } = rest;
  const message: AlertMessage = {
    id: `message-${id}`,
    kind,
    atMs: createdAtMs,
    recent: [1, null],
    recentStepMs: 10_000,
    evidence: null,
    publicUrl: null,
    incident: {
      id: of,
      subject: alertSubject({ node: { cluster: "prod", name: `node-${of}`, ip: "10.0.0.1" } }),
      status: kind === "resolved" ? "resolved" : "firing",
      level,
      threshold: 80,
      value: 90,
      peak: 90,
      startedAtMs: 1_000,
      updatedAtMs: createdAtMs,
      endedAtMs: kind === "resolved" ? createdAtMs : null,
      flaps: 0,
      flapping: false,
      acknowledgedBy: null,
      noData: false,
    },
  };
  return { id, channel: "ops", message, createdAtMs, attempts: 0, ...rest };
}

export function pending({ id, channel, createdAtMs, message }: Job): Receipt {
  return receipt(id, { channel, createdAtMs, alert: message.incident.id });
}

export function sent(of: Job, changes: Partial<Receipt> = {}): Receipt {
  return {
    ...pending(of),
    outcome: "sent",
    attempts: 1,
    code: "0",
    settledAtMs: 2_000,
    ...changes,
  };
}
