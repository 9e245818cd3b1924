import path from "node:path";
import { AgentError, errorText } from "../core/errors.ts";
import type { Reading } from "../core/series.ts";
import { defineCollector, type Family, type Host } from "./contract.ts";
import { defaultInterfaces, isWatchedInterface, type NetOwner } from "./interfaces.ts";
import { type DirectionCounters, type InterfaceCounters, parseNetDev } from "./proc/netdev.ts";

/**
 * The host's interfaces are those of process 1. Where that is hidden (hidepid), our own are the host's as well, unless
 * /proc is mounted into our container: then they are the container's, and no value is better than a wrong one.
 */
function readNetDev(host: Host): readonly [NetOwner, string] {
  try {
    return ["1", host.readProc("1/net/dev")];
  } catch (cause) {
    if (path.resolve(host.roots.proc) === "/proc") return ["self", host.readProc("self/net/dev")];
    throw new AgentError(
      "PROC_UNREADABLE",
      `${errorText(cause)}; self/net/dev would be this container's network, not the host's`,
      { cause },
    );
  }
}

function readInterfaces(host: Host): readonly InterfaceCounters[] {
  const [owner, text] = readNetDev(host);
  let defaults: ReadonlySet<string> | undefined;
  return parseNetDev(text, (name) => {
    if (isWatchedInterface(name)) return true;
    if (name === "lo") return false;
    defaults ??= defaultInterfaces(host, owner);
    return defaults.has(name);
  });
}

/** What was added per second; null when no time has passed, or when a counter went back and so began anew. */
function rate(
  now: readonly number[],
  before: readonly number[],
  elapsedSeconds: number,
): number | null {
  const added = now.map((value, i) => value - (before[i] ?? 0));
  if (elapsedSeconds <= 0 || added.some((value) => value < 0)) return null;
  return added.reduce((sum, value) => sum + value, 0) / elapsedSeconds;
}

/**
 * What each index adds up, of an interface. Drops are no errors: Linux counts there every packet of a protocol or a VLAN
 * that nobody listens to, which healthy hosts get all day.
 */
const counted: Readonly<Record<string, (one: InterfaceCounters) => readonly number[]>> = {
  net_receive: ({ receive }) => [receive.bytes],
  net_transmit: ({ transmit }) => [transmit.bytes],
  net_errors: ({ receive, transmit }) => [receive.errs, transmit.errs],
};

function readingsOf(
  now: InterfaceCounters,
  before: InterfaceCounters,
  elapsedSeconds: number,
): readonly Reading[] {
  const labels = { interface: now.name };
  return Object.entries(counted).map(([index, counters]) => ({
    index,
    labels,
    value: rate(counters(now), counters(before), elapsedSeconds),
  }));
}

const directions = ["receive", "transmit"] as const;
const counters = [
  "bytes",
  "packets",
  "errs",
  "drop",
] as const satisfies readonly (keyof DirectionCounters)[];

/**
 * Traffic of the interfaces that have some of their own. node_exporter shows every interface; here /metrics has those
 * that are stored, since a pod's end of a few hours would be eight series for ever in whoever scrapes.
 */
export const network = defineCollector<readonly InterfaceCounters[]>({
  name: "network",
  doc: "Traffic of the host's interfaces by /proc/1/net/dev, without those of containers",
  defaultOn: true,
  indexes: [
    {
      name: "net_receive",
      unit: "B/s",
      decimals: 0,
      labels: ["interface"],
      help: "Bytes received per second",
    },
    {
      name: "net_transmit",
      unit: "B/s",
      decimals: 0,
      labels: ["interface"],
      help: "Bytes sent per second",
    },
    {
      name: "net_errors",
      unit: "/s",
      // One error in the longest interval, 300 s, is not rounded to none.
      decimals: 3,
      labels: ["interface"],
      help: "Errors per second in both directions, without drops",
    },
  ],
  read: readInterfaces,
  readings: (now, before) => {
    if (before === undefined) return [];
    const earlier = new Map(before.raw.map((one) => [one.name, one]));
    return now.flatMap((one) => {
      const same = earlier.get(one.name);
      return same === undefined ? [] : readingsOf(one, same, before.elapsedSeconds);
    });
  },
  families: (now) =>
    directions.flatMap((direction) =>
      counters.map((counter): Family => ({
        name: `node_network_${direction}_${counter}_total`,
        help: `Network device statistic ${direction}_${counter}.`,
        type: "counter",
        samples: now.map((one) => ({
          labels: { device: one.name },
          value: one[direction][counter],
        })),
      })),
    ),
});
