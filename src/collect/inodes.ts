import { defineCollector } from "./contract.ts";
import { mountLabels } from "./disk.ts";
import type { Filesystem } from "./filesystems.ts";

/** Inodes in use, of filesystems that have a fixed number of them. Their families are the disk collector's. */
export const inodes = defineCollector<readonly Filesystem[]>({
  name: "inodes",
  doc: "Inodes of every real filesystem that has a fixed number of them",
  defaultOn: true,
  indexes: [
    {
      name: "inodes",
      unit: "%",
      decimals: 1,
      labels: ["mount"],
      help: "Inodes in use; without a label the root's",
    },
  ],
  read: (host) => host.filesystems(),
  readings: (filesystems) =>
    filesystems
      .filter(({ usage }) => usage === null || usage.files > 0)
      .map(({ mountPoint, usage }) => ({
        index: "inodes",
        labels: mountLabels(mountPoint),
        value: usage === null ? null : (100 * (usage.files - usage.filesFree)) / usage.files,
      })),
  families: () => [],
});
