import type { AddressInfo, Socket } from "node:net";
import { SMTPServer, type SMTPServerSession } from "smtp-server";
import { makeTls, type TlsFiles } from "./tls.ts";

/** A part of a mail that is not text. */
export interface ReceivedFile {
  readonly headers: ReadonlyMap<string, string>;
  /** The content types of the parts it is in, from the outside. */
  readonly within: readonly string[];
  readonly content: Buffer;
}

/** One mail the server took. */
export interface ReceivedMail {
  readonly from: string;
  readonly to: readonly string[];
  /** As it came over the wire. */
  readonly raw: string;
  /** Lower-case names, unfolded and decoded. */
  readonly headers: ReadonlyMap<string, string>;
  /** Decoded texts by content type. */
  readonly parts: ReadonlyMap<string, string>;
  /** What is not text, in the order in which it came. */
  readonly files: readonly ReceivedFile[];
  readonly encrypted: boolean;
  readonly user: string | null;
}

export interface SmtpOptions {
  /** `starttls` (default), `implicit`, `none`: not offered, `stripped`: not offered and every byte recorded. */
  readonly tls?: "starttls" | "implicit" | "none" | "stripped";
  readonly files?: TlsFiles;
  readonly auth?: { readonly user: string; readonly pass: string };
  /** How many times a recipient is put off with 451 before it is taken. */
  readonly greylist?: number;
  /** What is said to each recipient, by address; only so many times, where they are given. */
  readonly recipients?: Readonly<
    Record<string, { readonly code: number; readonly text: string; readonly times?: number }>
  >;
  /** What is said to every sender. */
  readonly refuseSender?: { readonly code: number; readonly text: string };
  /** What is said to every message. */
  readonly refuse?: { readonly code: number; readonly text: string };
  /** Where it stops answering. */
  readonly hang?: "connect" | "data";
  /** Where it ends the connection, the first time only. */
  readonly drop?: "recipient" | "data";
}

export interface Smtp {
  readonly host: string;
  readonly port: number;
  readonly ca: string;
  readonly received: ReceivedMail[];
  /** Connections that were opened. */
  connections(): number;
  /** How often each recipient was named, taken or not. */
  asked(): ReadonlyMap<string, number>;
  /** What clients sent in clear; only of a `stripped` server. */
  wire(): string;
  close(): Promise<void>;
}

function smtpError(code: number, text: string): Error {
  return Object.assign(new Error(text), { responseCode: code });
}

function decodeWords(value: string): string {
  return value
    .replaceAll(/\?=\s+=\?/g, "?==?")
    .replaceAll(/=\?utf-8\?([BQ])\?(.*?)\?=/gi, (_, kind: string, data: string) =>
      kind.toUpperCase() === "B"
        ? Buffer.from(data, "base64").toString("utf8")
        : decodeQuoted(data.replaceAll("_", " ")),
    );
}

function decodeQuoted(text: string): string {
  return quotedBytes(text).toString("utf8");
}

function quotedBytes(text: string): Buffer {
  const bytes = text
    .replaceAll(/=\r?\n/g, "")
    .replaceAll(/=([0-9A-F]{2})/gi, (_, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    );
  return Buffer.from(bytes, "latin1");
}

function splitHead(text: string): { headers: Map<string, string>; body: string } {
  const [head = "", ...rest] = text.split("\r\n\r\n");
  const headers = new Map<string, string>();
  for (const line of head.replaceAll(/\r\n[ \t]+/g, " ").split("\r\n")) {
    const colon = line.indexOf(":");
    if (colon > 0)
      headers.set(line.slice(0, colon).toLowerCase(), decodeWords(line.slice(colon + 1).trim()));
  }
  return { headers, body: rest.join("\r\n\r\n") };
}

/** Decodes the parts of a mail, nested ones too. */
function partsOf(text: string, within: readonly string[] = []): ReceivedFile[] {
  const { headers, body } = splitHead(text);
  const type = headers.get("content-type") ?? "text/plain";
  const boundary = /boundary="?([^";]+)"?/.exec(type)?.[1];
  if (boundary !== undefined)
    return body
      .split(`--${boundary}`)
      .slice(1, -1)
      .flatMap((part) =>
        partsOf(part.replace(/^\r\n/, "").replace(/\r\n$/, ""), [...within, typeOf(headers)]),
      );
  const encoding = headers.get("content-transfer-encoding")?.toLowerCase();
  const content =
    encoding === "base64"
      ? Buffer.from(body, "base64")
      : encoding === "quoted-printable"
        ? quotedBytes(body)
        : Buffer.from(body);
  return [{ headers, within, content }];
}

