import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { rm } from "node:fs/promises";
import path from "node:path";
import fc from "fast-check";
import { systemClock } from "../../src/base/clock.ts";
import { createEvidence, type EvidenceFinder } from "../../src/collect/evidence.ts";
import { createHost } from "../../src/collect/host.ts";
import { parseContainerLog, parsePodDir } from "../../src/collect/owners.ts";
import { parseCgroup } from "../../src/collect/proc/cgroup.ts";
import { parsePidIo, parsePidStat, parseVmRss, type PidStat } from "../../src/collect/proc/pid.ts";
import { parsePressure } from "../../src/collect/proc/pressure.ts";
import { cpuUses, ioUses } from "../../src/collect/uses.ts";
import type { ProcessUse } from "../../src/core/delivery.ts";
import type { Clock } from "../../src/core/ports.ts";
import { eventually, ManualClock, settle } from "../support/clock.ts";
import { recordLog } from "../support/log.ts";
import { createProcessTree, ioText, statText, type ProcessTree } from "./processes.ts";
import { unreadable } from "./support.ts";

const hex = fc.stringMatching(/^[0-9a-f]{64}$/);
const uid = fc.uuid();
const id = "0123456789abcdef".repeat(4);
const podUid = "12345678-90ab-4cde-8f01-234567890abc";
const slice = `kubepods-burstable-pod${podUid.replaceAll("-", "_")}.slice`;
/** Names the cluster's own rules allow. */
const dnsName = fc.stringMatching(/^[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?$/);

describe("a process by /proc", () => {
  it("is read whatever its name", () => {
    const name = fc.oneof(
      fc.string({ unit: "binary", maxLength: 15 }),
      fc.constantFrom("(sd-pam)", "a) S 1 2", "Web Content", "kworker/0:1-ev", "))((", "\n"),
    );
    const number = fc.nat();
    const fields = { name, utime: number, stime: number, startTicks: number, rssPages: number };
    fc.assert(
      fc.property(fc.record(fields), (process) => {
        const { name, utime, stime, startTicks, rssPages } = process;
        assert.deepEqual(parsePidStat(statText({ pid: 7, ...process })), {
          name,
          cpuTicks: utime + stime,
          startTicks,
          rssPages,
        });
      }),
    );
  });

  it("is read or refused, whatever the text", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          parsePidStat(text);
        } catch (cause) {
          assert.ok(unreadable(/^stat: expected/)(cause));
        }
        parseVmRss(text);
        parseCgroup(text);
        for (const parse of [parsePidIo, parsePressure])
          assert.throws(() => parse(text), unreadable(/^(io|pressure): expected/));
      }),
    );
    assert.throws(() => parsePidStat("1 (init) S 0 0 0"), unreadable(/24 fields/));
  });

  it("has what it read from and wrote to storage, not what the cache had", () => {
    assert.equal(parsePidIo(ioText({ rchar: 9, readBytes: 4_096, writeBytes: 512 })), 4_608);
  });

  it("has its memory in bytes, a kernel thread none", () => {
    assert.equal(parseVmRss("Name:\tx\nVmHWM:\t  9 kB\nVmRSS:\t     1024 kB\n"), 1_048_576);
    assert.equal(parseVmRss("Name:\tkthreadd\nThreads:\t1\n"), null);
  });
});

describe("pressure by /proc", () => {
  const some = "some avg10=12.73 avg60=13.91 avg300=11.69 total=1415897644\n";
  const full = "full avg10=0.00 avg60=0.27 avg300=0.63 total=39632775\n";

  it("is read with full where the kernel tells it", () => {
    const stall = { avg10: 12.73, avg60: 13.91 };
    assert.deepEqual(parsePressure(some), { some: stall, full: null });
    assert.deepEqual(parsePressure(some + full), { some: stall, full: { avg10: 0, avg60: 0.27 } });
    assert.throws(() => parsePressure(full), unreadable(/^pressure: expected a line with some/));
  });
});

