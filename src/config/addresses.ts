import { kindOf } from "../base/parse.ts";
import type { Checked, Format } from "./formats.ts";

/** A host and a port. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

const hostPattern = /^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?\.?$/;
const addressPattern = /^(?:\[([0-9A-Fa-f:.]+)\]|([^[\]:]+)):([0-9]{1,5})$/;

function isIpv6(host: string): boolean {
  return URL.canParse(`http://[${host}]`);
}

/** A name or an IPv4 address, or an IPv6 address without brackets. */
function isHost(host: string): boolean {
  return hostPattern.test(host) || isIpv6(host);
}

function fromParts(host: unknown, port: unknown): Address | null {
  const isPort = typeof port === "number" && Number.isInteger(port) && port > 0 && port < 65_536;
  return typeof host === "string" && isHost(host) && isPort ? { host, port } : null;
}

function parseOne(item: unknown): Address | null {
  if (typeof item === "string") {
    const [, six, other, port] = addressPattern.exec(item.trim()) ?? [];
    return six !== undefined && !isIpv6(six) ? null : fromParts(six ?? other, Number(port));
  }
  if (typeof item !== "object" || item === null || Array.isArray(item)) return null;
  const { host, port, ...others } = item as Readonly<Record<string, unknown>>; // proof: a plain object, as JSON and YAML give
  return Object.keys(others).length === 0 ? fromParts(host, port) : null;
}

function parseAll(items: readonly unknown[], expected: string): Checked<readonly Address[]> {
  const found: Address[] = [];
  for (const [index, item] of items.entries()) {
    const address = parseOne(item);
    if (address === null) {
      // Not shown: it may be a URL with a password in it.
      const got = typeof item === "string" ? "another text" : kindOf(item);
      return { fault: `expected ${expected} as number ${index + 1}, got ${got}` };
    }
    if (found.some(({ host, port }) => host === address.host && port === address.port))
      return { fault: `names number ${index + 1} twice` };
    found.push(address);
  }
  return { value: found };
}

/** Addresses as `{host, port}` or `host:port`, an IPv6 address in brackets; a variable separates them by commas. */
export function addresses(example: string): Format<readonly Address[]> {
  const expected = `host:port such as ${example} or [::1]:6379, or {"host": …, "port": …}`;
  const port = { type: "integer", minimum: 1, maximum: 65_535 };
  const parts = {
    type: "object",
    properties: { host: { type: "string", minLength: 1 }, port },
    required: ["host", "port"],
    additionalProperties: false,
  };
  return {
    schema: {
      type: "array",
      items: { anyOf: [{ type: "string", pattern: ":[0-9]{1,5}$" }, parts] },
    },
    fromText: (text) => text.split(",").map((item) => item.trim()),
    parse: (input) =>
      Array.isArray(input)
        ? parseAll(input, expected)
        : { fault: `expected a list of ${expected}, got ${kindOf(input)}` },
  };
}
