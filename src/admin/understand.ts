import type { Parsed } from "../base/parse.ts";
import { faultsText, type Fault } from "../core/errors.ts";
import type { PolicyDocument } from "../core/policy.ts";
import type { Reading } from "./answer.ts";
import { normalise } from "./forms.ts";
import { shortHash } from "./request.ts";

/** An answer after every check: a whole policy, or why it is none. */
export type Understood =
  | {
      readonly kind: "good";
      readonly document: PolicyDocument;
      /** A hash of what it says, whichever wrapper it came in. */
      readonly policy: string;
    }
  | { readonly kind: "refused"; readonly reason: string }
  | Exclude<Reading, { kind: "policy" | "invalid" }>;

function refused(faults: readonly Fault[]): Understood {
  return { kind: "refused", reason: faultsText(faults) };
}

/** Checks an answer as a whole: one fault refuses it, and every fault names its path in the answer as it was given. */
export function understand(
  reading: Reading,
  parseDocument: (input: unknown) => Parsed<PolicyDocument>,
): Understood {
  if (reading.kind === "invalid") return refused(reading.faults);
  if (reading.kind !== "policy") return reading;
  const normal = normalise(reading.policy, reading.base);
  if (!normal.ok) return refused(normal.faults);
  const { document, original } = normal.value;
  const parsed = parseDocument(document);
  if (parsed.ok)
    return { kind: "good", document: parsed.value, policy: shortHash(JSON.stringify(document)) };
  return refused(parsed.faults.map(({ path, message }) => ({ path: original(path), message })));
}