describe("the owner of a process by its cgroup", () => {
  const forms: readonly [string, (id: string, uid: string) => string][] = [
    [
      "containerd, systemd, v2",
      (id, uid) =>
        `0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${uid.replaceAll("-", "_")}.slice/cri-containerd-${id}.scope`,
    ],
    [
      "containerd seen out of another container's cgroup namespace",
      (id, uid) =>
        `0::/../../kubepods-pod${uid.replaceAll("-", "_")}.slice/cri-containerd-${id}.scope`,
    ],
    ["containerd, cgroupfs, v2", (id, uid) => `0::/kubepods/besteffort/pod${uid}/${id}`],
    [
      "containerd, v1",
      (id, uid) =>
        `12:pids:/\n11:memory:/kubepods/burstable/pod${uid}/${id}\n1:name=systemd:/kubepods/burstable/pod${uid}/${id}\n0::/`,
    ],
    [
      "containerd's own slices, v1",
      (id, uid) =>
        `4:cpu,cpuacct:/system.slice/containerd.service/kubepods-burstable-pod${uid.replaceAll("-", "_")}.slice:cri-containerd:${id}`,
    ],
    [
      "cri-o, and a cgroup below the container",
      (id, uid) =>
        `0::/kubepods.slice/kubepods-pod${uid.replaceAll("-", "_")}.slice/crio-${id}.scope/container`,
    ],
    [
      "a node in a container",
      (id, uid) =>
        `0::/system.slice/docker-${"f".repeat(64)}.scope/kubelet/kubepods/burstable/pod${uid}/${id}`,
    ],
  ];
  for (const [name, write] of forms)
    it(`is a container of a pod: ${name}`, () => {
      fc.assert(
        fc.property(hex, uid, (id, uid) => {
          assert.deepEqual(parseCgroup(`${write(id, uid)}\n`), {
            container: id,
            podUid: uid,
            unit: null,
          });
        }),
      );
    });

  for (const text of [
    `0::/system.slice/docker-${id}.scope`,
    `5:memory:/docker/${id}\n1:name=systemd:/docker/${id}`,
    `0::/machine.slice/libpod-${id}.scope`,
  ])
    it(`is a container of no pod: ${text.replaceAll(id, "<id>").replaceAll("\n", " ")}`, () =>
      assert.deepEqual(parseCgroup(text), { container: id, podUid: null, unit: null }));

  for (const [text, unit] of [
    ["0::/system.slice/nginx.service", "nginx.service"],
    [
      "9:pids:/system.slice/ssh.service\n1:name=systemd:/system.slice/ssh.service\n0::/",
      "ssh.service",
    ],
    ["0::/user.slice/user-0.slice/user@0.service/app.slice/sync.service", "sync.service"],
    ["0::/../../../system.slice/containerd.service", "containerd.service"],
    ["0::/user.slice/user-0.slice/session-3.scope", null],
    ["0::/init.scope", null],
    ["0::/", null],
    [`0::/system.slice/${id}0.scope`, null],
    ["", null],
  ] as const)
    it(`is ${unit ?? "nobody"} by ${JSON.stringify(text)}`, () =>
      assert.deepEqual(parseCgroup(text), { container: null, podUid: null, unit }));

  it("knows a static pod, whose UID is a hash", () => {
    const hash = "0123456789abcdef0123456789abcdef";
    const text = `0::/kubepods.slice/kubepods-pod${hash}.slice/cri-containerd-${id}.scope`;
    assert.equal(parseCgroup(text).podUid, hash);
  });

  it("has names by what the kubelet keeps below /var/log", () => {
    fc.assert(
      fc.property(dnsName, dnsName, dnsName, hex, (pod, namespace, container, id) => {
        assert.deepEqual(parseContainerLog(`${pod}_${namespace}_${container}-${id}.log`), {
          id,
          owner: `${namespace}/${pod}/${container}`,
        });
        assert.deepEqual(parsePodDir(`${namespace}_${pod}_${id}`), {
          id,
          owner: `${namespace}/${pod}`,
        });
      }),
    );
    for (const other of ["README", "a_b_c.log", `a_b-${id}.log`, `a_b_c-${id}.log.1`])
      assert.equal(parseContainerLog(other), null, other);
    assert.equal(parsePodDir("lost+found"), null);
  });
});

