import { isFine, printed } from "./print.ts";
import { examine } from "./run.ts";
import { createSurroundings, type SurroundingsDeps } from "./surroundings.ts";

export interface DoctorUse extends SurroundingsDeps {
  readonly json: boolean;
  readonly colour: boolean;
}

export interface Diagnosis {
  readonly text: string;
  readonly fine: boolean;
  /** Calls that would hold up a normal exit. */
  readonly stuckCalls: number;
}

/** Looks at everything once; what it opened is closed again, but for what hangs. */
export async function diagnose(use: DoctorUse): Promise<Diagnosis> {
  const around = createSurroundings(use);
  const findings = await examine(around);
  await around.close();
  return {
    text: use.json ? `${JSON.stringify(findings, null, 2)}\n` : printed(findings, use),
    fine: isFine(findings),
    stuckCalls: around.stuckCalls(),
  };
}
