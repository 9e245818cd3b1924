import { readPosted, readWebhook, type Batch } from "../alertmanager/read.ts";
import { invalid } from "../problem.ts";
import { noQuery } from "../query.ts";
import type { Reply } from "../reply.ts";
import type { Call, Route, RouteDeps } from "../route.ts";

/** A thousand alerts with a KiB of labels and annotations each; Prometheus sends 256 at once. */
const maxBytes = 1_024 * 1_024;

/** What Alertmanager answers: nothing. */
const taken: Reply = { status: 200, type: "text/plain; charset=utf-8", body: "" };

/** Takes the alerts of a Prometheus as an Alertmanager does, and those an Alertmanager passes on. */
export function alertmanagerRoutes({ view, clock }: RouteDeps): Route[] {
  const take =
    (read: (body: unknown, nowMs: number) => Batch) =>
    async ({ query, body }: Call): Promise<Reply> => {
      noQuery(query);
      const { alerts, faults } = read(body, clock.now());
      await view.takeReports(alerts);
      if (faults.length > 0) throw invalid(faults);
      return taken;
    };
  const common = { method: "POST", access: "write", body: "any", maxBytes } as const;
  return [
    { ...common, path: "/api/v2/alerts", handle: take(readPosted) },
    { ...common, path: "/api/webhook/alertmanager", handle: take(readWebhook) },
  ];
}
