import type { Redactor } from "../base/secret.ts";
import type { Language } from "../core/delivery.ts";
import type { Clock } from "../core/ports.ts";
import { alerts } from "./alerts.ts";
import { spanText, timeText, valueText } from "./format.ts";
import { markup, type Html } from "./html.ts";
import { pageModel, type PageModel, type PageView } from "./model.ts";
import { unavailable, type Writer } from "./parts.ts";
import { sparkline } from "./sparkline.ts";
import { channels, deliveries, parts, sources } from "./status.ts";
import { style } from "./style.ts";
import { words } from "./words.ts";

function head({ model, w }: Writer): Html {
  const { node } = model;
  return markup`<header>
    <h1>${node.name} <span class="soft">· ${w.title}</span></h1>
    <p class="facts">
      <span>${w.cluster} <b>${node.cluster}</b></span
      ><span>${w.address} <b>${node.ip}</b></span>
      <span>${w.version} <b>${model.version}</b></span>
      <span>${w.running} <b>${spanText(model.nowMs - model.startedAtMs, w.units)}</b></span>
      <span class="state ${model.ready ? "good" : "warn"}"
        >${model.ready ? w.ready : w.notReady}</span
      >
    </p>
  </header>`;
}

function values(writer: Writer): Html {
  const { model, w } = writer;
  const tiles = model.readings.map(({ key, unit, decimals, help, value, spark }) => {
    const label = `${key}, ${w.lastHour}`;
    const text = value === null ? "–" : valueText(value, unit, decimals);
    return markup`<div class="tile" title="${help}">
      <div class="name">${key}</div>
      <div class="value">${text}</div>
      ${sparkline(spark, unit, label)}
    </div>`;
  });
  const failed = model.historyError === null ? markup`` : unavailable(writer, model.historyError);
  const none = model.readings.length === 0 ? markup`<p>${w.noValues}</p>` : markup``;
  const more =
    model.hiddenReadings === 0 ? markup`` : markup`<p>${w.more(model.hiddenReadings)}</p>`;
  return markup`<section>
    <h2>${w.values} <span class="soft">· ${w.lastHour}</span></h2>
    ${failed}${none}
    <div class="tiles">${tiles}</div>
    ${more}
  </section>`;
}

const links = [
  "/health",
  "/metrics",
  "/api/config",
  "/api/metrics",
  "/api/indexes",
  "/api/nodes",
  "/api/rules",
  "/api/alerts",
  "/api/channels",
  "/api/deliveries",
];

function foot({ model, w }: Writer): Html {
  const anchors = links.map((path) => markup`<a href="${path}">${path}</a> `);
  return markup`<footer>
    <p>${anchors}</p>
    <p>${timeText(model.nowMs)} · ${w.refresh}</p>
  </footer>`;
}

/** The whole page as HTML: no script, nothing loaded from anywhere, renewed every 30 s. */
export function renderPage(
  model: PageModel,
  language: Language,
  clean: (text: string) => string = (text) => text,
): string {
  const w = words[language];
  const writer: Writer = { model, w, clean };
  const title = `${model.firing.length > 0 ? `(${model.firing.length}) ` : ""}${model.node.name} · ${w.title}`;
  const page = markup`<html lang="${language}">
    <head>
      <meta charset="utf-8" />
      <meta name="viewport" content="width=device-width, initial-scale=1" />
      <meta http-equiv="refresh" content="30" />
      <title>${title}</title>
      <style>
        ${style}
      </style>
    </head>
    <body>
      ${head(writer)}
      <main>
        ${alerts(writer)}${values(writer)}
        <div class="two">
          ${parts(writer)}${sources(writer)}${channels(writer)}${deliveries(writer)}
        </div>
      </main>
      ${foot(writer)}
    </body>
  </html> `;
  return `<!doctype html>\n${page.text}`;
}

/** The page of an agent, as the API wants it: by language, with what the agent knows at that moment. */
export function createPage(deps: {
  readonly view: PageView;
  readonly clock: Clock;
  readonly redactor: Redactor;
}): (language: Language) => Promise<string> {
  const clean = (text: string): string => deps.redactor.redact(text);
  return async (language) =>
    renderPage(await pageModel(deps.view, deps.clock.now()), language, clean);
}
