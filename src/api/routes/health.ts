import type { ComponentStatus } from "../../core/ports.ts";
import { problem } from "../problem.ts";
import { jsonReply, unixSeconds } from "../reply.ts";
import { get, type Route, type RouteDeps } from "../route.ts";

/** Whether the agent works, for people and probes. Whatever else is down, a working agent answers 200. */
export function healthRoutes({ view, clock, redactor, draining }: RouteDeps): Route[] {
  const show = ({ status, sinceMs, lastError, details }: ComponentStatus) => ({
    status,
    since: unixSeconds(sinceMs),
    last_error: lastError === null ? null : redactor.redact(lastError),
    ...(details === undefined ? {} : { details }),
  });
  const health = () => {
    const components = Object.entries(view.components());
    const degraded = components.some(
      ([, { status }]) => status === "degraded" || status === "down",
    );
    return jsonReply({
      status: degraded ? "degraded" : "ok",
      node: view.node.name,
      ip: view.node.ip,
      cluster: view.node.cluster,
      version: view.version,
      uptime_seconds: unixSeconds(Math.max(0, clock.now() - view.startedAtMs())),
      components: Object.fromEntries(components.map(([name, status]) => [name, show(status)])),
    });
  };
  const ready = () =>
    view.ready() && !draining()
      ? jsonReply({ status: "ready" })
      : problem(503, draining() ? "the agent is stopping" : "no sample has been taken yet");
  // Probes of load balancers add parameters of their own: theirs are not judged.
  return [get("/health", health, "probe"), get("/ready", ready, "probe")];
}
