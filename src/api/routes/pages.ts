import { get, type Route, type RouteDeps } from "../route.ts";

/** What the page may load: its own inline styles, and nothing else. */
const pagePolicy =
  "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** What is not JSON: the status page for people, and /metrics for Prometheus. */
export function pagesRoutes({ view, renderPage }: RouteDeps): Route[] {
  return [
    get("/", async (call) => ({
      status: 200,
      type: "text/html; charset=utf-8",
      headers: { "Content-Security-Policy": pagePolicy, Vary: "Accept-Language" },
      body: await renderPage(call.language()),
    })),
    // Scrapers may add parameters; the text format has none.
    get("/metrics", async () => ({
      status: 200,
      type: "text/plain; version=0.0.4; charset=utf-8",
      body: await view.metrics(),
    })),
  ];
}