function typeOf(headers: ReadonlyMap<string, string>): string {
  return (headers.get("content-type") ?? "text/plain").split(";")[0] ?? "";
}

function mailOf(raw: string, session: SMTPServerSession): ReceivedMail {
  const { envelope } = session;
  const user: unknown = session.user;
  const parts = partsOf(raw);
  const isText = ({ headers }: ReceivedFile): boolean => typeOf(headers).startsWith("text/");
  const textOf = ({ headers, content }: ReceivedFile): [string, string] => [
    typeOf(headers),
    content.toString("utf8").replaceAll("\r\n", "\n"),
  ];
  return {
    from: envelope.mailFrom === false ? "" : envelope.mailFrom.address,
    to: envelope.rcptTo.map(({ address }) => address),
    raw,
    headers: splitHead(raw).headers,
    parts: new Map(parts.filter(isText).map(textOf)),
    files: parts.filter((part) => !isText(part)),
    encrypted: session.secure,
    user: typeof user === "string" ? user : null,
  };
}

/** A real SMTP server on loopback that records what it takes and can be told to misbehave. */
export async function startSmtp(options: SmtpOptions = {}): Promise<Smtp> {
  const { tls = "starttls", files = makeTls(), auth, greylist = 0, recipients = {} } = options;
  const received: ReceivedMail[] = [];
  const seen = new Map<string, number>();
  const wire: Buffer[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;
  let dropped = false;
  const drops = (at: SmtpOptions["drop"]): boolean => {
    if (dropped || options.drop !== at) return false;
    dropped = true;
    for (const socket of sockets) socket.destroy();
    return true;
  };
  const server = new SMTPServer({
    secure: tls === "implicit",
    key: files.key,
    cert: files.cert,
    authOptional: auth === undefined,
    allowInsecureAuth: tls === "none" || tls === "stripped",
    disabledCommands: tls === "none" || tls === "stripped" ? ["STARTTLS"] : [],
    disableReverseLookup: true,
    closeTimeout: 50,
    logger: false,
    onConnect: (_, callback) => {
      connections += 1;
      if (options.hang !== "connect") callback();
    },
    onAuth: ({ username, password }, _, callback) => {
      if (auth !== undefined && username === auth.user && password === auth.pass)
        callback(null, { user: username });
      else callback(smtpError(535, "5.7.8 authentication failed"));
    },
    onMailFrom: (_, __, callback) => {
      const { refuseSender } = options;
      if (refuseSender === undefined) callback();
      else callback(smtpError(refuseSender.code, refuseSender.text));
    },
    onRcptTo: ({ address }, _, callback) => {
      if (drops("recipient")) return;
      const answer = recipients[address];
      const times = (seen.get(address) ?? 0) + 1;
      seen.set(address, times);
      if (answer !== undefined && times <= (answer.times ?? times))
        callback(smtpError(answer.code, answer.text));
      else if (times <= greylist) callback(smtpError(451, "4.7.1 greylisted, try again later"));
      else callback();
    },
    onData: (stream, session, callback) => {
      const chunks: Buffer[] = [];
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("end", () => {
        if (options.hang === "data" || drops("data")) return;
        if (options.refuse !== undefined) {
          callback(smtpError(options.refuse.code, options.refuse.text));
          return;
        }
        received.push(mailOf(Buffer.concat(chunks).toString("utf8"), session));
        callback();
      });
    },
  });
  // A client that breaks off a handshake is an error of the server's to the library, not to a test.
  server.on("error", () => {});
  server.server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  if (tls === "stripped")
    server.server.prependListener("connection", (socket) => {
      socket.on("data", (chunk: Buffer) => wire.push(chunk));
    });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve());
  });
  const { port } = server.server.address() as AddressInfo;
  return {
    host: "127.0.0.1",
    port,
    ca: files.ca,
    received,
    connections: () => connections,
    asked: () => seen,
    wire: () => Buffer.concat(wire).toString("utf8"),
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}
