import assert from "node:assert/strict";
import dgram from "node:dgram";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { detectAddress, sourceAddress4, sourceAddress6 } from "../../src/collect/address.ts";
import { createHost } from "../../src/collect/host.ts";
import {
  parseAddresses6,
  parseLocalAddresses4,
  parseRoutes4,
  parseRoutes6,
} from "../../src/collect/proc/routes.ts";
import { ManualClock } from "../support/clock.ts";
import { recordedHost, unreadable } from "./support.ts";

/** The source address of a connected datagram socket; connecting one sends nothing. Null where no route leads. */
async function kernelsChoice(type: "udp4" | "udp6", destination: string): Promise<string | null> {
  const socket = dgram.createSocket(type);
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once("error", reject);
      socket.connect(9, destination, () => resolve());
    });
    return socket.address().address;
  } catch (cause) {
    assert.match(String(cause), /ENETUNREACH|EADDRNOTAVAIL|EAFNOSUPPORT/);
    return null;
  } finally {
    socket.close();
  }
}

describe("address of the node", () => {
  const expected = {
    "vm with one interface": ["vm", "192.0.2.17"],
    "server with two interfaces and two default routes: the lower metric's": [
      "many-core",
      "10.20.31.4",
    ],
    "cloud server whose /32 address is in no network": ["cgroup-v1", "203.0.113.77"],
    "host with IPv6 only: neither temporary nor site-only": ["cgroup-v2", "2001:db8:a::15"],
    "container host with docker and overlay bridges": ["containers", "10.0.9.200"],
  } as const;
  for (const [title, [name, address]] of Object.entries(expected))
    it(`is found on a ${title}`, () => {
      assert.equal(detectAddress(recordedHost(name)), address);
    });

  it("is what the kernel itself would send from, on this machine", async () => {
    const host = createHost({
      roots: { proc: "/proc", sys: "/sys", root: "/" },
      clock: new ManualClock(),
    });
    // Addresses for documentation, so that only the default route leads there. Nothing is sent.
    const expected =
      (await kernelsChoice("udp4", "198.51.100.1")) ??
      (await kernelsChoice("udp6", "2001:db8:ffff::1"));
    assert.equal(detectAddress(host), expected);
  });

  it("is null without a default route, and without tables at all", async () => {
    const proc = await mkdtemp(path.join(os.tmpdir(), "net-"));
    const host = createHost({ roots: { proc, sys: "/sys", root: "/" }, clock: new ManualClock() });
    try {
      assert.equal(detectAddress(host), null);
      await mkdir(path.join(proc, "self/net"), { recursive: true });
      await writeFile(path.join(proc, "self/net/route"), "Iface\tDestination\n");
      await writeFile(path.join(proc, "self/net/fib_trie"), "Main:\n");
      assert.equal(detectAddress(host), null);
      await writeFile(
        path.join(proc, "self/net/route"),
        "Iface\n" +
          "eth9\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\neth9\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n",
      );
      await writeFile(
        path.join(proc, "self/net/fib_trie"),
        "  |-- 192.0.2.40\n     /32 host LOCAL\n",
      );
      assert.equal(
        detectAddress(host),
        "192.0.2.40",
        "from its own tables when those of process 1 are hidden",
      );
      await writeFile(path.join(proc, "self/net/route"), "eth9 what\n");
      assert.throws(() => detectAddress(host), unreadable(/net\/route: expected/));
    } finally {
      await rm(proc, { recursive: true });
    }
  });
});

