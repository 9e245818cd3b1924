import { type Labels, noLabels } from "../core/series.ts";
import { defineCollector, type Family } from "./contract.ts";
import type { Filesystem, FilesystemUsage } from "./filesystems.ts";

/** Labels of a filesystem's stored series: the root has none. */
export function mountLabels(mountPoint: string): Labels {
  return mountPoint === "/" ? noLabels : { mount: mountPoint };
}

/** Used share in percent as `df` has it, where the part reserved for root is neither used nor available. */
export function usedShare({ sizeBytes, freeBytes, availableBytes }: FilesystemUsage): number {
  const usedBytes = sizeBytes - freeBytes;
  return (100 * usedBytes) / (usedBytes + availableBytes);
}

/** Without blocks at all there is nothing that could fill up: such a filesystem has no series. */
function hasBlocks({ usage }: Filesystem): boolean {
  return usage === null || usage.sizeBytes - usage.freeBytes + usage.availableBytes > 0;
}

function familyLabels({ device, mountPoint, type, error }: Filesystem): Labels {
  return { device, mountpoint: mountPoint, fstype: type, device_error: error ?? "" };
}

const sizes: readonly (readonly [keyof FilesystemUsage, string, string])[] = [
  ["sizeBytes", "node_filesystem_size_bytes", "Size of the filesystem."],
  ["freeBytes", "node_filesystem_free_bytes", "Free, the part reserved for root included."],
  ["availableBytes", "node_filesystem_avail_bytes", "Free to ordinary users."],
  ["files", "node_filesystem_files", "Inodes of the filesystem."],
  ["filesFree", "node_filesystem_files_free", "Free inodes."],
];

function sizeFamilies(filesystems: readonly Filesystem[]): readonly Family[] {
  return sizes.map(([field, name, help]) => ({
    name,
    help,
    type: "gauge",
    samples: filesystems.flatMap((filesystem) =>
      filesystem.usage === null
        ? []
        : [{ labels: familyLabels(filesystem), value: filesystem.usage[field] }],
    ),
  }));
}

function flagFamily(
  name: string,
  help: string,
  filesystems: readonly Filesystem[],
  isSet: (filesystem: Filesystem) => boolean,
): Family {
  const samples = filesystems.map((filesystem) => ({
    labels: familyLabels(filesystem),
    value: isSet(filesystem) ? 1 : 0,
  }));
  return { name, help, type: "gauge", samples };
}

/** How full the filesystems are. */
export const disk = defineCollector<readonly Filesystem[]>({
  name: "disk",
  doc: "Space of every real filesystem by statfs, as df counts it",
  defaultOn: true,
  indexes: [
    {
      name: "disk",
      unit: "%",
      decimals: 1,
      labels: ["mount"],
      help: "Space in use; without a label the root's",
    },
  ],
  read: (host) => host.filesystems(),
  readings: (filesystems) =>
    filesystems.filter(hasBlocks).map(({ mountPoint, usage }) => ({
      index: "disk",
      labels: mountLabels(mountPoint),
      value: usage === null ? null : usedShare(usage),
    })),
  families: (filesystems) => [
    ...sizeFamilies(filesystems),
    flagFamily(
      "node_filesystem_readonly",
      "1 when the filesystem is mounted read-only.",
      filesystems,
      ({ readOnly }) => readOnly,
    ),
    flagFamily(
      "node_filesystem_device_error",
      "1 when the sizes could not be had; device_error says why.",
      filesystems,
      ({ error }) => error !== null,
    ),
  ],
});
