import type { ActionClaim, ActionEnd, ActionPage, Acted } from "../core/action.ts";
import type { Language } from "../core/delivery.ts";
import { formatLabels } from "../core/series.ts";
import { unreachable } from "../core/errors.ts";
import { actionWords, type ActionWords } from "./action-words.ts";
import { Html, markup } from "./html.ts";
import { style } from "./style.ts";
import { words } from "./words.ts";

const formStyle = new Html(`
main{max-width:560px;padding-top:24px}h1{margin-bottom:12px}
dl{display:grid;grid-template-columns:auto 1fr;gap:4px 16px;margin:0 0 12px}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
label{display:block;margin:14px 0 4px}
input{width:100%;font:inherit;font-size:16px;padding:10px 12px;border:1px solid var(--line);border-radius:8px;
background:var(--bg);color:var(--text)}
button{width:100%;margin-top:14px;padding:12px;font:inherit;font-weight:600;border:0;border-radius:8px;
background:var(--link);color:var(--card)}
`);

interface Writer {
  readonly w: ActionWords;
  readonly language: Language;
  readonly clean: (text: string) => string;
}

/** `Mon, 5 Jan, 08:00 (Asia/Shanghai)`, by the clocks people live by. */
function timeIn(untilMs: number, timezone: string, language: Language): string {
  const text = new Intl.DateTimeFormat(language === "en" ? "en-GB" : language, {
    timeZone: timezone,
    weekday: "short",
    month: "short",
    day: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
  }).format(untilMs);
  return `${text} (${timezone})`;
}

function about({ w, language, clean }: Writer, claim: ActionClaim): Html {
  const labels = formatLabels(claim.labels);
  const dashboard = words[language];
  const terms = dashboard.terms;
  const level = (Object.hasOwn(terms, claim.level) ? terms[claim.level] : undefined) ?? claim.level;
  const index = clean(`${claim.index}${labels === "" ? "" : `{${labels}}`}`);
  return markup`<dl>
    <dt>${dashboard.node}</dt>
    <dd>${clean(`${claim.cluster}/${claim.node}`)}</dd>
    <dt>${dashboard.rule}</dt>
    <dd>${clean(claim.rule)}</dd>
    <dt>${dashboard.index}</dt>
    <dd>${index}</dd>
    <dt>${w.level}</dt>
    <dd>${level}</dd>
  </dl>`;
}

function ask(
  writer: Writer,
  { claim, end, who, isUnnamed }: Extract<ActionPage, { state: "ask" }>,
): Html {
  const { w } = writer;
  const fault = isUnnamed ? markup`<p class="bad" role="alert">${w.unnamed}</p>` : markup``;
  return markup`${about(writer, claim)}
    <p>${willDo(writer, end)}</p>
    <form method="post">
      ${fault}
      <label for="who">${w.who}</label>
      <input
        id="who"
        name="who"
        value="${writer.clean(who)}"
        maxlength="100"
        required
        autocomplete="name"
      />
      <button type="submit">${w.actions[claim.action]}</button>
    </form>`;
}

function willDo({ w, language }: Writer, end: ActionEnd | null): string {
  return end === null ? w.willAck : w.willSilence(timeIn(end.untilMs, end.timezone, language));
}

function done({ w, language, clean }: Writer, acted: Acted, timezone: string): Html {
  switch (acted.state) {
    case "over":
      return markup`<p>${w.over}</p>`;
    case "ended":
      return markup`<p>${w.ended(clean(acted.by))}</p>`;
    case "done": {
      const { by, untilMs } = acted;
      const text =
        untilMs === null
          ? w.acknowledged(clean(by))
          : w.silenced(clean(by), timeIn(untilMs, timezone, language));
      return markup`<p class="good" role="status">${text}</p>`;
    }
    default:
      return unreachable(acted);
  }
}

function content(writer: Writer, page: ActionPage): { title: string; body: Html } {
  const { w } = writer;
  switch (page.state) {
    case "ask":
      return { title: w.actions[page.claim.action], body: ask(writer, page) };
    case "acted": {
      const { claim, acted, timezone } = page;
      const body = markup`${about(writer, claim)}${done(writer, acted, timezone)}`;
      return { title: w.actions[claim.action], body };
    }
    case "forged":
    case "expired":
    case "away":
    case "full":
      return {
        title: w.refused,
        body: markup`<p class="bad" role="alert">${w.reasons[page.state]}</p>`,
      };
    default:
      return unreachable(page);
  }
}

/** The page of a link as HTML: no script, nothing loaded from anywhere, one form that goes back to the link. */
export function renderAction(
  page: ActionPage,
  language: Language,
  clean: (text: string) => string = (text) => text,
): string {
  const { title, body } = content({ w: actionWords[language], language, clean }, page);
  const html = markup`<html lang="${language}">
    <head>
      <meta charset="utf-8" />
      <meta name="viewport" content="width=device-width, initial-scale=1" />
      <meta name="robots" content="noindex" />
      <title>${title} · TargetVPC</title>
      <style>
        ${style}${formStyle}
      </style>
    </head>
    <body>
      <main>
        <section>
          <h1>${title}</h1>
          ${body}
        </section>
      </main>
    </body>
  </html> `;
  return `<!doctype html>\n${html.text}`;
}
