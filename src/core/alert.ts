import type { NodeIdentity } from "./node.ts";
import type { Level, Operator } from "./rule.ts";
import type { Labels } from "./series.ts";

/** What a rule looks at on one series; the identity of an alert on a node. */
export interface AlertSubject {
  /** `rule|series key`: unique on the node. */
  readonly key: string;
  readonly rule: string;
  readonly index: string;
  readonly unit: string;
  readonly labels: Labels;
  readonly operator: Operator | null;
  readonly message: string | null;
  readonly runbookUrl: string | null;
  /** Where its sender shows it; only alerts of others have one. */
  readonly sourceUrl?: string;
  readonly channels: readonly string[] | null;
  readonly cooldownMs: number | null;
  readonly node: NodeIdentity;
}

/** The key of an alert that a Prometheus or an Alertmanager reports; the key of a rule's alert has a `|` in it. */
export function reportedKey(fingerprint: string): string {
  return `alertmanager:${fingerprint}`;
}

/** Whether an alert was reported by a Prometheus or an Alertmanager, which must not get it back. */
export function isReported({ key }: AlertSubject): boolean {
  return /^alertmanager:[^|]*$/.test(key);
}

/** A change of an alert's state, or (`still`) a sample by which it goes on firing. */
export interface Transition {
  readonly kind: "fired" | "escalated" | "deescalated" | "resolved" | "still";
  readonly subject: AlertSubject;
  /** The level it is at now; of a recovery, the one it had. */
  readonly level: Level;
  /** Null: its sender names none. */
  readonly threshold: number | null;
  /** Null: its sender names none. */
  readonly value: number | null;
  readonly atMs: number;
  /** When it began or ended as its sender says, not after `atMs`; missing: at `atMs`. */
  readonly claimedAtMs?: number;
  /** The value furthest on the breaching side since it fired. */
  readonly peak: number | null;
  /** Why it ended, when no value crossed back: the rule was removed, disabled or is not for this node any more. */
  readonly reason: "rule_removed" | null;
}

/** What happened to an alert, from its first message to its recovery; the unit people talk about. */
export interface Incident {
  readonly id: string;
  readonly subject: AlertSubject;
  readonly status: "firing" | "resolved";
  readonly level: Level;
  /** Null, as value and peak: an alert of somebody else's that names none. */
  readonly threshold: number | null;
  readonly value: number | null;
  readonly peak: number | null;
  readonly startedAtMs: number;
  readonly updatedAtMs: number;
  readonly endedAtMs: number | null;
  /** How often it recovered and fired again within the cooldown. */
  readonly flaps: number;
  readonly flapping: boolean;
  readonly acknowledgedBy: string | null;
  /** Whether samples of it are missing now. */
  readonly noData: boolean;
}

export const messageKinds = [
  "firing",
  "escalated",
  "repeated",
  "flapping",
  "resolved",
  "test",
] as const;

/** What a message or a record says happened. */
export type MessageKind = (typeof messageKinds)[number];