describe("shares of a core", () => {
  const stat = fc.record({
    name: fc.string(),
    cpuTicks: fc.nat(),
    startTicks: fc.nat({ max: 3 }),
    rssPages: fc.nat(),
  });
  const stats = fc
    .array(fc.tuple(fc.nat({ max: 20 }), stat))
    .map((entries) => new Map<number, PidStat>(entries));

  it("are of processes that were there at both looks, biggest first, five at most", () => {
    fc.assert(
      fc.property(stats, stats, fc.nat({ max: 300 }), (before, now, elapsedMs) => {
        const uses = cpuUses(before, now, elapsedMs);
        assert.ok(uses.length <= 5);
        for (const [at, { pid, value }] of uses.entries()) {
          assert.ok(value > 0 && value <= (uses[at - 1]?.value ?? Number.POSITIVE_INFINITY));
          assert.equal(before.get(pid)?.startTicks, now.get(pid)?.startTicks);
        }
      }),
    );
  });
});

describe("bytes a second", () => {
  const bytes = fc
    .array(fc.tuple(fc.nat({ max: 20 }), fc.nat()))
    .map((entries) => new Map<number, number>(entries));

  it("are of processes that were there at both looks, biggest first, five at most", () => {
    fc.assert(
      fc.property(bytes, bytes, fc.nat({ max: 300 }), (before, now, elapsedMs) => {
        const uses = ioUses(before, now, elapsedMs);
        assert.ok(uses.length <= 5);
        for (const [at, { pid, value }] of uses.entries()) {
          assert.ok(value > 0 && value <= (uses[at - 1]?.value ?? Number.POSITIVE_INFINITY));
          assert.ok(before.has(pid) && now.has(pid));
        }
      }),
    );
  });
});

