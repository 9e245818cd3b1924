import assert from "node:assert/strict";
import { laneOf, rebaseMounts, selectMounts } from "../../src/collect/mounts.ts";
import { parseMountInfo } from "../../src/collect/proc/mountinfo.ts";

/** Mount points chosen from lines of `device root mountPoint type`. */
function chosen(...lines: string[]): string[] {
  const text = lines
    .map((line) => line.split(" "))
    .map(([device, root, at, type]) => `1 2 ${device} ${root} ${at} rw - ${type} dev rw`);
  return selectMounts(parseMountInfo(text.join("\n"))).map(
    ({ mountPoint, type }) => `${mountPoint} ${type}`,
  );
}

describe("selection of mounts", () => {
  it("lets the last mount of a place win", () => {
    assert.deepEqual(chosen("8:1 / / ext4", "8:2 / /a ext4", "8:3 / /a xfs"), ["/ ext4", "/a xfs"]);
    assert.deepEqual(chosen("8:1 / / ext4", "8:2 / /a ext4", "0:9 / /a tmpfs"), ["/ ext4"]);
  });

  it("keeps the root whatever its type, but not the initramfs", () => {
    for (const type of ["overlay", "tmpfs", "squashfs", "nfs4", "btrfs"])
      assert.deepEqual(chosen(`0:5 / / ${type}`), [`/ ${type}`]);
    assert.deepEqual(chosen("0:1 / / rootfs"), []);
    assert.deepEqual(chosen("0:1 / / rootfs", "8:1 / / ext4"), ["/ ext4"]);
  });

  it("leaves out pseudo filesystems", () => {
    const pseudo =
      "autofs binfmt_misc bpf cgroup cgroup2 configfs debugfs devpts devtmpfs fusectl hugetlbfs iso9660 mqueue nsfs " +
      "overlay proc procfs pstore rpc_pipefs securityfs selinuxfs squashfs erofs sysfs tracefs tmpfs fuse.lxcfs " +
      "fuse.portal fuse.gvfsd-fuse rootfs";
    for (const type of pseudo.split(" "))
      assert.deepEqual(chosen(`0:7 / /mnt/x ${type}`), [], type);
  });

  it("leaves out system trees, container storage and pods, but not places that only begin like them", () => {
    for (const place of [
      "/dev/x",
      "/proc",
      "/sys/firmware",
      "/run/media",
      "/run/credentials/a",
      "/var/lib/docker/volumes/x",
      "/var/lib/containers/storage/overlay",
      "/var/lib/kubelet/pods/a/volumes/b",
      "/var/lib/containerd/x",
      "/etc/resolv.conf",
    ])
      assert.deepEqual(chosen(`8:7 / ${place} ext4`), [], place);
    for (const place of [
      "/device",
      "/process",
      "/system",
      "/var/lib/docker",
      "/var/lib/kubelet",
      "/var/lib/containerd",
      "/etc",
    ])
      assert.deepEqual(chosen(`8:7 / ${place} ext4`), [`${place} ext4`]);
  });

  it("names a filesystem once: by the root, then by a mount of all of it, then by the shorter path", () => {
    assert.deepEqual(chosen("0:3 /@ / btrfs", "0:3 / /b btrfs", "0:3 /@home /home btrfs"), [
      "/ btrfs",
    ]);
    assert.deepEqual(chosen("8:2 /mysql /a ext4", "8:2 / /data/long ext4"), ["/data/long ext4"]);
    assert.deepEqual(chosen("8:2 / /data/long ext4", "8:2 /mysql /a ext4"), ["/data/long ext4"]);
    assert.deepEqual(chosen("8:2 / /longer ext4", "8:2 / /short ext4"), ["/short ext4"]);
    assert.deepEqual(chosen("8:2 / /b ext4", "8:1 / /c ext4", "8:2 / / ext4"), [
      "/ ext4",
      "/c ext4",
    ]);
  });

  it("keeps network and FUSE filesystems, in their own lane", () => {
    for (const type of "nfs nfs4 cifs smb3 9p ceph glusterfs lustre afs fuse fuseblk fuse.sshfs fuse.glusterfs".split(
      " ",
    )) {
      assert.deepEqual(chosen(`0:7 / /mnt/x ${type}`), [`/mnt/x ${type}`]);
      assert.equal(laneOf(type), "network", type);
    }
    for (const type of ["ext4", "xfs", "btrfs", "zfs", "vfat", "overlay"])
      assert.equal(laneOf(type), "local", type);
  });
});

describe("mounts a container sees below the host's root", () => {
  const mounts = parseMountInfo(
    ["0:9 /", "8:1 /host/root", "8:2 /host/root/data", "8:3 /host/rootless"]
      .map((line) => line.split(" "))
      .map(([device, at]) => `1 2 ${device} / ${at} rw - ext4 dev rw`)
      .join("\n"),
  );
  const places = (root: string): string[] =>
    rebaseMounts(mounts, root).map(({ mountPoint }) => mountPoint);

  it("have the paths the host knows them by, and the container's own are gone", () => {
    assert.deepEqual(places("/host/root"), ["/", "/data"]);
    assert.deepEqual(places("/host/root/"), ["/", "/data"]);
  });

  it("stay as they are when the root is the root", () => {
    assert.equal(places("/").length, 4);
  });
});
