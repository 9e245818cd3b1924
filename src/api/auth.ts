import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { isLoopback, isLoopbackHost } from "./address.ts";
import { isJson, notJson } from "./body.ts";
import type { ApiSettings } from "./ports.ts";
import { problem } from "./problem.ts";
import type { Reply } from "./reply.ts";
import type { Access } from "./route.ts";

/** Who asks for what. */
export interface Asked {
  readonly access: Access;
  readonly headers: IncomingHttpHeaders;
  /** Of the socket; a forwarded address is only a claim. */
  readonly remoteAddress: string;
}

const setToken = "set a token in server.token or SERVER_TOKEN and send it as Authorization: Bearer";

function refuse(detail: string, error = ""): Reply {
  return problem(401, detail, [], { "WWW-Authenticate": `Bearer realm="targetvpc"${error}` });
}

/** Compares without telling by the time it takes how much was right: digests have one length. */
function sameToken(given: string, expected: string): boolean {
  // Node reads header bytes as Latin-1; this gives the bytes back.
  const digest = (bytes: Buffer): Buffer => createHash("sha256").update(bytes).digest();
  return timingSafeEqual(digest(Buffer.from(given, "latin1")), digest(Buffer.from(expected)));
}

function checkToken(header: string | undefined, expected: string): Reply | null {
  const given = /^bearer +(.+)$/i.exec(header ?? "")?.[1]?.trim();
  if (given === undefined) return refuse("this needs Authorization: Bearer <server.token>");
  return sameToken(given, expected) ? null : refuse("wrong token", ', error="invalid_token"');
}

/** Whether a browser sent this from a page of another origin. */
function foreignOrigin({ origin, host = "" }: IncomingHttpHeaders): boolean {
  if (origin === undefined) return false;
  return !URL.canParse(origin) || new URL(origin).host !== new URL(`http://${host}`).host;
}

/** Without a token only the machine itself is trusted, and no web page or proxy that runs on it. */
function checkLoopback({ access, headers, remoteAddress }: Asked): Reply | null {
  const proxied = headers["x-forwarded-for"] ?? headers.forwarded ?? headers.via;
  if (!isLoopback(remoteAddress) || proxied !== undefined)
    return refuse(`without a token this is accepted over loopback only; ${setToken}`);
  if (!isLoopbackHost(headers.host ?? ""))
    return refuse(`without a token the Host must be localhost or a loopback address; ${setToken}`);
  if (foreignOrigin(headers))
    return refuse(`without a token pages of another origin are refused; ${setToken}`);
  return access === "write" && !isJson(headers["content-type"]) ? notJson() : null;
}

/** The refusal of a request that may not do what it asks for; null when it may. */
export function refusal(asked: Asked, settings: ApiSettings): Reply | null {
  if (asked.access === "probe" || asked.access === "link") return null;
  if (asked.access === "read" && settings.protect !== "all") return null;
  return settings.token === null
    ? checkLoopback(asked)
    : checkToken(asked.headers.authorization, settings.token.reveal());
}
