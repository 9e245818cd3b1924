import type { AlertMessage } from "../core/delivery.ts";
import type { NodeIdentity } from "../core/node.ts";
import { noLabels } from "../core/series.ts";

/** A message that says nothing but that the channel works. */
export function testMessage(id: string, node: NodeIdentity, nowMs: number): AlertMessage {
  return {
    id,
    kind: "test",
    atMs: nowMs,
    incident: {
      id: `test-${id}`,
      subject: {
        key: "test|test",
        rule: "test",
        index: "test",
        unit: "",
        labels: noLabels,
        operator: null,
        message: null,
        runbookUrl: null,
        channels: null,
        cooldownMs: null,
        node,
      },
      status: "firing",
      level: "info",
      threshold: 0,
      value: 0,
      peak: 0,
      startedAtMs: nowMs,
      updatedAtMs: nowMs,
      endedAtMs: null,
      flaps: 0,
      flapping: false,
      acknowledgedBy: null,
      noData: false,
    },
    recent: [],
    evidence: null,
    publicUrl: null,
  };
}
