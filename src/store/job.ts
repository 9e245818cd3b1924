import * as v from "valibot";
import { actionNames } from "../core/action.ts";
import { messageKinds } from "../core/alert.ts";
import type { Job } from "../core/delivery.ts";
import { incidentSchema } from "./incident.ts";

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
const savedAction = v.object({ action: v.picklist(actionNames), url: v.string() });
const savedJob = v.looseObject({
  id: v.string(),
  channel: v.string(),
  createdAtMs: v.number(),
  attempts: v.number(),
  message: v.looseObject({
    id: v.string(),
    kind: v.picklist(messageKinds),
    atMs: v.number(),
    incident: incidentSchema,
    recent: v.array(v.nullable(v.number())),
    recentStepMs: v.exactOptional(v.pipe(v.number(), v.minValue(1))),
    // A still older one did not look at processes.
    evidence: v.fallback(v.nullable(savedEvidence), null),
    publicUrl: v.fallback(v.nullable(v.string()), null),
    // Another version may know of other actions; without a button a message is one still.
    actions: v.exactOptional(v.fallback(v.array(savedAction), [])),
  }),
});

/** A job as JSON that any agent, of this version or another, has written: enough of it to send it. */
export const jobSchema = savedJob as unknown as v.GenericSchema<unknown, Job>; // proof: what is not looked at is only ever shown
