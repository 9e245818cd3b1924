import type { AlertSubject } from "../../src/core/alert.ts";
import type { Receipt } from "../../src/core/delivery.ts";

/** What an alert of cpu is about. */
export function alertSubject(changes: Partial<AlertSubject> = {}): AlertSubject {
  return {
    key: "hot|cpu",
    rule: "hot",
    index: "cpu",
    unit: "%",
    labels: {},
    operator: ">",
    message: null,
    runbookUrl: null,
    channels: null,
    cooldownMs: null,
    node: { cluster: "c", name: "n", ip: "10.0.0.1" },
    ...changes,
  };
}

/** The receipt of a message that waits. */
export function receipt(id: string, changes: Partial<Receipt> = {}): Receipt {
  return {
    id,
    alert: "alert-1",
    channel: "ops",
    type: "feishu",
    kind: "firing",
    outcome: "pending",
    attempts: 0,
    code: null,
    message: null,
    digest: null,
    createdAtMs: 1_000,
    settledAtMs: null,
    ...changes,
  };
}
