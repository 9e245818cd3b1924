import { createHash } from "node:crypto";
import { escapeHtml } from "../base/text.ts";
import type { AlertMessage, Digest, Language } from "../core/delivery.ts";
import type { ChannelDeps } from "./contract.ts";
import { renderDigest } from "./digest.ts";
import { chartOf, type MailChart } from "./mail-chart.ts";
import { tableOf } from "./mail-table.ts";
import { fitRows, oneLine, renderMessage, rowText, type Rendered, type Tone } from "./render.ts";

/** One e-mail as it is handed to a mail server. */
export interface Mail {
  readonly subject: string;
  readonly text: string;
  readonly html: string;
  /** A picture the HTML shows; null: it shows none. */
  readonly chart: Pick<MailChart, "contentId" | "png"> | null;
  /** With its angle brackets; the same one at every try. */
  readonly messageId: string;
  /** What all mails of one incident refer to, so that a reader shows them as one thread. */
  readonly thread: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** Room for a thousand names; mail servers take more, readers do not. */
const maxTextBytes = 100_000;

const colours: Readonly<Record<Tone, number>> = {
  critical: 0xc62828,
  warning: 0xef6c00,
  info: 0x1565c0,
  resolved: 0x2e7d32,
};

/** As CSS writes it: `#c62828`. */
function css(colour: number): string {
  return `#${colour.toString(16).padStart(6, "0")}`;
}

/** Links to press, in the colour of the message. */
function buttonsOf({ actions, tone }: Rendered): string {
  const style = `display:inline-block;margin:0 8px 8px 0;padding:8px 14px;border-radius:6px;background:${css(colours[tone])};color:#fff;text-decoration:none`;
  return actions
    .map(
      ({ label, url }) => `<a href="${escapeHtml(url)}" style="${style}">${escapeHtml(label)}</a>`,
    )
    .join("");
}

/** The rows as those of a table. */
function cellsOf({ rows }: Rendered): string {
  return rows
    .map(({ label, value }) =>
      label === ""
        ? `<tr><td colspan="2" style="padding:2px 0;white-space:pre-wrap">${escapeHtml(value)}</td></tr>`
        : `<tr><td style="padding:4px 16px 4px 0;color:#666;vertical-align:top">${escapeHtml(label)}</td>` +
          `<td style="padding:4px 0;white-space:pre-wrap">${escapeHtml(value)}</td></tr>`,
    )
    .join("\n");
}

/** A page of a title, a table of these rows, and what belongs below it. */
function htmlOf(rendered: Rendered, cells: string, below = ""): string {
  const { tone, title, links, words } = rendered;
  const buttons = buttonsOf(rendered);
  const anchors = links
    .map(({ label, url }) => `<a href="${escapeHtml(url)}">${escapeHtml(label)}</a>`)
    .join(" &middot; ");
  return [
    `<!doctype html><html lang="${words.language}"><body style="font-family:sans-serif;font-size:14px;color:#222">`,
    `<h2 style="font-size:18px;border-left:6px solid ${css(colours[tone])};padding-left:10px">${escapeHtml(title)}</h2>`,
    `<table style="border-collapse:collapse">`,
    cells,
    `</table>`,
    below,
    buttons === "" ? "" : `<p>${buttons}</p>`,
    anchors === "" ? "" : `<p>${anchors}</p>`,
    `</body></html>`,
  ].join("\n");
}

function textOf({ title, rows, links, actions, words }: Rendered): string {
  const lines = [
    ...rows,
    ...[...actions, ...links].map(({ label, url }) => ({ label, value: url })),
  ];
  return [title, "", ...lines.map((row) => rowText(row, words)), ""].join("\n");
}

/** An id as the left side of a Message-ID: as it is, or a hash of it when it holds anything unusual. */
function idPart(id: string): string {
  return /^[\w.-]{1,100}$/.test(id)
    ? id
    : createHash("sha256").update(id).digest("hex").slice(0, 32);
}

function headersOf({ tone }: Rendered): Mail["headers"] {
  return {
    // RFC 3834: nobody's holiday notice answers this.
    "Auto-Submitted": "auto-generated",
    "X-Auto-Response-Suppress": "All",
    ...(tone === "critical" ? { "X-Priority": "1" } : {}),
  };
}

/** What all e-mails have, of one message and of many. */
function compose(
  rendered: Rendered,
  id: string,
  host: string,
): Pick<Mail, "subject" | "messageId" | "headers"> {
  return {
    subject: oneLine(rendered.title),
    messageId: `<${idPart(id)}@${host}>`,
    headers: headersOf(rendered),
  };
}

/** Puts a message into an e-mail, as if from `host`. */
export function composeMail(
  message: AlertMessage,
  { language, template }: Pick<ChannelDeps, "language" | "template">,
  host: string,
): Mail {
  const rendered = renderMessage(message, language, template);
  const chart = chartOf(message, {
    words: rendered.words,
    colour: colours[message.incident.level],
    contentId: `chart.${idPart(message.id)}@${host}`,
  });
  return {
    ...compose(rendered, message.id, host),
    text: textOf(rendered),
    html: htmlOf(rendered, cellsOf(rendered), chart?.html),
    chart,
    thread: `<alert-${idPart(message.incident.id)}@${host}>`,
  };
}

/** Puts a digest into an e-mail, a thread of its own: names and counts as text, every alert in a table. */
export function composeDigest(digest: Digest, language: Language, host: string): Mail {
  const rendered = renderDigest(digest, language);
  const mail = compose(rendered, digest.id, host);
  return {
    ...mail,
    text: fitRows(rendered, maxTextBytes, (rows) => textOf({ ...rendered, rows })),
    html: htmlOf(rendered, tableOf(digest, rendered.words)),
    chart: null,
    thread: mail.messageId,
  };
}
