import { SocketAddress } from "node:net";
import { unexpected } from "./numbers.ts";

/** A line of /proc/net/route; addresses as 32-bit numbers. */
export interface Route4 {
  readonly interfaceName: string;
  readonly destination: number;
  readonly mask: number;
  /** 0: directly connected. */
  readonly gateway: number;
  readonly metric: number;
  readonly isUsable: boolean;
}

/** A line of /proc/net/ipv6_route, as far as default routes need it. */
export interface Route6 {
  readonly interfaceName: string;
  readonly isDefault: boolean;
  readonly metric: number;
  readonly isUsable: boolean;
}

/** A line of /proc/net/if_inet6. */
export interface Address6 {
  readonly interfaceName: string;
  readonly address: string;
  /** Neither loopback nor link-local. */
  readonly isGlobal: boolean;
  /** fc00::/7: valid within a site only. */
  readonly isSiteOnly: boolean;
  /** Neither temporary nor deprecated nor still being checked for duplicates. */
  readonly isStable: boolean;
}

/** RTF_UP and RTF_REJECT of <linux/route.h>. */
const routeIsUp = 0x1;
const routeRejects = 0x200;

/** IFA_F_TEMPORARY, DADFAILED, DEPRECATED and TENTATIVE of <linux/if_addr.h>. */
const unstableAddress = 0x01 | 0x08 | 0x20 | 0x40;

function isUsable(flags: number): boolean {
  return (flags & routeIsUp) !== 0 && (flags & routeRejects) === 0;
}

/** The kernel prints an address in network order as one number of a little-endian machine: 010200C0 is 192.0.2.1. */
function littleEndian(hex: string): number {
  return Buffer.from(hex, "hex").readUInt32LE();
}

function lines(text: string): readonly string[] {
  return text.split("\n").filter((line) => line.trim() !== "");
}

const route4 =
  /^(\S+)\s+([0-9A-F]{8})\s+([0-9A-F]{8})\s+([0-9A-F]{4})\s+\d+\s+\d+\s+(\d+)\s+([0-9A-F]{8})\s/i;

/** Reads /proc/net/route. Throws PROC_UNREADABLE on a garbled line. */
export function parseRoutes4(text: string): readonly Route4[] {
  return lines(text)
    .filter((line) => !line.startsWith("Iface"))
    .map((line) => {
      const [, interfaceName = "", destination = "", gateway = "", flags = "", metric, mask = ""] =
        route4.exec(line) ?? [];
      if (interfaceName === "") throw unexpected("net/route", "a route in hex", line);
      return {
        interfaceName,
        destination: littleEndian(destination),
        mask: littleEndian(mask),
        gateway: littleEndian(gateway),
        metric: Number(metric),
        isUsable: isUsable(parseInt(flags, 16)),
      };
    });
}

/** An IPv4 address as a number; null for anything else. */
function number4(dotted: string): number | null {
  const bytes = dotted.split(".").map(Number);
  const isAddress = bytes.length === 4 && bytes.every((byte) => byte >= 0 && byte <= 255);
  return isAddress ? Buffer.from(bytes).readUInt32BE() : null;
}

/** An IPv4 address as people write it. */
export function dotted4(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join(".");
}

/** The host's own IPv4 addresses by /proc/net/fib_trie, each once, in numeric order. */
export function parseLocalAddresses4(text: string): readonly number[] {
  const found = new Set<number>();
  let leaf: number | null = null;
  for (const line of lines(text)) {
    const address = /^\s*\|-- (\S+)$/.exec(line)?.[1];
    if (address !== undefined) {
      leaf = number4(address);
      if (leaf === null) throw unexpected("net/fib_trie", "an IPv4 address", line);
    } else if (leaf !== null && /^\s*\/32 host LOCAL$/.test(line)) found.add(leaf);
  }
  return [...found].sort((a, b) => a - b);
}

/** Reads /proc/net/ipv6_route. Throws PROC_UNREADABLE on a garbled line. */
export function parseRoutes6(text: string): readonly Route6[] {
  return lines(text).map((line) => {
    const words = line.trim().split(/\s+/);
    const [destination = "", length = "", , , , metric = "", , , flags = "", name] = words;
    if (name === undefined || !/^[0-9a-f]{32}$/i.test(destination))
      throw unexpected("net/ipv6_route", "ten columns in hex", line);
    return {
      interfaceName: name,
      isDefault: length === "00" && /^0+$/.test(destination),
      metric: parseInt(metric, 16),
      isUsable: isUsable(parseInt(flags, 16)) && name !== "lo",
    };
  });
}

/** Reads /proc/net/if_inet6. Throws PROC_UNREADABLE on a garbled line. */
export function parseAddresses6(text: string): readonly Address6[] {
  return lines(text).map((line) => {
    const [, hex, scope, flags = "", interfaceName] =
      /^([0-9a-f]{32}) [0-9a-f]+ [0-9a-f]+ ([0-9a-f]+) ([0-9a-f]+)\s+(\S+)\s*$/i.exec(line) ?? [];
    if (hex === undefined || interfaceName === undefined)
      throw unexpected("net/if_inet6", "six columns in hex", line);
    const address = hex.match(/.{4}/g)?.join(":") ?? "";
    return {
      interfaceName,
      address: new SocketAddress({ address, family: "ipv6" }).address,
      isGlobal: scope === "00",
      isSiteOnly: /^f[cd]/i.test(hex),
      isStable: (parseInt(flags, 16) & unstableAddress) === 0,
    };
  });
}