describe("tables of the network", () => {
  it("hold addresses as little-endian hex", () => {
    const [route] = parseRoutes4(
      "Iface\tDestination\nens3\t0000A8C0\t0102A8C0\t0003\t0\t0\t100\t0000FFFF\t0\t0\t0\n",
    );
    assert.deepEqual(route, {
      interfaceName: "ens3",
      destination: 0xc0a80000,
      mask: 0xffff0000,
      gateway: 0xc0a80201,
      metric: 100,
      isUsable: true,
    });
  });

  it("name routes that are down or reject as unusable", () => {
    const flags = (hex: string): boolean | undefined =>
      parseRoutes4(`eth0\t00000000\t00000000\t${hex}\t0\t0\t0\t00000000\t0\t0\t0\n`)[0]?.isUsable;
    assert.deepEqual([flags("0001"), flags("0000"), flags("0201")], [true, false, false]);
  });

  it("give each local address once, and only addresses of the host", () => {
    const text =
      "Main:\n  +-- 10.0.0.0/24 2 0 2\n     |-- 10.0.0.0\n        /24 link UNICAST\n     |-- 10.0.0.9\n        /32 host LOCAL\n" +
      "     |-- 10.0.0.255\n        /32 link BROADCAST\nLocal:\n     |-- 10.0.0.9\n        /32 host LOCAL\n";
    assert.deepEqual(parseLocalAddresses4(text), [0x0a000009]);
    assert.throws(
      () => parseLocalAddresses4("  |-- 10.0.0.999\n"),
      unreadable(/fib_trie: expected an IPv4/),
    );
  });

  it("point to the address nearest the gateway, and away from bridges of containers", () => {
    const route = (name: string, destination: string, gateway: string, mask: string): string =>
      `${name}\t${destination}\t${gateway}\t0003\t0\t0\t0\t${mask}\t0\t0\t0\n`;
    const twoNetworks = parseRoutes4(
      route("eth0", "00000000", "010200C0", "00000000") +
        route("eth0", "0000000A", "00000000", "00FFFFFF") +
        route("eth0", "000200C0", "00000000", "00FFFFFF"),
    );
    assert.equal(sourceAddress4(twoNetworks, [0x0a000005, 0xc0000205]), "192.0.2.5");
    assert.equal(sourceAddress4(twoNetworks, [0x0a000005]), "10.0.0.5");
    const cloud = parseRoutes4(
      route("eth0", "00000000", "010200C0", "00000000") +
        route("docker0", "000011AC", "00000000", "0000FFFF"),
    );
    assert.equal(sourceAddress4(cloud, [0x7f000001, 0xac110001, 0xc6336407]), "198.51.100.7");
  });

  it("leave the address open when several could be it", () => {
    const route = parseRoutes4("wg0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0\n");
    assert.equal(sourceAddress4(route, [0x0a000001]), "10.0.0.1");
    assert.equal(sourceAddress4(route, [0x0a000001, 0x0b000001]), null);
    assert.equal(sourceAddress4(route, [0x7f000001]), null, "loopback is no address of a node");
  });

  it("prefer a lasting global IPv6 address, but take a site's own or a temporary one before none", () => {
    const routes = parseRoutes6(
      `${"0".repeat(32)} 00 ${"0".repeat(32)} 00 fe80${"0".repeat(27)}1 00000400 00000001 00000000 00000003 eth0\n`,
    );
    const lines = {
      site: "fd000000000000000000000000000002 04 40 00 82     eth0",
      global: "20010db8000000000000000000000002 04 40 00 80     eth0",
      temporary: "20010db8000000000000000000000003 04 40 00 01     eth0",
      linkLocal: "fe800000000000000000000000000002 04 40 20 80     eth0",
      foreign: "20010db8000000000000000000000009 05 40 00 80     eth1",
    };
    const chosen = (...names: (keyof typeof lines)[]): string | null =>
      sourceAddress6(routes, parseAddresses6(names.map((name) => lines[name]).join("\n")));
    assert.equal(chosen("linkLocal", "temporary", "site", "foreign", "global"), "2001:db8::2");
    assert.equal(chosen("linkLocal", "temporary", "site"), "fd00::2");
    assert.equal(chosen("linkLocal", "temporary"), "2001:db8::3");
    assert.equal(chosen("linkLocal", "foreign"), null);
    assert.equal(sourceAddress6([], parseAddresses6(lines.global)), null);
  });
});
