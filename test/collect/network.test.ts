import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import fc from "fast-check";
import type { Host } from "../../src/collect/contract.ts";
import { createHost } from "../../src/collect/host.ts";
import { isWatchedInterface } from "../../src/collect/interfaces.ts";
import { network } from "../../src/collect/network.ts";
import { type InterfaceCounters, parseNetDev } from "../../src/collect/proc/netdev.ts";
import { createCollection } from "../../src/collect/runner.ts";
import { AgentError } from "../../src/core/errors.ts";
import { seriesKey } from "../../src/core/series.ts";
import { ManualClock } from "../support/clock.ts";
import { createTestLog, recordedHost, unreadable } from "./support.ts";

const headings =
  "Inter-|   Receive                                                |  Transmit\n" +
  " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n";

interface Counts {
  readonly received?: number;
  readonly sent?: number;
  readonly receiveErrors?: number;
  readonly sendErrors?: number;
  readonly drops?: number;
}

function line(name: string, counts: Counts = {}): string {
  const { received = 0, sent = 0, receiveErrors = 0, sendErrors = 0, drops = 0 } = counts;
  return `${name}: ${received} 1 ${receiveErrors} ${drops} 0 0 0 0 ${sent} 1 ${sendErrors} ${drops} 0 0 0 0\n`;
}

function netDev(...lines: readonly string[]): string {
  return headings + lines.join("");
}

function values(
  now: string | readonly InterfaceCounters[],
  before: string | readonly InterfaceCounters[],
  elapsedSeconds = 10,
): Record<string, number | null> {
  const look = (one: typeof now): readonly InterfaceCounters[] =>
    typeof one === "string" ? parseNetDev(netDev(one)) : one;
  return Object.fromEntries(
    network
      .readings(look(now), { raw: look(before), elapsedSeconds })
      .map(({ index, labels, value }) => [seriesKey(index, labels), value]),
  );
}

const receive = 'net_receive{interface="eth0"}';
const transmit = 'net_transmit{interface="eth0"}';
const errors = 'net_errors{interface="eth0"}';

describe("network", () => {
  it("has no readings at the first look", () => {
    assert.deepEqual(network.readings(parseNetDev(netDev(line("eth0"))), undefined), []);
  });

  it("is what was added per second, of errors in both directions, without drops", () => {
    const before = line("eth0", { received: 1_000, sent: 500, receiveErrors: 7, sendErrors: 1 });
    const now = line("eth0", {
      received: 51_000,
      sent: 600,
      receiveErrors: 9,
      sendErrors: 2,
      drops: 999,
    });
    assert.deepEqual(values(now, before), { [receive]: 5_000, [transmit]: 10, [errors]: 0.3 });
  });

  it("is null, not a spike, where a counter went back, and only there", () => {
    const before = { received: 4_294_967_000, sent: 500, receiveErrors: 5, sendErrors: 5 };
    const wrapped = line("eth0", { ...before, received: 100, sent: 510 });
    assert.deepEqual(values(wrapped, line("eth0", before)), {
      [receive]: null,
      [transmit]: 1,
      [errors]: 0,
    });
    const errorsReset = line("eth0", { ...before, receiveErrors: 900, sendErrors: 0 });
    assert.equal(values(errorsReset, line("eth0", before))[errors], null);
  });

  it("is right again at the look after a reset", () => {
    const reset = line("eth0", { received: 50 });
    assert.equal(values(reset, line("eth0", { received: 9_000 }))[receive], null);
    assert.equal(values(line("eth0", { received: 90 }), reset)[receive], 4);
  });

  it("is null when no time has passed", () => {
    assert.equal(values(line("eth0", { received: 9 }), line("eth0"), 0)[receive], null);
  });

  it("begins with the second look at an interface, and ends with it", () => {
    const keys = (now: string, before: string): string[] => Object.keys(values(now, before));
    assert.deepEqual(keys(line("eth0") + line("eth1"), line("eth0")), [receive, transmit, errors]);
    assert.deepEqual(keys("", line("eth0")), []);
  });

  it("is null or between nothing and all that was counted, for any two looks", () => {
    const counter = fc.nat({ max: Number.MAX_SAFE_INTEGER });
    const direction = fc.record({ bytes: counter, packets: counter, errs: counter, drop: counter });
    const one = fc.record({ name: fc.constant("eth0"), receive: direction, transmit: direction });
    fc.assert(
      fc.property(one, one, fc.double({ min: 0.5, max: 300, noNaN: true }), (now, before, span) => {
        const most: Readonly<Record<string, number>> = {
          [receive]: now.receive.bytes,
          [transmit]: now.transmit.bytes,
          [errors]: now.receive.errs + now.transmit.errs,
        };
        for (const [key, value] of Object.entries(values([now], [before], span)))
          assert.ok(value === null || (value >= 0 && value <= (most[key] ?? -1) / span), key);
      }),
    );
  });

  it("stores 200 series of 500 interfaces, whole interfaces first, and counts the others", async () => {
    const proc = await mkdtemp(path.join(os.tmpdir(), "net-"));
    try {
      const text = netDev(...Array.from({ length: 500 }, (_, i) => line(`eth0.${i}`)));
      await mkdir(path.join(proc, "1/net"), { recursive: true });
      await writeFile(path.join(proc, "1/net/dev"), text);
      const clock = new ManualClock();
      const host = createHost({ roots: { proc, sys: "/sys", root: "/" }, clock });
      const deps = { host, collectors: [network], clock, log: createTestLog() };
      const collection = createCollection(deps);
      await collection.collect(0);
      await clock.advance(10_000);
      const keys = [...(await collection.collect(10_000)).values.keys()];
      assert.equal(keys.length, 200);
      assert.equal(collection.refusedSeries(), 1_300);
      assert.equal(keys.filter((key) => key.includes('"eth0.65"')).length, 3);
      assert.equal((await collection.families())[0]?.samples.length, 500);
    } finally {
      await rm(proc, { recursive: true });
    }
  });
});

