import * as v from "valibot";
import { messageKinds } from "../core/alert.ts";
import type { Job, Outbox } from "../core/delivery.ts";
import { errorText } from "../core/errors.ts";
import type { Log } from "../core/ports.ts";
import { levels } from "../core/rule.ts";
import type { LocalFiles } from "./local.ts";

const savedProcess = v.object({
  pid: v.number(),
  name: v.string(),
  value: v.number(),
  unit: v.picklist(["%", "B", "B/s"]),
  owner: v.nullable(v.string()),
});
const savedStall = v.object({ avg10: v.number(), avg60: v.number() });
const savedPressure = v.object({ some: savedStall, full: v.nullable(savedStall) });
/** An older version kept the processes alone, as a list. */
const savedEvidence = v.union([
  v.pipe(
    v.array(savedProcess),
    v.transform((processes) => ({ processes, pressure: null })),
  ),
  v.object({
    processes: v.nullable(v.array(savedProcess)),
    pressure: v.nullable(
      v.object({
        cpu: v.exactOptional(savedPressure),
        memory: v.exactOptional(savedPressure),
        io: v.exactOptional(savedPressure),
      }),
    ),
  }),
]);
/** Enough of a job to send it or to refuse it; the rest was written by the agent itself into a file only it reads. */
const savedJob = v.looseObject({
  id: v.string(),
  channel: v.string(),
  createdAtMs: v.number(),
  attempts: v.number(),
  notBeforeMs: v.number(),
  message: v.looseObject({
    id: v.string(),
    kind: v.picklist(messageKinds),
    atMs: v.number(),
    incident: v.looseObject({
      id: v.string(),
      level: v.picklist(levels),
      subject: v.looseObject({ key: v.string() }),
    }),
    recent: v.array(v.nullable(v.number())),
    recentStepMs: v.exactOptional(v.pipe(v.number(), v.minValue(1))),
    // A still older one did not look at processes.
    evidence: v.fallback(v.nullable(savedEvidence), null),
  }),
});

/** An outbox whose waiting jobs outlive the agent. */
export interface SpooledOutbox extends Outbox {
  /** Takes up the jobs of an earlier run; what is unreadable is dropped with a warning. */
  load(): Promise<void>;
}

/** Keeps the jobs of an outbox in a local file too: what a stopped or killed agent had not sent is sent by the next. */
export function createSpooledOutbox(
  inner: Outbox,
  deps: { readonly local: LocalFiles; readonly file: string; readonly log: Log },
): SpooledOutbox {
  const { local, file, log } = deps;
  const waiting = new Map<string, Job>();
  // Not waited for: the file is a second chance, a message must not wait for a disk. Writing never rejects.
  const write = (): void => void local.write(file, JSON.stringify([...waiting.values()]));
  return {
    due: (channel, nowMs, max) => inner.due(channel, nowMs, max),
    depth: () => inner.depth(),
    nextDueMs: (channel) => inner.nextDueMs(channel),
    enqueue: async (job) => {
      await inner.enqueue(job);
      waiting.set(job.id, job);
      write();
    },
    defer: async (job) => {
      await inner.defer(job);
      waiting.set(job.id, job);
      write();
    },
    remove: async (job) => {
      await inner.remove(job);
      waiting.delete(job.id);
      write();
    },
    load: async () => {
      const text = await local.read(file);
      if (text === null) return;
      try {
        const jobs = v.parse(v.array(savedJob), JSON.parse(text)) as unknown as readonly Job[]; // proof: written by this very function from jobs
        for (const job of jobs) {
          await inner.enqueue(job);
          waiting.set(job.id, job);
        }
      } catch (cause) {
        log.warn("messages of an earlier run unreadable", { file, cause: errorText(cause) });
      }
    },
  };
}
