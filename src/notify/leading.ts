import type { Lead } from "../core/delivery.ts";
import type { Clock } from "../core/ports.ts";

/** Goes on leading while something is on its way. Whether the lead was kept is known when it is settled. */
export async function whileLeading<T>(lead: Lead, clock: Clock, work: Promise<T>): Promise<T> {
  const over = new AbortController();
  const keep = async (): Promise<void> => {
    for (;;) {
      await clock.sleep(lead.keepEveryMs, over.signal);
      if (over.signal.aborted) return;
      await lead.keep().catch(() => false);
    }
  };
  void keep();
  try {
    return await work;
  } finally {
    over.abort("over");
  }
}