describe("evidence", () => {
  let tree: ProcessTree;
  let clock: ManualClock;
  beforeEach(async () => {
    tree = await createProcessTree();
    clock = new ManualClock();
    await tree.put({ pid: 1, name: "systemd" });
  });
  afterEach(() => tree.remove());

  const evidenceOn = (on: Clock = clock, log = recordLog().log): EvidenceFinder => {
    const roots = { proc: tree.proc, sys: "/nowhere", root: tree.root };
    return createEvidence({ host: createHost({ roots, clock: on }), clock: on, log });
  };
  /** Asks, has things happen between the two looks, and lets the window pass. */
  const during = async (
    evidence: EvidenceFinder,
    index: string,
    happen: () => Promise<void>,
  ): Promise<readonly ProcessUse[] | null> => {
    const asked = biggest(evidence, index);
    await eventually("the first look is over", () => clock.waiting === 2);
    await happen();
    await clock.advance(100);
    return asked;
  };
  const biggest = async (
    evidence: EvidenceFinder,
    index: string,
  ): Promise<readonly ProcessUse[] | null> => (await evidence.about(index)).processes;
  const short = (uses: readonly ProcessUse[] | null): string[] | undefined =>
    uses?.map(({ name, value, unit, owner }) => `${name} (${owner}) ${value} ${unit}`);

  it("names the pods, containers and units of the five that use most CPU", async () => {
    const owned = [
      ["v2", `0::/kubepods.slice/kubepods-burstable.slice/${slice}/cri-containerd-${id}.scope`],
      ["v1", `4:memory:/kubepods/pod${podUid}/${"1".repeat(64)}\n0::/`],
      ["crio", `0::/kubepods.slice/crio-${"2".repeat(64)}.scope`],
      ["docker", `0::/system.slice/docker-${"3".repeat(64)}.scope`],
      ["plain", "0::/system.slice/nginx.service"],
      ["idle", "0::/system.slice/cron.service"],
    ] as const;
    await tree.log("containers", `web-7d9_shop_nginx-${id}.log`);
    await tree.log("containers", `db-0_shop_postgres-${"2".repeat(64)}.log`);
    await tree.log("pods", `batch_stress-pod_${podUid}`);
    const put = (scale: number): Promise<void[]> =>
      Promise.all(
        owned.map(([name, cgroup], at) =>
          tree.put({ pid: 100 + at, name, cgroup, utime: scale * (10 - at), stime: 40 }),
        ),
      );
    await put(1);
    const uses = await during(evidenceOn(), "cpu", async () => void (await put(2)));
    assert.deepEqual(short(uses), [
      "v2 (shop/web-7d9/nginx) 100 %",
      "v1 (batch/stress-pod) 90 %",
      "crio (shop/db-0/postgres) 80 %",
      "docker (333333333333) 70 %",
      "plain (nginx.service) 60 %",
    ]);
  });

  it("skips what began or ended between the two looks, or took over a pid", async () => {
    for (const pid of [10, 11, 12]) await tree.put({ pid, name: `p${pid}` });
    const uses = await during(evidenceOn(), "load1", async () => {
      await tree.put({ pid: 10, name: "p10", stime: 5 });
      await tree.end(11);
      await tree.put({ pid: 12, name: "other", utime: 500, startTicks: 200 });
      await tree.put({ pid: 13, name: "young", utime: 500 });
    });
    assert.deepEqual(short(uses), ["p10 (null) 50 %"]);
  });

  it("tells memory in bytes, ranked by pages of whatever size, without a second look", async () => {
    await tree.put({ pid: 2, name: "kthreadd", vmRssKb: null });
    for (const at of [1, 2, 3, 4, 5, 6])
      await tree.put({ pid: 10 + at, name: `p${at}`, rssPages: at, vmRssKb: at * 64 });
    for (const index of ["memory", "swap"]) {
      const uses = await biggest(evidenceOn(), index);
      assert.deepEqual(short(uses), [
        "p6 (null) 393216 B",
        "p5 (null) 327680 B",
        "p4 (null) 262144 B",
        "p3 (null) 196608 B",
        "p2 (null) 131072 B",
      ]);
    }
  });

  it("names who reads and writes most for disks and for waiting for them", async () => {
    const put = (scale: number): Promise<void[]> =>
      Promise.all(
        [1, 2, 3, 4, 5, 6, 7].map((at) =>
          tree.put({
            pid: 20 + at,
            name: `p${at}`,
            cgroup: `0::/system.slice/p${at}.service`,
            readBytes: 1_000_000 + (at === 7 ? 0 : scale * 1_000),
            writeBytes: at === 7 ? 0 : at * scale * 4_000,
          }),
        ),
      );
    for (const index of ["disk", "cpu_iowait"]) {
      await put(1);
      const uses = await during(evidenceOn(), index, async () => void (await put(2)));
      assert.deepEqual(short(uses), [
        "p6 (p6.service) 250000 B/s",
        "p5 (p5.service) 210000 B/s",
        "p4 (p4.service) 170000 B/s",
        "p3 (p3.service) 130000 B/s",
        "p2 (p2.service) 90000 B/s",
      ]);
    }
  });

  it("names nobody for a disk where the files of others tell no bytes, as without root", async () => {
    await tree.put({ pid: 10, name: "own" });
    await rm(path.join(tree.proc, "1", "io"));
    const { log, lines } = recordLog();
    assert.equal(await biggest(evidenceOn(clock, log), "disk"), null);
    assert.match(String(lines[0]?.fields["cause"]), /process 1 is hidden \(1\/io\)/);
  });

  it("tells the pressure on the host for every index, whatever becomes of the processes", async () => {
    const line = (kind: string, avg10: number): string =>
      `${kind} avg10=${avg10.toFixed(2)} avg60=1.50 avg300=0.91 total=59628032\n`;
    await tree.pressure("cpu", line("some", 43.2));
    await tree.pressure("io", line("some", 12) + line("full", 8));
    await tree.end(1);
    for (const index of ["memory", "inodes"])
      assert.deepEqual(await evidenceOn().about(index), {
        processes: null,
        pressure: {
          cpu: { some: { avg10: 43.2, avg60: 1.5 }, full: null },
          io: { some: { avg10: 12, avg60: 1.5 }, full: { avg10: 8, avg60: 1.5 } },
        },
      });
  });

  it("tells no pressure where the kernel has none", async () => {
    assert.equal((await evidenceOn().about("inodes")).pressure, null);
    await tree.pressure("cpu", "");
    assert.equal((await evidenceOn().about("inodes")).pressure, null);
  });

  it("has nothing to say of other indexes", async () => {
    for (const index of ["inodes", "net_receive", "memory_x"])
      assert.equal(await biggest(evidenceOn(), index), null);
  });

  it("looks once for all alerts of a moment", async () => {
    const evidence = evidenceOn();
    await tree.put({ pid: 10, name: "p10" });
    const first = during(evidence, "cpu", () => tree.put({ pid: 10, name: "p10", utime: 10 }));
    const second = biggest(evidence, "load5");
    assert.equal(await second, await first);
    assert.equal(await biggest(evidence, "cpu_steal"), await first);
    await clock.advance(1_000);
    assert.deepEqual(await during(evidence, "cpu", async () => {}), []);
  });

  it("is null with one line in the log when processes cannot be read or are hidden", async () => {
    for (const [what, break_] of [
      ["process 1 is hidden", () => tree.end(1)],
      ["ENOENT", () => rm(tree.proc, { recursive: true })],
    ] as const) {
      await break_();
      const { log, lines } = recordLog();
      assert.equal(await biggest(evidenceOn(clock, log), "memory"), null);
      assert.deepEqual(
        lines.map(({ level, event }) => `${level} ${event}`),
        ["debug processes unreadable"],
      );
      assert.match(String(lines[0]?.fields["cause"]), new RegExp(what));
    }
  });

  it("does not wait longer than 300 ms", async () => {
    const slow: Clock = {
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
      // Whoever sleeps through the window oversleeps.
      sleep: (ms, signal) => clock.sleep(ms === 100 ? 10_000 : ms, signal),
    };
    const { log, lines } = recordLog();
    let answer: unknown = "none yet";
    const asked = biggest(evidenceOn(slow, log), "cpu").then((uses) => (answer = uses));
    await eventually("the first look is over", () => clock.waiting === 2);
    await clock.advance(299);
    assert.equal(answer, "none yet");
    await clock.advance(1);
    assert.equal(await asked, null);
    assert.match(String(lines[0]?.fields["cause"]), /no answer in 300 ms/);
    await settle();
    assert.equal(clock.waiting, 0);
  });

  it("costs little with 500 processes", async () => {
    await Promise.all(
      Array.from({ length: 500 }, (_, at) =>
        tree.put({
          pid: 1_000 + at,
          name: `p${at}`,
          rssPages: at,
          vmRssKb: at,
          cgroup: `0::/kubepods/pod${podUid}/${at.toString(16).padStart(64, "0")}`,
        }),
      ),
    );
    for (let at = 0; at < 300; at++)
      await tree.log("containers", `pod-${at}_ns_main-${at.toString(16).padStart(64, "0")}.log`);
    for (const name of ["cpu", "memory", "io"])
      await tree.pressure(name, "some avg10=1.00 avg60=1.50 avg300=0.91 total=5\n");
    for (const index of ["cpu", "memory", "disk"]) {
      const costsMs: number[] = [];
      for (let run = 0; run < 10; run++) {
        const evidence = evidenceOn(systemClock);
        const before = process.cpuUsage();
        await evidence.about(index);
        const { user, system } = process.cpuUsage(before);
        costsMs.push((user + system) / 1_000);
      }
      const least = Math.min(...costsMs);
      // 20 ms where nobody else works; coverage and a busy machine add to it.
      assert.ok(least <= 60, `${index}: ${least} ms of CPU at best`);
      if (process.env["SHOW_COSTS"] !== undefined) console.log(index, costsMs);
    }
  });
});

