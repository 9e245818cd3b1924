import { AgentError } from "../core/errors.ts";
import type { Host } from "./contract.ts";
import {
  type Address6,
  dotted4,
  parseAddresses6,
  parseLocalAddresses4,
  parseRoutes4,
  parseRoutes6,
  type Route4,
  type Route6,
} from "./proc/routes.ts";

function lowestMetric<T extends { readonly metric: number }>(routes: readonly T[]): T | undefined {
  return [...routes].sort((a, b) => a.metric - b.metric)[0];
}

function contains({ destination, mask }: Route4, address: number): boolean {
  return (address & mask) >>> 0 === destination;
}

const loopback4 = { destination: 0x7f000000, mask: 0xff000000 };

/**
 * The address a packet along the default route would carry: the one in the gateway's network, else in another network
 * of that interface, else (a cloud's /32 address) the only one in no network of any other interface. Several
 * addresses in one network: the lowest, as the tables do not say which came first.
 */
export function sourceAddress4(
  routes: readonly Route4[],
  localAddresses: readonly number[],
): string | null {
  const usable = routes.filter((route) => route.isUsable);
  const defaultRoute = lowestMetric(
    usable.filter(({ destination, mask }) => destination === 0 && mask === 0),
  );
  if (defaultRoute === undefined) return null;
  const networks = usable.filter(({ mask, gateway }) => mask !== 0 && gateway === 0);
  const isOwn = ({ interfaceName }: Route4): boolean =>
    interfaceName === defaultRoute.interfaceName;
  const own = networks.filter(isOwn);
  const foreign = networks.filter((route) => !isOwn(route));
  const nearGateway = own.filter((route) => contains(route, defaultRoute.gateway));
  const isIn =
    (some: readonly Route4[]) =>
    (address: number): boolean =>
      some.some((route) => contains(route, address));
  const outside = localAddresses.filter(
    (address) =>
      !isIn(foreign)(address) && (address & loopback4.mask) >>> 0 !== loopback4.destination,
  );
  const chosen =
    localAddresses.find(isIn(nearGateway)) ??
    localAddresses.find(isIn(own)) ??
    (outside.length === 1 ? outside[0] : undefined);
  return chosen === undefined ? null : dotted4(chosen);
}

/** A lasting global address of the interface with the default route; one valid within a site only when there is no other. */
export function sourceAddress6(
  routes: readonly Route6[],
  addresses: readonly Address6[],
): string | null {
  const defaultRoute = lowestMetric(
    routes.filter(({ isDefault, isUsable }) => isDefault && isUsable),
  );
  const own = addresses.filter(
    ({ interfaceName, isGlobal }) => isGlobal && interfaceName === defaultRoute?.interfaceName,
  );
  const rank = ({ isStable, isSiteOnly }: Address6): number =>
    (isStable ? 0 : 2) + (isSiteOnly ? 1 : 0);
  return [...own].sort((a, b) => rank(a) - rank(b))[0]?.address ?? null;
}

/** Tables of the host's network; a container sees them through process 1. Null when this kernel has no such table. */
function netTables(host: Host, names: readonly [string, string]): [string, string] | null {
  for (const process of ["1", "self"]) {
    try {
      return [
        host.readProc(`${process}/net/${names[0]}`),
        host.readProc(`${process}/net/${names[1]}`),
      ];
    } catch (cause) {
      // The other process may show them; without either there is no address to find, which the caller is told.
      if (!(cause instanceof AgentError)) throw cause;
    }
  }
  return null;
}

/**
 * The source address of the host's default route, IPv4 before IPv6, read from its tables (no packet is sent); null
 * when there is none to be found. Throws PROC_UNREADABLE when a table is garbled.
 */
export function detectAddress(host: Host): string | null {
  const tables4 = netTables(host, ["route", "fib_trie"]);
  const address4 =
    tables4 && sourceAddress4(parseRoutes4(tables4[0]), parseLocalAddresses4(tables4[1]));
  if (address4 !== null) return address4;
  const tables6 = netTables(host, ["ipv6_route", "if_inet6"]);
  return tables6 && sourceAddress6(parseRoutes6(tables6[0]), parseAddresses6(tables6[1]));
}
