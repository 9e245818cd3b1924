import { AgentError } from "../../core/errors.ts";
import { listReply } from "./replies.ts";
import type { RedisAddress } from "./settings.ts";

const slotCount = 16_384;

/** CRC-16/XMODEM, as the specification of Redis Cluster has it. */
function crc16(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021;
    crc &= 0xffff;
  }
  return crc;
}

/** The slot of what is hashed of a key. */
export function slotOf(hashed: string): number {
  return crc16(Buffer.from(hashed)) % slotCount;
}

/** Slots and the master of each. */
export interface SlotRange {
  readonly from: number;
  readonly to: number;
  readonly master: RedisAddress;
}

/** An address as Redis tells it; without a host it is that of the node that tells. */
function toldBy(host: unknown, port: unknown, teller: RedisAddress): RedisAddress {
  if (typeof port !== "number") throw new AgentError("STORE_UNAVAILABLE", "a node without a port");
  return { host: typeof host === "string" && host !== "" ? host : teller.host, port };
}

/** Reads the answer of a node to CLUSTER SLOTS. */
export function parseSlots(reply: unknown, teller: RedisAddress): SlotRange[] {
  return listReply(reply).map((range) => {
    const [from, to, master] = listReply(range);
    const [host, port] = listReply(master);
    if (typeof from !== "number" || typeof to !== "number")
      throw new AgentError("STORE_UNAVAILABLE", "a range of slots without its ends");
    return { from, to, master: toldBy(host, port, teller) };
  });
}

/** Where a slot is (`MOVED`) or is on its way to (`ASK`); null: the error says something else. */
export function redirection(
  message: string,
  teller: RedisAddress,
): { readonly kind: "MOVED" | "ASK"; readonly to: RedisAddress } | null {
  const [, kind, host, port] = /^(MOVED|ASK) \d+ (.*):(\d+)$/.exec(message) ?? [];
  if (kind !== "MOVED" && kind !== "ASK") return null;
  return { kind, to: toldBy(host, Number(port), teller) };
}