describe("evidence on this machine", () => {
  it("names a process that keeps a core busy", async () => {
    const busy = spawn("sh", ["-c", "while :; do :; done"], { stdio: "ignore" });
    try {
      const host = createHost({
        roots: { proc: "/proc", sys: "/sys", root: "/" },
        clock: systemClock,
      });
      let seen: ProcessUse | undefined;
      await eventually("it is among the biggest", async () => {
        const evidence = createEvidence({ host, clock: systemClock, log: recordLog().log });
        seen = (await evidence.about("cpu")).processes?.find(({ pid }) => pid === busy.pid);
        return seen !== undefined && seen.value >= 40;
      });
      assert.equal(seen?.name, "sh");
      assert.equal(seen?.unit, "%");
      // One thread: 100 % of a core, and what a tick of 10 ms makes of it.
      assert.ok((seen?.value ?? 0) <= 125, `${seen?.value} %`);
    } finally {
      busy.kill("SIGKILL");
    }
  });

  it("knows the memory of this very process", async () => {
    const ballast = Buffer.alloc(256 * 1_048_576, 1);
    const host = createHost({
      roots: { proc: "/proc", sys: "/sys", root: "/" },
      clock: systemClock,
    });
    const evidence = createEvidence({ host, clock: systemClock, log: recordLog().log });
    const own = (await evidence.about("memory")).processes?.find(({ pid }) => pid === process.pid);
    const rss = process.memoryUsage.rss();
    assert.equal(ballast.at(-1), 1);
    assert.ok(
      own !== undefined && Math.abs(own.value - rss) < rss * 0.1,
      `${own?.value} of ${rss}`,
    );
  });
});