describe("watched interfaces", () => {
  const names = (host: Host): string[] =>
    // What `read` of this collector gives.
    (network.read(host) as readonly InterfaceCounters[]).map(({ name }) => name);

  it("are physical ones, bonds, VLANs, bridges of one's own and VPNs", () => {
    for (const name of (
      "eth0 eth12 eno1 ens3 enp1s0f0np0 enx0011223344ab em1 p4p1 ib0 wlan0 wlp2s0 wwan0 usb0 hsn0 bond0 team0 " +
      "eth0.120 bond0.7 vlan100 br0 vmbr0 xenbr0 bridge0 wg0 ppp0 sit1 gre1 vxlan100 venet0 sfp0 lan1 local0 net-storage"
    ).split(" "))
      assert.ok(isWatchedInterface(name), name);
  });

  it("are none that containers, virtual machines and cluster networks are made of", () => {
    for (const name of (
      "lo dummy0 ifb0 tunl0 sit0 gretap0 ip6tnl0 docker0 docker_gwbridge br-7f3c9d2e5a10 br-int podman1 veth128c376e " +
      "vethwe-bridge cni0 cni-podman0 cbr0 virbr0 virbr0-nic vnet3 tap100i0 tun0 fwbr100i0 fwpr100p0 qvo1f2e3d4c-5b lxcbr0 " +
      "lxdbr0 incusbr0 cali0ef24ab vxlan.calico wireguard.cali flannel.1 flannel-v6.1 cilium_host cilium_vxlan lxc3a5b0d9e " +
      "lxc_health weave vxlan-6784 datapath kube-bridge kube-dummy-if tun-192168926 kube-ipvs0 nodelocaldns eni1f2e3d4c5b6 " +
      "vlan1f2e3d4c5b6 azv768e8de ovs-system genev_sys_6081 vxlan_sys_4789 ovn-k8s-mp0 27c668d853d17c0 ovn0 0a1b2c3d4e5f_h " +
      "0a1b2c3d_net1_h antrea-gw0 coredns--1f2e3d nginx-5f-0a1b2c"
    ).split(" "))
      assert.equal(isWatchedInterface(name), false, name);
  });

  const watchedOf = {
    vm: ["eth0"],
    "many-core": ["eth0", "eth1", "eth2", "eth3", "eth1.120"],
    "cgroup-v1": ["ens3"],
    "cgroup-v2": ["enp1s0", "wlp2s0", "wg0"],
    containers: ["eth0", "eth1", "eth2", "bond0"],
  };
  for (const [name, watched] of Object.entries(watchedOf))
    it(`are ${watched.join(", ")} of the recorded host ${name}`, () => {
      assert.deepEqual(names(recordedHost(name)), watched);
    });

  /** A host of these files; others it cannot read. It remembers what it was asked. */
  function hostOf(
    files: Readonly<Record<string, string>>,
    proc = "/host/proc",
  ): Host & { asked: string[] } {
    const asked: string[] = [];
    const readProc = (file: string): string => {
      asked.push(file);
      const text = files[file];
      if (text === undefined)
        throw new AgentError("PROC_UNREADABLE", `cannot read ${proc}/${file}`);
      return text;
    };
    return {
      asked,
      readProc,
      roots: { proc, sys: "/sys", root: "/" },
      filesystems: () => Promise.resolve([]),
    };
  }

  const route4 = (name: string, gateway = "0100090A", flags = "0003"): string =>
    `${name}\t00000000\t${gateway}\t${flags}\t0\t0\t0\t00000000\t0\t0\t0\n`;
  const route6 = (name: string): string =>
    `${"0".repeat(32)} 00 ${"0".repeat(32)} 00 fe80${"0".repeat(27)}1 00000400 00000001 00000000 00000003 ${name}\n`;
  const bridged = netDev(line("lo"), line("eno1"), line("br-ex"), line("br-int"), line("tun0"));

  it("are in any case those of the default routes, whatever their names", () => {
    const route = `Iface\tDestination\n${route4("br-ex")}${route4("tun0")}eno1\t0000090A\twhat\n`;
    assert.deepEqual(names(hostOf({ "1/net/dev": bridged, "1/net/route": route })), [
      "eno1",
      "br-ex",
      "tun0",
    ]);
  });

  it("are those of the default routes of IPv6 when there is none of IPv4", () => {
    const unusable = route4("tun0", "00000000", "0201");
    const files = { "1/net/dev": bridged, "1/net/ipv6_route": route6("br-ex") };
    assert.deepEqual(names(hostOf(files)), ["eno1", "br-ex"]);
    assert.deepEqual(names(hostOf({ ...files, "1/net/route": unusable })), ["eno1", "br-ex"]);
    assert.deepEqual(names(hostOf({ ...files, "1/net/route": route4("tun0") })), ["eno1", "tun0"]);
  });

  it("follow the default route though the end of a long table is cut", () => {
    const half = route4("br-int").slice(0, 20);
    const route = `Iface\tDestination\n${route4("br-ex")}${half}`;
    assert.deepEqual(names(hostOf({ "1/net/dev": bridged, "1/net/route": route })), [
      "eno1",
      "br-ex",
    ]);
  });

  it("need no routes where every name is a physical one's", () => {
    const host = hostOf({ "1/net/dev": netDev(line("lo"), line("eth0")) });
    assert.deepEqual(names(host), ["eth0"]);
    assert.deepEqual(host.asked, ["1/net/dev"]);
  });

  it("are our own when process 1 is hidden and /proc is our own", () => {
    const files = { "self/net/dev": bridged, "self/net/route": route4("br-ex") };
    for (const proc of ["/proc", "/proc/"])
      assert.deepEqual(names(hostOf(files, proc)), ["eno1", "br-ex"]);
  });

  it("are an error, never the container's own, when process 1 of a mounted /proc is hidden", () => {
    assert.throws(
      () => network.read(hostOf({ "self/net/dev": netDev(line("eth0")) })),
      unreadable(/cannot read \/host\/proc\/1\/net\/dev; self\/net\/dev would be this container's/),
    );
  });
});
