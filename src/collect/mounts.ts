import type { Mount } from "./proc/mountinfo.ts";

/** Types that hold no data of their own, or data that is counted elsewhere; node_exporter's list and ours. */
const unwatchedTypes = new Set(
  (
    "autofs binder binfmt_misc bpf cgroup cgroup2 configfs cpuset debugfs devpts devtmpfs efivarfs fusectl " +
    "fuse.gvfsd-fuse fuse.lxcfs fuse.portal hugetlbfs iso9660 mqueue nfsd nsfs overlay proc procfs pstore " +
    "ramfs rootfs rpc_pipefs securityfs selinuxfs squashfs erofs sysfs tmpfs tracefs"
  ).split(" "),
);

/** System trees, container storage, and the three files every container runtime binds over. */
const unwatchedPlaces =
  /^\/(dev|proc|sys|run\/.+|var\/run\/.+|var\/lib\/docker\/.+|var\/lib\/containerd\/.+|var\/lib\/containers\/storage\/.+|var\/lib\/kubelet\/pods\/.+|etc\/(hosts|hostname|resolv\.conf))($|\/)/;

/** Types whose answer depends on another machine or another process, and so may never come. */
const remoteTypes = new Set(
  (
    "nfs nfs3 nfs4 cifs smb smb2 smb3 smbfs 9p ceph glusterfs lustre afs openafs beegfs gfs2 gpfs " +
    "ocfs2 orangefs pvfs2 ncpfs virtiofs davfs coda fuse fuseblk"
  ).split(" "),
);

/** Where a mount's sizes are asked: `network` when the answer depends on somebody who may be dead. */
export type Lane = "local" | "network";

/** The lane of a filesystem type. */
export function laneOf(type: string): Lane {
  return remoteTypes.has(type) || type.startsWith("fuse.") ? "network" : "local";
}

/** Whether a filesystem is worth a series; the root always is, unless it is the initramfs. */
export function isWatched({ type, mountPoint }: Pick<Mount, "type" | "mountPoint">): boolean {
  if (mountPoint === "/") return type !== "rootfs";
  return !unwatchedTypes.has(type) && !unwatchedPlaces.test(mountPoint);
}

/** Which of two mounts of one filesystem speaks for it: the root, then one that shows all of it, then the shorter. */
function better(a: Mount, b: Mount): Mount {
  if (a.mountPoint === "/" || b.mountPoint === "/") return a.mountPoint === "/" ? a : b;
  if ((a.root === "/") !== (b.root === "/")) return a.root === "/" ? a : b;
  return b.mountPoint.length < a.mountPoint.length ? b : a;
}

/** The mounts worth a series, one per filesystem, by mount point. A later mount hides an earlier one in the same place. */
export function selectMounts(mounts: readonly Mount[]): readonly Mount[] {
  const visible = new Map(mounts.map((mount) => [mount.mountPoint, mount]));
  const chosen = new Map<string, Mount>();
  for (const mount of visible.values()) {
    if (!isWatched(mount)) continue;
    const other = chosen.get(mount.deviceNumber);
    chosen.set(mount.deviceNumber, other === undefined ? mount : better(other, mount));
  }
  return [...chosen.values()].sort((a, b) => (a.mountPoint < b.mountPoint ? -1 : 1));
}

/**
 * The mounts below a directory under their paths as the host sees them: what a container sees below `/host/root`.
 */
export function rebaseMounts(mounts: readonly Mount[], root: string): readonly Mount[] {
  const base = root.replace(/\/+$/, "");
  if (base === "") return mounts;
  return mounts
    .filter(({ mountPoint }) => mountPoint === base || mountPoint.startsWith(`${base}/`))
    .map((mount) => ({ ...mount, mountPoint: mount.mountPoint.slice(base.length) || "/" }));
}
