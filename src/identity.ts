import os from "node:os";
import type { NodeIdentity } from "./core/node.ts";
import { detectAddress } from "./collect/address.ts";
import type { Host } from "./collect/contract.ts";
import type { Config } from "./config/settings.ts";

/** An address of the machine when the host's tables cannot be read: the first that is not loopback, IPv4 first. */
function anyAddress(): string {
  const all = Object.values(os.networkInterfaces()).flatMap((list) => list ?? []);
  const outside = all.filter(({ internal }) => !internal);
  const found = outside.find(({ family }) => family === "IPv4") ?? outside[0];
  return found?.address ?? "127.0.0.1";
}

/** Who this agent speaks for: as configured, else as the host says. */
export function identify({ node }: Config, host: Host): NodeIdentity {
  return {
    cluster: node.cluster,
    name: node.name ?? os.hostname(),
    ip: node.ip ?? detectAddress(host) ?? anyAddress(),
  };
}
