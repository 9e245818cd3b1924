import { AgentError } from "../core/errors.ts";
import type { Host } from "./contract.ts";
import { parseRoutes4, parseRoutes6 } from "./proc/routes.ts";

/**
 * Names of interfaces that carry no traffic of their own: what passes a pod's end, a bridge or a tunnel passes a
 * physical interface too, or never leaves the node. Calico keeps a list for the same purpose (`first-found`, in
 * node/pkg/lifecycle/startup/autodetection); this one is that, and the names in the sources of who makes them.
 */
const unwatchedNames: readonly (readonly [maker: string, names: string])[] = [
  ["Linux: itself, and what its modules make unasked", "lo|dummy.*|ifb.*|nlmon.*|teql0"],
  ["Linux: one tunnel per namespace", "(tunl|sit|gre|gretap|erspan|ip6tnl|ip6gre|ip_vti|ip6_vti)0"],
  ["Docker and Podman", "docker.*|br-.*|podman.*"],
  ["CNI's bridge plugin, containerd, CRI-O", "veth.*|cni.*|cbr.*"],
  ["LXC, LXD and Incus; Cilium's pods", "lxc.*|lxdbr.*|incusbr.*"],
  ["libvirt and QEMU; OpenVPN and the like", "virbr.*|vnet.*|macvtap.*|tap.*|tun.*"],
  ["Proxmox VE and OpenStack Neutron, around a guest", "fw(br|pr|ln)[0-9].*|q(br|vo|vb).*"],
  ["Calico", "cali.*|vxlan(-v6)?\\.calico|wireguard\\.cali|wg-v6\\.cali|bpf(in|out)\\.cali"],
  ["Flannel", "flannel.*"],
  ["Cilium", "cilium.*"],
  ["Weave Net", "weave|vethwe.*|datapath|vxlan-6784"],
  ["kube-router", "kube-bridge|kube-dummy-if"],
  ["kube-proxy in IPVS mode", "kube-ipvs.*"],
  ["NodeLocal DNSCache", "nodelocaldns.*"],
  ["Amazon VPC CNI: a hash, of some pods behind vlan", "(eni|vlan)[0-9a-f]{11}"],
  ["Azure CNI", "azv.*"],
  ["Open vSwitch", "ovs-.*|(genev|vxlan|gre|stt)_sys.*"],
  ["OVN-Kubernetes: its port, and a container's id cut to 15", "ovn-k8s-.*|[0-9a-f]{15}"],
  ["Kube-OVN: a container's id cut to fit", "ovn0|mirror0|[0-9a-f]+(_[0-9a-z]+)?_h"],
  ["Antrea: its ports, and a pod's name cut to 8 with a hash", "antrea-.*|.{1,8}-[0-9a-f]{6}"],
];

const unwatched = new RegExp(`^(?:${unwatchedNames.map(([, names]) => names).join("|")})$`);

/** Whether an interface's name is that of a physical one, a bond, a VLAN or anything else that somebody set up. */
export function isWatchedInterface(name: string): boolean {
  return !unwatched.test(name);
}

/** Which process' tables show the host's network. */
export type NetOwner = "1" | "self";

/**
 * The kernel lists IPv4 routes by destination, so default ones first: a page has thirty of them, and a router's million
 * of others need not be printed with every sample. Default routes of IPv6 come last.
 */
const firstPageBytes = 4_096;

/** The lines of a table that look like default routes; none when the kernel does not know the family. */
function defaultLines(read: () => string, line: RegExp): string {
  try {
    return (read().match(line) ?? []).join("\n");
  } catch (cause) {
    if (cause instanceof AgentError) return "";
    throw cause;
  }
}

/**
 * The interfaces of the host's default routes, of IPv6 only when there is none of IPv4. Throws PROC_UNREADABLE when
 * such a route is garbled.
 */
export function defaultInterfaces(host: Host, owner: NetOwner): ReadonlySet<string> {
  const lines4 = defaultLines(
    () => host.readProc(`${owner}/net/route`, firstPageBytes),
    // With its end of line: the last one may be cut.
    /^\S+\s+0{8}\s.*(?=\n)/gm,
  );
  const routes4 = parseRoutes4(lines4).filter(({ mask, isUsable }) => mask === 0 && isUsable);
  if (routes4.length > 0) return new Set(routes4.map(({ interfaceName }) => interfaceName));
  const lines6 = defaultLines(() => host.readProc(`${owner}/net/ipv6_route`), /^0{32} 00 .*$/gm);
  const routes6 = parseRoutes6(lines6).filter(({ isDefault, isUsable }) => isDefault && isUsable);
  return new Set(routes6.map(({ interfaceName }) => interfaceName));
}
