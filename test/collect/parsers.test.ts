import assert from "node:assert/strict";
import fc from "fast-check";
import { parseLoadAverages } from "../../src/collect/proc/loadavg.ts";
import { parseMemInfo } from "../../src/collect/proc/meminfo.ts";
import { parseMountInfo } from "../../src/collect/proc/mountinfo.ts";
import { type DirectionCounters, parseNetDev } from "../../src/collect/proc/netdev.ts";
import {
  parseAddresses6,
  parseLocalAddresses4,
  parseRoutes4,
  parseRoutes6,
} from "../../src/collect/proc/routes.ts";
import { parseStat } from "../../src/collect/proc/stat.ts";
import { AgentError } from "../../src/core/errors.ts";
import { unreadable } from "./support.ts";

describe("/proc/stat", () => {
  it("gives the total, each online CPU and the counters", () => {
    const { total, cpus, counters } = parseStat(
      "cpu  10 2 3 400 5 6 7 8 9 1\ncpu0 1 2 3 4 5 6 7 8 9 10\ncpu12 0 0 0 1 0 0 0 0 0 0\n" +
        "intr 77 1 2 3\nctxt 88\nbtime 1700000000\nprocesses 99\nprocs_running 2\nprocs_blocked 0\nsoftirq 5 1\n",
    );
    assert.deepEqual(total.modes, {
      user: 10,
      nice: 2,
      system: 3,
      idle: 400,
      iowait: 5,
      irq: 6,
      softirq: 7,
      steal: 8,
    });
    assert.deepEqual([total.guest, total.guestNice], [9, 1]);
    assert.deepEqual([...cpus.keys()], ["0", "12"]);
    assert.deepEqual(Object.fromEntries(counters), {
      intr: 77,
      ctxt: 88,
      btime: 1_700_000_000,
      processes: 99,
      procs_running: 2,
      procs_blocked: 0,
    });
  });

  it("takes columns an old kernel does not write as 0", () => {
    const { total } = parseStat("cpu 1 2 3 4\n");
    assert.deepEqual([total.modes.idle, total.modes.iowait, total.modes.steal], [4, 0, 0]);
  });

  it("says what it expected of a garbled line, and of a file without a total", () => {
    assert.throws(
      () => parseStat("cpu  1 2 x 4 5\n"),
      unreadable(/^stat: expected a number, got "cpu  1 2 x/),
    );
    assert.throws(
      () => parseStat("cpu  1 2\n"),
      unreadable(/stat: expected at least four CPU times/),
    );
    assert.throws(() => parseStat("cpu0 1 2 3 4\n"), unreadable(/stat: expected a line "cpu"/));
    assert.throws(() => parseStat("cpu 1 2 3 4\nctxt -5\n"), unreadable(/got "ctxt -5"/));
    assert.throws(() => parseStat(""), unreadable(/stat: expected/));
  });
});

describe("/proc/meminfo", () => {
  it("gives bytes where the kernel writes kB and plain numbers elsewhere", () => {
    const info = parseMemInfo("MemTotal:  16 kB\nActive(anon):   3 kB\nHugePages_Total:  7\n");
    assert.deepEqual(info.get("MemTotal"), { value: 16_384, isBytes: true });
    assert.deepEqual(info.get("Active(anon)"), { value: 3_072, isBytes: true });
    assert.deepEqual(info.get("HugePages_Total"), { value: 7, isBytes: false });
  });

  it("refuses a garbled line and a file without a total", () => {
    assert.throws(
      () => parseMemInfo("MemTotal: much kB\n"),
      unreadable(/^meminfo: expected a number/),
    );
    assert.throws(() => parseMemInfo("MemTotal 16 kB\n"), unreadable(/"Name: number kB\\?"/));
    assert.throws(() => parseMemInfo("MemTotal: 16 MB\n"), unreadable(/meminfo: expected/));
    assert.throws(() => parseMemInfo("MemTotal: 0 kB\n"), unreadable(/MemTotal above 0/));
    assert.throws(() => parseMemInfo("MemFree: 16 kB\n"), unreadable(/MemTotal above 0/));
  });
});

describe("/proc/loadavg", () => {
  it("gives the three averages", () => {
    assert.deepEqual(parseLoadAverages("0.22 0.51 11.08 3/188 32479\n"), {
      load1: 0.22,
      load5: 0.51,
      load15: 11.08,
    });
  });

  it("refuses anything else", () => {
    for (const text of ["", "0.1 0.2", "a b c", "0.1 -1 0.3 1/2 3"])
      assert.throws(() => parseLoadAverages(text), unreadable(/^loadavg: expected a number/));
  });
});

describe("/proc/<pid>/mountinfo", () => {
  it("gives every column, with any number of optional fields", () => {
    const text =
      "36 35 98:0 /mnt1 /mnt2 ro,noatime shared:7 master:1 propagate_from:2 - ext3 /dev/root rw,errors=continue\n" +
      "37 35 0:9 / / rw - tmpfs  rw\n";
    assert.deepEqual(parseMountInfo(text), [
      {
        deviceNumber: "98:0",
        root: "/mnt1",
        mountPoint: "/mnt2",
        type: "ext3",
        device: "/dev/root",
        readOnly: true,
      },
      {
        deviceNumber: "0:9",
        root: "/",
        mountPoint: "/",
        type: "tmpfs",
        device: "",
        readOnly: false,
      },
    ]);
  });

  it("undoes the kernel's octal escapes and leaves Unicode spaces alone", () => {
    const line =
      "1 2 0:1 / /a\\040b\\011c\\012d\\134e\\043f\u3000g rw - nfs4 h:/x\\040y rw,addr=::1\n";
    const [mount] = parseMountInfo(line);
    assert.equal(mount?.mountPoint, "/a b\tc\nd\\e#f\u3000g");
    assert.equal(mount.device, "h:/x y");
  });

  it("takes a mount as read-only when the superblock is", () => {
    assert.equal(parseMountInfo("1 2 0:1 / /a rw - ext4 /dev/x ro,x=ro1")[0]?.readOnly, true);
    assert.equal(parseMountInfo("1 2 0:1 / /a rw - ext4 /dev/x rw,mode=ro1")[0]?.readOnly, false);
  });

  it("refuses a garbled line and an empty file", () => {
    for (const line of [
      "",
      "hello",
      "1 2 0:1 / /a rw ext4 /dev/x rw",
      "1 2 zero / /a rw - ext4 d rw",
      "1 2 0:1 / a rw - ext4 d rw",
    ])
      assert.throws(() => parseMountInfo(line), unreadable(/^mountinfo: expected/));
  });
});

describe("/proc/net/dev", () => {
  const headings = "Inter-|   Receive |  Transmit\n face |bytes    packets |bytes    packets\n";
  const direction = (first: number): object => ({
    bytes: first,
    packets: first + 1,
    errs: first + 2,
    drop: first + 3,
  });

  it("gives bytes, packets, errors and drops of both directions", () => {
    const text = `${headings}  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n`;
    assert.deepEqual(parseNetDev(text), [
      { name: "eth0", receive: direction(1), transmit: direction(9) },
    ]);
    assert.deepEqual(parseNetDev(headings), []);
  });

  it("reads numbers that touch the colon, and names with colons in them", () => {
    const rest = "2 3 4 5 6 7 8 9 10 11 12 13 14 15 16";
    const text = `${headings}  eth0:12345678 ${rest}\neth0:1:12345678 ${rest}\n`;
    assert.deepEqual(
      parseNetDev(text).map(({ name, receive }) => [name, receive.bytes]),
      [
        ["eth0", 12_345_678],
        ["eth0:1", 12_345_678],
      ],
    );
  });

  it("gives back whatever a kernel prints, old or new", () => {
    const name = fc.stringMatching(/^[!-.0-~]{1,15}$/);
    const counters = fc.array(fc.nat({ max: Number.MAX_SAFE_INTEGER }), {
      minLength: 16,
      maxLength: 16,
    });
    fc.assert(
      fc.property(fc.array(fc.tuple(name, counters)), fc.boolean(), (rows, isOld) => {
        const lines = rows.map(([one, [bytes, ...others]]) => {
          const start = isOld ? String(bytes).padStart(8) : ` ${String(bytes).padStart(7)}`;
          return `${one.padStart(6)}:${start} ${others.map((n) => String(n).padStart(7)).join(" ")}\n`;
        });
        const numbers = ({ bytes, packets, errs, drop }: DirectionCounters): number[] => [
          bytes,
          packets,
          errs,
          drop,
        ];
        assert.deepEqual(
          parseNetDev(headings + lines.join("")).map((one) => [
            one.name,
            [...numbers(one.receive), ...numbers(one.transmit)],
          ]),
          rows.map(([one, all]) => [one, [...all.slice(0, 4), ...all.slice(8, 12)]]),
        );
      }),
    );
  });

  it("passes over interfaces that nobody wants, unread", () => {
    const text = `${headings}veth1: what\neth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n`;
    const wanted = (name: string): boolean => name === "eth0";
    assert.deepEqual(
      parseNetDev(text, wanted).map(({ name }) => name),
      ["eth0"],
    );
  });

  it("refuses a garbled line and a file without headings", () => {
    for (const [text, expected] of [
      ["", /two lines of headings/],
      ["eth0: 1 2 3\n", /two lines of headings/],
      [`${headings}eth0 1 2 3\n`, /a line "name: numbers"/],
      [`${headings}eth0: 1 2 3\n`, /sixteen numbers/],
      [`${headings}eth0: 1 2 x 4 5 6 7 8 9 10 11 12 13 14 15 16\n`, /a number/],
      [`${headings}eth0: 1 -2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n`, /a number/],
    ] as const)
      assert.throws(
        () => parseNetDev(text),
        unreadable(new RegExp(`^net/dev: expected ${expected.source}`)),
      );
  });
});

describe("any parser of /proc", () => {
  const parsers = {
    parseStat,
    parseMemInfo,
    parseLoadAverages,
    parseMountInfo,
    parseNetDev,
    parseRoutes4,
    parseLocalAddresses4,
    parseRoutes6,
    parseAddresses6,
  };
  const words = fc.constantFrom(
    "cpu",
    "cpu0",
    "MemTotal:",
    "kB",
    "1",
    "-1",
    "1.5",
    "/",
    "-",
    "|--",
    "::",
    "0:1",
    "ext4",
    "eth0:",
    "Inter-|\n|bytes\n",
    "00000000",
    "\t",
    "\n",
    "\0",
  );
  const texts = fc.oneof(
    fc.string(),
    fc.array(words, { maxLength: 30 }).map((list) => list.join(" ")),
  );

  for (const [name, parse] of Object.entries(parsers))
    it(`${name} reads any text or refuses it with PROC_UNREADABLE`, () => {
      fc.assert(
        fc.property(texts, (text) => {
          try {
            parse(text);
          } catch (cause) {
            assert.ok(cause instanceof AgentError, String(cause));
            assert.equal(cause.code, "PROC_UNREADABLE");
            assert.ok(cause.message.length < 400, cause.message);
          }
        }),
      );
    });
});
