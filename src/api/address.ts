import { isIPv4, isIPv6 } from "node:net";

/** An IP address in its one canonical text, IPv4-mapped IPv6 as IPv4, without a zone; null when it is none. */
export function canonicalIp(text: string): string | null {
  const [address = ""] = text.trim().split("%");
  if (isIPv4(address)) return address;
  if (!isIPv6(address)) return null;
  const canonical = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(canonical);
  if (mapped === null) return canonical;
  const bytes = [mapped[1], mapped[2]].flatMap((word) => {
    const value = Number.parseInt(word ?? "", 16);
    return [value >> 8, value & 255];
  });
  return bytes.join(".");
}

/** Whether an address is of this machine only: 127.0.0.0/8, ::1 and their mapped forms. */
export function isLoopback(address: string): boolean {
  const ip = canonicalIp(address);
  return ip !== null && (ip === "::1" || ip.startsWith("127."));
}

/** The host of a `Host` header without its port; null when it is malformed. */
function hostName(host: string): string | null {
  if (!/^[^\s/?#@\\]+$/.test(host) || !URL.canParse(`http://${host}`)) return null;
  return new URL(`http://${host}`).hostname;
}

/**
 * Whether a `Host` header names this machine as such. A page of another site that makes its own name point to
 * 127.0.0.1 (DNS rebinding) still sends its own name here.
 */
export function isLoopbackHost(host: string): boolean {
  const name = hostName(host);
  return name !== null && (name === "localhost" || isLoopback(name.replaceAll(/^\[|\]$/g, "")));
}
