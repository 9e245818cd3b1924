import { lookup } from "node:dns/promises";
import { once } from "node:events";
import net from "node:net";
import tls from "node:tls";
import { codeOf, errorText } from "../core/errors.ts";
import { untilAborted } from "../base/every.ts";

/** The steps of a way to a service, in their order. */
export type ReachStep = "dns" | "tcp" | "tls" | "auth";

/** How far the way to a service goes: to its end, or to the step that failed. */
export type Reached =
  | { readonly ok: true; readonly found: string }
  | { readonly ok: false; readonly step: ReachStep; readonly reason: string };

/** Whether an error is about certificates or the handshake, by the codes of Node and OpenSSL. */
export function isTlsFailure(cause: unknown): boolean {
  const text = `${codeOf(cause) ?? ""} ${errorText(cause)}`;
  return /CERT|SELF_SIGNED|ERR_TLS|ERR_SSL|ERR_OSSL|EPROTO|UNABLE_TO_|certificate|SSL routines/.test(
    text,
  );
}

async function step<T>(
  name: ReachStep,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T | { readonly ok: false; readonly step: ReachStep; readonly reason: string }> {
  try {
    return await untilAborted(work(), signal);
  } catch (cause) {
    return { ok: false, step: name, reason: errorText(cause) || (codeOf(cause) ?? "") };
  }
}

/** The name, then a connection, then TLS where the address asks for it; no byte of HTTP is sent. */
export async function reachUrl(url: URL, signal: AbortSignal): Promise<Reached> {
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  const secure = url.protocol === "https:";
  const port = url.port === "" ? (secure ? 443 : 80) : Number(url.port);
  const found = await step("dns", signal, () => lookup(host));
  if ("ok" in found) return found;
  const socket = net.connect({ host, port });
  try {
    const connected = await step("tcp", signal, () => once(socket, "connect"));
    if ("ok" in connected) return connected;
    if (!secure) return { ok: true, found: `${host}:${port} accepts connections` };
    const servername = net.isIP(host) === 0 ? { servername: host } : {};
    const encrypted = tls.connect({ socket, ...servername, host });
    encrypted.on("error", () => {});
    const shaken = await step("tls", signal, () => once(encrypted, "secureConnect"));
    if ("ok" in shaken) return shaken;
    return { ok: true, found: `${host}:${port} accepts connections, certificate trusted` };
  } finally {
    // An error that comes after the answer is nobody's business any more.
    socket.on("error", () => {});
    socket.destroy();
  }
}
