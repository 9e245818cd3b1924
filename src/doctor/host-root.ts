import { readdir, readFile, statfs } from "node:fs/promises";
import path from "node:path";
import { errorText } from "../core/errors.ts";
import type { Filesystem } from "../collect/filesystems.ts";
import { failed, off, ok, warning, type Check, type Finding } from "./contract.ts";

const mend =
  "mount the host's / read-only into the container (hostPath /, or -v /:/host/root:ro,rslave) and set host.root (HOST_ROOT) to it";

function fixOf(mount: Filesystem): string {
  const { mountPoint, error } = mount;
  if (error === "EACCES")
    return `let the agent's user pass every directory above ${mountPoint} (chmod o+x), or leave it`;
  if (error === "ENOENT")
    return `mount the host's / with the mounts below it (rslave, mountPropagation HostToContainer)`;
  return `bring the server behind ${mountPoint} back, or unmount it (umount -l ${mountPoint})`;
}

function mountFinding(mount: Filesystem): Finding {
  return warning(`host.mount ${mount.mountPoint}`, {
    found: `${mount.type} at ${mount.mountPoint}: ${mount.error ?? "no sizes"}`,
    costs: `no values of disk and inodes of ${mount.mountPoint}`,
    fix: fixOf(mount),
  });
}

/** The host's filesystems below `host.root`. */
export const hostRoot: Check = {
  name: "host.root",
  doc: "The sizes of `/` and of every watched mount below `host.root`, each by itself",
  costs: "no values of disk and inodes",
  run: async ({ config, collecting, waits }) => {
    const { root } = config.host;
    try {
      await waits.within(2_000, () => statfs(root));
      const all = await collecting.host.filesystems();
      const bad = all.filter(({ usage }) => usage === null);
      const summary = `${root}: ${all.length - bad.length} of ${all.length} watched filesystems tell their sizes`;
      return [ok("host.root", summary), ...bad.map(mountFinding)];
    } catch (cause) {
      const costs = "no values of disk and inodes";
      return [failed("host.root", { found: `${root}: ${errorText(cause)}`, costs, fix: mend })];
    }
  },
};

/** The optional fields of a mount in mountinfo (`shared:1 master:2`); null when nothing is mounted there. */
export function propagationOf(mountinfo: string, mountPoint: string): string | null {
  const line = mountinfo
    .split("\n")
    .map((text) => text.split(" "))
    .findLast((words) => words[4] === mountPoint);
  if (line === undefined) return null;
  return line.slice(6, line.indexOf("-", 6)).join(" ");
}

/** Whether mounts that the host makes from now on will be seen. */
export const propagation: Check = {
  name: "host.propagation",
  doc: "Mounts that the host makes later reach the agent (`rslave` or `HostToContainer` on `host.root`)",
  costs: "filesystems mounted after the agent's start are not watched, or with wrong sizes",
  run: async ({ config }, signal) => {
    const name = "host.propagation";
    const root = config.host.root.replace(/(?<=.)\/+$/, "");
    if (root === "/") return [off(name, "host.root is /, nothing has to reach it")];
    const own = await readFile("/proc/self/mountinfo", { encoding: "utf8", signal }).catch(
      () => "",
    );
    const tags = propagationOf(own, root);
    if (tags === null) return [off(name, `${root} is no mount of its own`)];
    if (/master:|shared:/.test(tags))
      return [ok(name, `${root} receives the host's mounts (${tags})`)];
    return [
      warning(name, {
        found: `${root} is mounted private`,
        costs: propagation.costs,
        fix: "mountPropagation: HostToContainer on the volumeMount, or :rslave behind docker's -v",
      }),
    ];
  },
};

/** What else collectors read. */
export const hostSys: Check = {
  name: "host.sys",
  doc: "`host.sys` is readable: block devices and network interfaces",
  costs: "devices are known by what /proc says of them only",
  run: async ({ config }) => {
    const name = "host.sys";
    const { sys, source } = config.host;
    if (source === "portable" || process.platform !== "linux")
      return [off(name, "not needed here")];
    try {
      const [blocks, nets] = await Promise.all(
        ["block", "class/net"].map((dir) => readdir(path.join(sys, dir))),
      );
      const found = `${sys}: ${blocks?.length ?? 0} block devices, ${nets?.length ?? 0} interfaces`;
      return [ok(name, found)];
    } catch (cause) {
      const fix = "mount the host's /sys read-only and set host.sys (HOST_SYS) to it";
      return [warning(name, { found: errorText(cause), costs: hostSys.costs, fix })];
    }
  },
};

/** Where the kubelet keeps links to the logs of all containers; their names say which Pod a container is of. */
export const hostLogs: Check = {
  name: "host.logs",
  doc: "`/var/log/containers` below `host.root` is readable, whose names tell the Pod of a process; only in a cluster",
  costs: "alerts name processes, but not the Pods they belong to",
  run: async ({ config, cluster }) => {
    const name = "host.logs";
    if (cluster === null) return [off(name, "there is no cluster")];
    const dir = path.join(config.host.root, "var/log/containers");
    try {
      return [ok(name, `${dir}: ${(await readdir(dir)).length} containers`)];
    } catch (cause) {
      const fix = `mount the node's / (or /var/log/containers at ${dir}) read-only`;
      return [warning(name, { found: errorText(cause), costs: hostLogs.costs, fix })];
    }
  },
};
