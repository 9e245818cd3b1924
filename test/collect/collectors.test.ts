import assert from "node:assert/strict";
import type { AnyCollector } from "../../src/collect/contract.ts";
import { disk } from "../../src/collect/disk.ts";
import type { Filesystem, FilesystemUsage } from "../../src/collect/filesystems.ts";
import { collectorNames, collectors } from "../../src/collect/index.ts";
import { inodes } from "../../src/collect/inodes.ts";
import { memory } from "../../src/collect/memory.ts";
import { portableCollectors } from "../../src/collect/portable.ts";
import { parseMemInfo } from "../../src/collect/proc/meminfo.ts";
import { swap } from "../../src/collect/swap.ts";
import { seriesKey } from "../../src/core/series.ts";
import { recordedHost, recordedHosts } from "./support.ts";

function valuesOf(collector: AnyCollector, raw: unknown): Record<string, number | null> {
  return Object.fromEntries(
    collector
      .readings(raw, undefined)
      .map(({ index, labels, value }) => [seriesKey(index, labels), value]),
  );
}

function usage(changes: Partial<FilesystemUsage> = {}): FilesystemUsage {
  return {
    sizeBytes: 1_000,
    freeBytes: 400,
    availableBytes: 200,
    files: 50,
    filesFree: 40,
    ...changes,
  };
}

function filesystem(mountPoint: string, changes: Partial<Filesystem> = {}): Filesystem {
  return {
    device: "/dev/a",
    mountPoint,
    type: "ext4",
    readOnly: false,
    usage: usage(),
    error: null,
    ...changes,
  };
}

describe("every collector", () => {
  it("has a name, an index and an index name of its own", () => {
    const indexes = collectors.flatMap((collector) => collector.indexes.map(({ name }) => name));
    assert.equal(new Set(collectorNames).size, collectorNames.length);
    assert.equal(new Set(indexes).size, indexes.length);
    assert.deepEqual(collectorNames, [
      "cpu",
      "memory",
      "disk",
      "load",
      "swap",
      "inodes",
      "network",
    ]);
  });

  for (const collector of collectors)
    it(`${collector.name} gives only indexes and labels it declares, and well-formed families`, async () => {
      for (const name of recordedHosts) {
        const raw = await collector.read(recordedHost(name));
        for (const { index, labels } of collector.readings(raw, { raw, elapsedSeconds: 10 })) {
          const definition = collector.indexes.find((one) => one.name === index);
          assert.ok(definition, `${index} is not declared`);
          for (const label of Object.keys(labels))
            assert.ok(definition.labels.includes(label), label);
        }
        for (const family of collector.families(raw)) {
          assert.match(family.name, /^node_[a-zA-Z0-9_]+$/);
          assert.notEqual(family.help, "");
          assert.equal(family.type === "counter", family.name.endsWith("_total"));
          const keys = family.samples.map(({ labels }) => seriesKey("", labels));
          assert.equal(new Set(keys).size, keys.length, `${family.name} has a series twice`);
        }
      }
    });

  it("has no family that another one has", async () => {
    const host = recordedHost("many-core");
    const names: string[] = [];
    for (const collector of collectors)
      names.push(...collector.families(await collector.read(host)).map(({ name }) => name));
    assert.equal(new Set(names).size, names.length);
  });

  it("has the name and a subset of the indexes of its counterpart when it is a portable one", () => {
    for (const portable of portableCollectors) {
      const counterpart = collectors.find(({ name }) => name === portable.name);
      assert.ok(counterpart, portable.name);
      for (const index of portable.indexes) assert.ok(counterpart.indexes.includes(index));
    }
  });
});

describe("memory", () => {
  it("is what is not available, and on old kernels what is neither free nor cache", () => {
    const now = parseMemInfo("MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 250 kB\n");
    assert.deepEqual(valuesOf(memory, now), { memory: 75 });
    const old = parseMemInfo(
      "MemTotal: 1000 kB\nMemFree: 100 kB\nBuffers: 50 kB\nCached: 350 kB\n",
    );
    assert.deepEqual(valuesOf(memory, old), { memory: 50 });
  });

  it("names its families as node_exporter does", () => {
    const info = parseMemInfo("MemTotal: 1 kB\nActive(anon): 2 kB\nHugePages_Total: 3\n");
    assert.deepEqual(
      memory.families(info).map(({ name, samples }) => [name, samples[0]?.value]),
      [
        ["node_memory_MemTotal_bytes", 1_024],
        ["node_memory_Active_anon_bytes", 2_048],
        ["node_memory_HugePages_Total", 3],
      ],
    );
  });
});

