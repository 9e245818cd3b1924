import type { Database } from "./database.ts";
import { prometheus } from "./prometheus.ts";
import { victoriaMetrics } from "./victoria.ts";

/** Those that the environment names: `PROMETHEUS` with `PROMTOOL`, and `VICTORIA_METRICS`. Says which are left out. */
export function databases(): readonly Database[] {
  const { PROMETHEUS: server, PROMTOOL: tool, VICTORIA_METRICS: victoria } = process.env;
  const found: Database[] = [];
  if (server === undefined || tool === undefined)
    console.log("Prometheus left out: PROMETHEUS and PROMTOOL do not name it");
  else found.push(prometheus({ server, tool }));
  if (victoria === undefined)
    console.log("VictoriaMetrics left out: VICTORIA_METRICS does not name it");
  else found.push(victoriaMetrics(victoria));
  return found;
}
