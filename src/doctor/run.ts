import { errorText } from "../core/errors.ts";
import { failed, type Check, type Finding } from "./contract.ts";
import { checks } from "./index.ts";
import type { Surroundings } from "./surroundings.ts";

/** The longest is the way to a channel of the ConfigMap: twice 3 s to read that, then 5 s; all within the 15 s promised. */
const checkMs = 12_000;

function redacted(finding: Finding, around: Surroundings): Finding {
  const clean = (text: string | null): string | null =>
    text === null ? null : around.redactor.redact(text);
  const { costs, fix } = finding;
  return {
    ...finding,
    found: around.redactor.redact(finding.found),
    costs: clean(costs),
    fix: clean(fix),
  };
}

async function runOne(check: Check, around: Surroundings): Promise<readonly Finding[]> {
  const { name, costs } = check;
  try {
    return await around.waits.within(checkMs, (signal) => check.run(around, signal));
  } catch (cause) {
    const fix = "what it looks at does not answer; the findings beside this one may say why";
    return [failed(name, { found: errorText(cause), costs, fix })];
  }
}

/** All findings, in the order of the list, whatever hangs; checks run side by side. */
export async function examine(
  around: Surroundings,
  list: readonly Check[] = checks,
): Promise<readonly Finding[]> {
  const all = await Promise.all(list.map((check) => runOne(check, around)));
  return all.flat().map((finding) => redacted(finding, around));
}