describe("swap", () => {
  it("is the used share, and no series at all without swap", () => {
    const total = "MemTotal: 1 kB\n";
    assert.deepEqual(
      valuesOf(swap, parseMemInfo(`${total}SwapTotal: 200 kB\nSwapFree: 150 kB\n`)),
      { swap: 25 },
    );
    assert.deepEqual(valuesOf(swap, parseMemInfo(`${total}SwapTotal: 0 kB\nSwapFree: 0 kB\n`)), {});
    assert.deepEqual(valuesOf(swap, parseMemInfo(total)), {});
    assert.deepEqual(valuesOf(swap, parseMemInfo(`${total}SwapTotal: 200 kB\n`)), { swap: null });
  });
});

describe("disk", () => {
  it("is used/(used+available), the root's without a label", () => {
    assert.deepEqual(valuesOf(disk, [filesystem("/"), filesystem("/data")]), {
      disk: 75,
      'disk{mount="/data"}': 75,
    });
  });

  it("is null for a filesystem that gave no sizes, never 0", () => {
    const dead = filesystem("/nfs", { usage: null, error: "no answer in 2 s" });
    assert.deepEqual(valuesOf(disk, [dead]), { 'disk{mount="/nfs"}': null });
    assert.deepEqual(valuesOf(inodes, [dead]), { 'inodes{mount="/nfs"}': null });
  });

  it("has no series for a filesystem without blocks", () => {
    const empty = filesystem("/x", {
      usage: usage({ sizeBytes: 0, freeBytes: 0, availableBytes: 0 }),
    });
    assert.deepEqual(valuesOf(disk, [empty]), {});
  });

  it("is 100 when nothing is left, with or without a reserve", () => {
    const full = usage({ freeBytes: 0, availableBytes: 0 });
    const reserved = usage({ availableBytes: 0 });
    assert.deepEqual(valuesOf(disk, [filesystem("/", { usage: full })]), { disk: 100 });
    assert.deepEqual(valuesOf(disk, [filesystem("/", { usage: reserved })]), { disk: 100 });
  });

  it("names a faulty filesystem in node_filesystem_device_error, and gives no sizes for it", () => {
    const families = disk.families([
      filesystem("/", { readOnly: true }),
      filesystem("/nfs", { type: "nfs4", usage: null, error: "EACCES" }),
    ]);
    const samples = (name: string): unknown => families.find((one) => one.name === name)?.samples;
    const root = { device: "/dev/a", mountpoint: "/", fstype: "ext4", device_error: "" };
    const nfs = { device: "/dev/a", mountpoint: "/nfs", fstype: "nfs4", device_error: "EACCES" };
    assert.deepEqual(samples("node_filesystem_size_bytes"), [{ labels: root, value: 1_000 }]);
    assert.deepEqual(samples("node_filesystem_free_bytes"), [{ labels: root, value: 400 }]);
    assert.deepEqual(samples("node_filesystem_avail_bytes"), [{ labels: root, value: 200 }]);
    assert.deepEqual(samples("node_filesystem_files"), [{ labels: root, value: 50 }]);
    assert.deepEqual(samples("node_filesystem_files_free"), [{ labels: root, value: 40 }]);
    assert.deepEqual(samples("node_filesystem_readonly"), [
      { labels: root, value: 1 },
      { labels: nfs, value: 0 },
    ]);
    assert.deepEqual(samples("node_filesystem_device_error"), [
      { labels: root, value: 0 },
      { labels: nfs, value: 1 },
    ]);
  });
});

describe("inodes", () => {
  it("is the used share, and no series where there is no fixed number of them", () => {
    const btrfs = filesystem("/b", { usage: usage({ files: 0, filesFree: 0 }) });
    assert.deepEqual(valuesOf(inodes, [filesystem("/"), btrfs]), { inodes: 20 });
  });
});
