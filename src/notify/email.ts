import { isIP } from "node:net";
import type { ConnectionOptions } from "node:tls";
import type { SendMailOptions, SMTPSentMessageInfo, Transporter } from "nodemailer";
import * as v from "valibot";
import { untilAborted } from "../base/every.ts";
import { list, oneOf, secret, strictObject, text } from "../base/parse.ts";
import { cutText, oneLine } from "../base/text.ts";
import type { Channel, Outcome } from "../core/delivery.ts";
import { errorText } from "../core/errors.ts";
import { isLoopback } from "./address.ts";
import { defineChannel, type ChannelDeps } from "./contract.ts";
import { composeDigest, composeMail, type Mail } from "./mail.ts";
import { failedOutcome } from "./outcome.ts";
import { Recipients, type Rejection } from "./recipients.ts";
import { isTlsFailure, type Reached, type ReachStep } from "./reach.ts";

/** One address and nothing that could end a command or a header. */
const address = v.pipe(
  text,
  v.regex(
    /^[^\s<>(),;:"@\\\p{Cc}]+@[^\s<>(),;:"@\\\p{Cc}]+$/u,
    "expected an address like ops@example.com",
  ),
);

/** An address, or a name with an address in angle brackets. */
const sender = v.pipe(
  text,
  v.regex(
    /^(?:[^<>\p{Cc}"]*<)?[^\s<>(),;:"@\\\p{Cc}]+@[^\s<>(),;:"@\\\p{Cc}]+>?$/u,
    "expected an address like ops@example.com, or Name <ops@example.com>",
  ),
);

const port = v.pipe(
  v.number("expected a port number"),
  v.integer("expected a port number"),
  v.minValue(1, "expected a port from 1 to 65535"),
  v.maxValue(65_535, "expected a port from 1 to 65535"),
);

const host = v.pipe(text, v.regex(/^[\w.:-]+$/, "expected a host name or an address"));

const settings = strictObject({
  smtp_server: host,
  smtp_port: v.optional(port, 587),
  username: v.optional(text),
  password: v.optional(secret),
  to_emails: v.pipe(
    list(address),
    v.minLength(1, "expected at least one address"),
    v.maxLength(100, "expected at most 100 addresses; use a mailing list"),
  ),
  from: v.optional(sender),
  tls: v.optional(oneOf(["auto", "implicit", "starttls", "none"]), "auto"),
  ca: v.optional(text),
});
type EmailSettings = v.InferOutput<typeof settings>;

const checked = v.pipe(
  settings,
  v.forward(
    v.check(
      ({ username, password }) => username === undefined || password !== undefined,
      "is required with a username",
    ),
    ["password"],
  ),
);

type Transport = Transporter<SMTPSentMessageInfo>;

/** Longest waits of one attempt; the notifier's own deadline of 10 s usually comes first. */
const timeouts = {
  dnsTimeout: 5_000,
  connectionTimeout: 8_000,
  greetingTimeout: 8_000,
  socketTimeout: 10_000,
  socketCloseTimeout: 1_000,
};

function tlsOptions(of: EmailSettings): {
  secure: boolean;
  requireTLS: boolean;
  ignoreTLS: boolean;
  tls: ConnectionOptions;
} {
  const implicit = of.tls === "implicit" || (of.tls === "auto" && of.smtp_port === 465);
  return {
    secure: implicit,
    // Without it a stripped STARTTLS offer would send the password in clear.
    requireTLS: !implicit && of.tls !== "none",
    ignoreTLS: of.tls === "none",
    tls: { minVersion: "TLSv1.2", ...(of.ca === undefined ? {} : { ca: of.ca }) },
  };
}

/** Loads the library at the first mail only: it costs 3 MB of memory that most agents never need. */
async function openTransport(of: EmailSettings): Promise<Transport> {
  const { createTransport } = await import("nodemailer");
  return createTransport({
    host: of.smtp_server,
    port: of.smtp_port,
    ...(of.username === undefined || of.password === undefined
      ? {}
      : { auth: { user: of.username, pass: of.password.reveal() } }),
    ...tlsOptions(of),
    ...timeouts,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
}

/** Who sends: as set, else the account if it is an address, else a name at the server's host. */
function senderOf(of: EmailSettings): string {
  if (of.from !== undefined) return of.from;
  if (of.username !== undefined && v.is(address, of.username)) return of.username;
  return `targetvpc@${isIP(of.smtp_server) === 0 ? of.smtp_server : "localhost"}`;
}

/** The address of a sender that may have a name too. */
function addressOf(from: string): string {
  return /<([^<>]+)>/.exec(from)?.[1] ?? from;
}

function hostOf(from: string): string {
  return /@([\w.-]+)/.exec(from)?.[1] ?? "localhost";
}

/** An answer about a recipient is a line, not a page. */
const maxSaidCharacters = 200;

/** The server's answer to a mail it took. */
function acceptedCode({ response }: SMTPSentMessageInfo): string {
  return /^\d{3}/.exec(response)?.[0] ?? "250";
}

/** What the mail library says of a recipient that the server did not take. */
const rejected = v.pipe(
  v.object({
    recipient: v.optional(v.string(), ""),
    responseCode: v.optional(v.number()),
    response: v.optional(v.string(), ""),
  }),
  v.transform(({ recipient, responseCode, response }): Rejection => ({
    recipient,
    code: responseCode ?? null,
    said: cutText(oneLine(response), maxSaidCharacters),
  })),
);
const rejectedList = v.object({ rejectedErrors: v.pipe(v.array(rejected), v.minLength(1)) });

/** The recipients that were not taken, by the result of a try or by its error; none where it is about something else. */
function rejectionsOf(from: unknown): readonly Rejection[] {
  const read = v.safeParse(rejectedList, from);
  return read.success ? read.output.rejectedErrors : [];
}

/** What an error of the mail library carries, as far as it is needed. */
const smtpError = v.object({
  code: v.optional(v.string(), "unknown"),
  responseCode: v.optional(v.number()),
});

/** Codes of the library that no other try mends: wrong credentials, address or message. */
const permanentCodes = new Set(["EAUTH", "ENOAUTH", "EENVELOPE", "EMESSAGE", "ECONFIG"]);

/**
 * What a failed mail means. The server's own code decides: 4xx (a greylist) is retried, 5xx refused. Without one the
 * connection failed, which is retried. So is everything about TLS (`ETLS`, an unknown or expired certificate): a server
 * or a certificate can be mended while the message waits, and nothing was sent in clear.
 */
export function readSmtpError(cause: unknown, signal: AbortSignal): Outcome {
  if (signal.aborted) return failedOutcome(signal.reason, signal);
  const read = v.safeParse(smtpError, cause);
  if (!read.success) return { outcome: "retry", code: "network", reason: errorText(cause) };
  const { code, responseCode } = read.output;
  const reason = errorText(cause);
  if (code === "ETLS" || (responseCode === undefined && isTlsFailure(cause)))
    return { outcome: "retry", code: "ETLS", reason: `no TLS, so not sent: ${reason}` };
  if (responseCode === undefined)
    return { outcome: permanentCodes.has(code) ? "refused" : "retry", code, reason };
  const permanent = responseCode >= 500 && responseCode <= 599;
  return { outcome: permanent ? "refused" : "retry", code: String(responseCode), reason };
}

function warnings(of: EmailSettings): string[] {
  return of.tls === "none" && !isLoopback(of.smtp_server)
    ? ["tls: none sends the password and the messages in clear; use auto"]
    : [];
}

/** Which step of a connection an error of the mail library ended. */
function failedStep(cause: unknown): ReachStep {
  const read = v.safeParse(smtpError, cause);
  const code = read.success ? read.output.code : "unknown";
  if (code === "EDNS") return "dns";
  if (code === "EAUTH" || code === "ENOAUTH") return "auth";
  return code === "ETLS" || isTlsFailure(cause) ? "tls" : "tcp";
}

/** Connects, with TLS as set, and logs in. */
async function reachServer(of: EmailSettings, signal: AbortSignal): Promise<Reached> {
  const transport = await openTransport(of);
  try {
    await untilAborted(transport.verify(), signal);
    const login = of.username === undefined ? "without a login" : "login accepted";
    return { ok: true, found: `${of.smtp_server}:${of.smtp_port} answers, ${login}` };
  } catch (cause) {
    return { ok: false, step: failedStep(cause), reason: errorText(cause) };
  } finally {
    transport.close();
  }
}

/** The chart goes beside the HTML that shows it, not as a file to open. */
function attachmentsOf({ chart }: Mail): NonNullable<SendMailOptions["attachments"]> {
  if (chart === null) return [];
  const { contentId: cid, png: content } = chart;
  return [
    { cid, content, filename: "trend.png", contentType: "image/png", contentDisposition: "inline" },
  ];
}

function createEmail(of: EmailSettings, { language, template }: ChannelDeps): Channel {
  let transport: Promise<Transport> | undefined;
  const from = senderOf(of);
  const recipients = new Recipients(of.to_emails);
  const post = async (mail: Mail, signal: AbortSignal): Promise<Outcome> => {
    transport ??= openTransport(of).catch((cause: unknown) => {
      transport = undefined; // The next message tries anew, a file may be there by then.
      throw cause;
    });
    const info = await (
      await transport
    ).sendMail({
      from,
      to: [...of.to_emails],
      envelope: { from: addressOf(from), to: [...recipients.left(mail.messageId)] },
      subject: mail.subject,
      text: mail.text,
      html: mail.html,
      attachments: attachmentsOf(mail),
      messageId: mail.messageId,
      inReplyTo: mail.thread,
      references: mail.thread,
      headers: mail.headers,
      signal,
    });
    return recipients.conclude(mail.messageId, rejectionsOf(info), acceptedCode(info));
  };
  const deliver = async (mail: Mail, signal: AbortSignal): Promise<Outcome> => {
    try {
      return await post(mail, signal);
    } catch (cause) {
      const rejections = signal.aborted ? [] : rejectionsOf(cause);
      if (rejections.length > 0) return recipients.conclude(mail.messageId, rejections, null);
      const outcome = readSmtpError(cause, signal);
      return outcome.outcome === "refused" ? recipients.refuse(mail.messageId, outcome) : outcome;
    }
  };
  return {
    send: (message, signal) =>
      deliver(composeMail(message, { language, template }, hostOf(from)), signal),
    sendDigest: (digest, signal) => deliver(composeDigest(digest, language, hostOf(from)), signal),
    close: async () => {
      (await transport)?.close();
      transport = undefined;
    },
  };
}

/** E-mail by SMTP: encrypted unless told otherwise, one thread per incident. */
export const email = defineChannel<EmailSettings>({
  type: "email",
  doc: "E-mail by SMTP, HTML and text, one thread per incident; TLS unless `tls` is `none`.",
  settings: checked,
  fromFile: ["password", "ca"],
  example: {
    type: "email",
    smtp_server: "smtp.example.com",
    smtp_port: 587,
    username: "alerts@example.com",
    password: "a-password",
    to_emails: ["ops@example.com"],
    enabled: true,
  },
  // A mail server's limits are its own; it answers 4xx beyond them, and the mail is tried again.
  limits: [],
  maxBytes: null,
  // Whom the server counts mails by.
  robot: ({ smtp_server: host, smtp_port: port, username }) => `${username ?? ""}@${host}:${port}`,
  warnings,
  reach: reachServer,
  create: createEmail,
});
