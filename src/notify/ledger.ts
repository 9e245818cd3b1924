import { createStatus } from "../base/status.ts";
import type { Redactor } from "../base/secret.ts";
import type { Job, Outcome, Receipt, ReceiptOutcome, ReceiptPort } from "../core/delivery.ts";
import type { Clock, ComponentStatus, Log } from "../core/ports.ts";

/** What happened at one target since the agent started. */
export interface Tally {
  sent: number;
  retrying: number;
  refused: number;
  dead: number;
  /** How often a service answered with a code, by outcome and code. */
  readonly codes: Map<string, CodeCount>;
  /** From the decision to send to the proof of it, of sent messages. */
  readonly latency: Latency;
}

export interface CodeCount {
  readonly outcome: Exclude<ReceiptOutcome, "pending">;
  readonly code: string;
  count: number;
}

/** How many messages took no longer than each bound, and all of them together. */
export interface Latency {
  readonly counts: number[];
  count: number;
  sumMs: number;
}

export interface LedgerDeps {
  readonly receipts: ReceiptPort;
  readonly clock: Clock;
  readonly log: Log;
  readonly redactor: Redactor;
}

/** What became of a job, for its receipt. */
export interface Entry {
  readonly outcome: ReceiptOutcome;
  readonly attempts: number;
  readonly code: string | null;
  readonly message: string | null;
  /** The id of the message that told several jobs; missing: it told this one alone. */
  readonly digest?: string | null;
}

/** The books of one target: receipts, counters, and whether it works. */
export interface Ledger {
  readonly status: ComponentStatus;
  /** The receipt of a job. */
  receipt(job: Job, entry: Entry): Receipt;
  /** Counts what became of a job. */
  count(job: Job, entry: Entry): void;
  /** Counts, and files the receipt. Never rejects: a lost receipt must not stop or repeat a message. */
  write(job: Job, entry: Entry): Promise<void>;
  /** Whether a receipt says that a job is over; not when the receipts cannot be had. */
  isSettled(job: Job): Promise<boolean>;
  /** Notes whether the target works, and tells once when that changes. */
  judge(outcome: Outcome): void;
  /** What failed here and was to be tried again is over by another agent. A refusal is not forgotten by that. */
  forget(): void;
}

/** Bounds of the latency histogram: at once, within a storm, after a blocked robot. */
export const latencyBoundsMs = [
  100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000, 900_000, 3_600_000,
] as const;

/** Services have some dozen codes; what comes beyond these is none of theirs. */
const maxCodes = 50;

export function emptyTally(): Tally {
  const latency = { counts: latencyBoundsMs.map(() => 0), count: 0, sumMs: 0 };
  return { sent: 0, retrying: 0, refused: 0, dead: 0, codes: new Map(), latency };
}

function countCode({ codes }: Tally, outcome: CodeCount["outcome"], code: string | null): void {
  const named = codes.size < maxCodes || codes.has(`${outcome} ${code ?? ""}`);
  const shown = named ? (code ?? "") : "other";
  const key = `${outcome} ${shown}`;
  const known = codes.get(key) ?? { outcome, code: shown, count: 0 };
  known.count += 1;
  codes.set(key, known);
}

function countLatency({ latency }: Tally, ms: number): void {
  latency.count += 1;
  latency.sumMs += ms;
  for (const [at, boundMs] of latencyBoundsMs.entries())
    if (ms <= boundMs) latency.counts[at] = (latency.counts[at] ?? 0) + 1;
}

/** After this many failures in a row a target is down, not just degraded. */
const downAfter = 3;

/** Receipts of one incident and channel that are looked through. */
const lookedThrough = 100;

function receiptOf(job: Job, type: string, entry: Entry, nowMs: number): Receipt {
  const settled = entry.outcome !== "pending" && entry.outcome !== "retrying";
  return {
    id: job.id,
    alert: job.message.incident.id,
    channel: job.channel,
    type,
    kind: job.message.kind,
    digest: null,
    ...entry,
    createdAtMs: job.createdAtMs,
    settledAtMs: settled ? nowMs : null,
  };
}

async function isSettled(
  { id, channel, message }: Job,
  { receipts, log }: Pick<LedgerDeps, "receipts" | "log">,
): Promise<boolean> {
  try {
    const alert = message.incident.id;
    const found = await receipts.list({ channel, alert, limit: lookedThrough });
    return found.some((receipt) => receipt.id === id && receipt.settledAtMs !== null);
  } catch (cause) {
    log.warn("receipts not read; told again rather than not", { channel, cause });
    return false;
  }
}

function countEntry(tally: Tally, { outcome, code }: Entry, ageMs: number): void {
  if (outcome === "pending") return;
  tally[outcome] += 1;
  countCode(tally, outcome, code);
  // The clock of the agent that decided may be ahead of ours.
  if (outcome === "sent") countLatency(tally, Math.max(0, ageMs));
}

/** Opens the books of a target; the counters outlive it, so that a changed setting does not reset them. */
export function createLedger(
  { name, type, tally }: { name: string; type: string; tally: Tally },
  { receipts, clock, log, redactor }: LedgerDeps,
): Ledger {
  const status = createStatus(clock, "ok");
  let failures = 0;
  let isRefused = false;
  let receiptsFailing = false;

  const count = (job: Job, entry: Entry): void => {
    countEntry(tally, entry, clock.now() - job.createdAtMs);
  };

  return {
    get status() {
      return status.current;
    },
    receipt: (job, entry) => receiptOf(job, type, entry, clock.now()),
    count,
    write: async (job, entry) => {
      count(job, entry);
      try {
        await receipts.put(receiptOf(job, type, entry, clock.now()));
        receiptsFailing = false;
      } catch (cause) {
        if (!receiptsFailing) log.warn("receipt.lost", { channel: name, cause });
        receiptsFailing = true;
      }
    },
    isSettled: (job) => isSettled(job, { receipts, log }),
    forget: () => {
      if (isRefused) return;
      failures = 0;
      status.set("ok");
    },
    judge: (outcome) => {
      isRefused = outcome.outcome === "refused";
      if (outcome.outcome === "sent") {
        failures = 0;
        if (status.set("ok")) log.info("channel.recovered", { channel: name, type });
        return;
      }
      failures += 1;
      const { code, reason } = outcome;
      const wasOk = status.current.status === "ok";
      const text = redactor.redact(`${code}: ${reason}`);
      status.set(failures >= downAfter ? "down" : "degraded", text);
      if (wasOk) log.warn("channel.failing", { channel: name, type, code, reason });
    },
  };
}
