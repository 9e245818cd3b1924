import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, open, readdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import fc from "fast-check";
import { AgentError } from "../../../src/core/errors.ts";
import { RecordLog, type RecordLogOptions } from "../../../src/store/file/log.ts";
import { publish } from "../../../src/store/file/place.ts";
import { encodeRecord } from "../../../src/store/file/record.ts";
import { recordLog } from "../../support/log.ts";

const text = (value: Buffer | null | undefined): string | null =>
  value === null || value === undefined ? null : value.toString();
const bytes = (value: string): Buffer => Buffer.from(value);

async function contents(log: RecordLog): Promise<Record<string, string | null>> {
  const keys = await log.keys();
  const values = await log.read(keys);
  return Object.fromEntries(keys.map((key, index) => [key, text(values[index])]));
}

describe("record log", () => {
  let dir: string;
  let opened: RecordLog[];
  const make = (options: Partial<RecordLogOptions> = {}): RecordLog => {
    const log = new RecordLog({ dir, name: "test", log: recordLog().log, ...options });
    opened.push(log);
    return log;
  };
  const files = async (): Promise<string[]> => (await readdir(dir)).sort();
  const file = async (): Promise<string> => path.join(dir, (await files())[0] ?? "");
  const put = (log: RecordLog, values: Record<string, string | null>): Promise<void> =>
    log.write(
      new Map(
        Object.entries(values).map(([key, value]) => [key, value === null ? null : bytes(value)]),
      ),
    );

  beforeEach(async () => {
    dir = await mkdtemp(path.join(os.tmpdir(), "record-log-"));
    opened = [];
  });
  afterEach(async () => {
    for (const log of opened) await log.close().catch(() => undefined);
    await rm(dir, { recursive: true, force: true });
  });

  it("gives back what was written, also after it was opened again", async () => {
    const log = make();
    assert.deepEqual(await log.read(["a"]), [null]);
    assert.deepEqual(await files(), [], "nothing is made before something is written");
    await put(log, { a: "1", 键: "值", empty: "" });
    await put(log, { a: "2", gone: "x" });
    await put(log, { gone: null, never: null });
    for (const one of [log, make()]) {
      assert.deepEqual((await one.read(["a", "gone", "键", "a", "empty"])).map(text), [
        "2",
        null,
        "值",
        "2",
        "",
      ]);
      assert.deepEqual(await one.keys(), ["键", "empty", "a"]);
    }
  });

  it("keeps its files from everybody else", async () => {
    const nested = path.join(dir, "not", "yet");
    const log = make({ dir: nested });
    await put(log, { a: "1" });
    assert.equal((await stat(nested)).mode & 0o777, 0o700);
    assert.equal((await stat(path.join(nested, "test.1.log"))).mode & 0o777, 0o600);
  });

  it("gives a key a value only once", async () => {
    const log = make();
    assert.equal(await log.add("a", bytes("1")), true);
    assert.equal(await log.add("a", bytes("1")), false);
    await put(log, { a: null });
    assert.equal(await log.add("a", bytes("2")), true);
    assert.deepEqual(await contents(log), { a: "2" });
  });

  it("swaps values only while all of them are as expected", async () => {
    const log = make();
    await put(log, { a: "1", b: "2", c: "3" });
    const swap = (expected: Record<string, string | null>, puts: Record<string, string>) =>
      log.swap({
        expected: new Map(
          Object.entries(expected).map(([key, v]) => [key, v === null ? null : bytes(v)]),
        ),
        puts: new Map(Object.entries(puts).map(([key, value]) => [key, bytes(value)])),
      });
    assert.equal(await swap({ a: "1", b: "x" }, { d: "4" }), false);
    assert.equal(await swap({ a: "1", d: "4" }, { d: "4" }), false);
    assert.equal(await swap({ a: "1", c: null }, { d: "4" }), false);
    assert.deepEqual(await contents(log), { a: "1", b: "2", c: "3" });
    assert.equal(await swap({ a: "1", b: "2", d: null }, { b: "5", d: "4" }), true);
    assert.deepEqual(await contents(make()), { c: "3", b: "5", d: "4" });
  });

  it("equals a map after any sequence of changes, however often it is opened again or replaced", async () => {
    const key = fc.constantFrom("a", "b", "c", "d", "键");
    const change = fc.oneof(
      { weight: 8, arbitrary: fc.tuple(key, fc.string({ maxLength: 300 })) },
      { weight: 2, arbitrary: fc.tuple(key, fc.constant(null)) },
    );
    const step = fc.oneof(
      { weight: 10, arbitrary: fc.array(change, { minLength: 1, maxLength: 4 }) },
      { weight: 2, arbitrary: fc.constant("reopen" as const) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        await rm(dir, { recursive: true, force: true });
        const model = new Map<string, string>();
        let log = make({ minGarbageBytes: 500 });
        for (const one of steps)
          if (one === "reopen") {
            await log.close();
            log = make({ minGarbageBytes: 500 });
          } else {
            const changes = new Map(one);
            await put(log, Object.fromEntries(changes));
            for (const [at, value] of changes) {
              model.delete(at);
              if (value !== null) model.set(at, value);
            }
          }
        assert.deepEqual(await contents(log), Object.fromEntries(model));
        assert.ok((await readdir(dir).catch(() => [])).length <= 1, "one file");
        await log.close();
      }),
      { numRuns: 60 },
    );
  });

  it("has everything before the place where it was cut, and goes on from there", async () => {
    const change = fc.tuple(
      fc.constantFrom("a", "b", "c", "d"),
      fc.option(fc.string({ maxLength: 60 })),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(change, { minLength: 1, maxLength: 25 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        async (changes, share) => {
          await rm(dir, { recursive: true, force: true });
          const log = make();
          await put(log, { first: "1" });
          const model = new Map([["first", "1"]]);
          const at = await file();
          const states = [{ size: (await stat(at)).size, values: Object.fromEntries(model) }];
          for (const [key, value] of changes) {
            await put(log, { [key]: value });
            if (value === null) model.delete(key);
            else model.set(key, value);
            states.push({ size: (await stat(at)).size, values: Object.fromEntries(model) });
          }
          const last = states.at(-1)?.size ?? 0;
          const cut = Math.floor(share * last);
          await truncate(at, cut);
          const expected = states.findLast(({ size }) => size <= cut)?.values ?? {};
          const again = make();
          assert.deepEqual(await contents(again), expected);
          // The one that had it open notices, too.
          assert.deepEqual(await contents(log), expected);
          await put(again, { more: "2" });
          assert.deepEqual(await contents(log), { ...expected, more: "2" });
          assert.deepEqual(await contents(make()), { ...expected, more: "2" });
          for (const one of [log, again]) await one.close();
        },
      ),
      { numRuns: 60 },
    );
  });

  it("loses only the record in which a byte is garbled", async () => {
    const log = make();
    for (let n = 0; n < 20; n++) await put(log, { [`k${n}`]: `value ${n}`.repeat(5) });
    await log.close();
    const at = await file();
    const good = await readFile(at);
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 8, max: good.length - 1 }),
        fc.integer({ min: 1, max: 255 }),
        async (place, flip) => {
          const bad = Buffer.from(good);
          bad[place] = (bad[place] ?? 0) ^ flip;
          await writeFile(at, bad);
          const again = make();
          const found = await contents(again);
          assert.equal(Object.keys(found).length, 19);
          for (const [key, value] of Object.entries(found))
            assert.equal(value, `value ${key.slice(1)}`.repeat(5));
          assert.ok(again.counters().damagedBytes > 0);
          await again.close();
        },
      ),
      { numRuns: 60 },
    );
  });

  it("says once that a file is damaged, and mends its beginning when it writes", async () => {
    const first = make();
    await put(first, { a: "1", b: "2" });
    await put(first, { c: "3" });
    await first.close();
    const at = await file();
    const handle = await open(at, "r+");
    await handle.write(Buffer.from("xxxx"), 0, 4, 0);
    await handle.close();
    const { log, of } = recordLog();
    const again = make({ log });
    assert.deepEqual(await contents(again), { a: "1", b: "2", c: "3" });
    await put(again, { d: "4" });
    assert.deepEqual(await files(), ["test.2.log"]);
    assert.deepEqual(of("warn"), ["stored file damaged; the rest of it counts"]);
    assert.deepEqual(await contents(make()), { a: "1", b: "2", c: "3", d: "4" });
  });

  it("does not show a value that the disk has damaged under it", async () => {
    const log = make();
    await put(log, { a: "value" });
    await put(log, { b: "other" });
    const at = await file();
    const handle = await open(at, "r+");
    await handle.write(Buffer.from("V"), 0, 1, (await readFile(at)).indexOf("value"));
    await handle.close();
    assert.deepEqual((await log.read(["a", "b"])).map(text), [null, "other"]);
  });

  it("leaves a file alone that a newer agent has written, or somebody else", async () => {
    for (const [name, content, why] of [
      ["newer", "TVPCLOG\u0002whatever comes then", /newer/],
      ["foreign", "this is the diary of somebody", /something else/],
    ] as const) {
      const at = path.join(dir, `${name}.1.log`);
      await writeFile(at, content);
      const { log, lines } = recordLog();
      const one = make({ name, log });
      assert.deepEqual(await one.read(["a"]), [null]);
      await assert.rejects(put(one, { a: "1" }), { code: "STORE_UNAVAILABLE", message: why });
      await assert.rejects(put(one, { a: "1" }), AgentError);
      assert.equal(await readFile(at, "utf8"), content);
      assert.deepEqual(
        lines.map(({ event }) => event),
        ["stored file left alone"],
      );
    }
    assert.equal((await files()).length, 2);
  });

  it("is replaced when more of it is garbage than not, and is never much bigger than what lives", async () => {
    const log = make({ minGarbageBytes: 10_000 });
    const value = "x".repeat(1_000);
    let largest = 0;
    for (let n = 0; n < 300; n++) {
      await put(log, { [`k${n % 5}`]: value });
      largest = Math.max(largest, (await stat(await file())).size);
    }
    assert.ok(largest < 17_000, `${largest}`);
    assert.equal((await files()).length, 1);
    assert.equal(Object.keys(await contents(make())).length, 5);
  });

  it("drops what comes first in the order given when there is no room, and counts it", async () => {
    const value = "x".repeat(100);
    const order = (a: string, b: string): number => Number(a) - Number(b);
    const log = make({ cap: { maxBytes: 1_150, order }, minGarbageBytes: 1_000 });
    for (const n of [5, 30, 7, 20, 25, 22, 8, 21, 9, 23, 24]) await put(log, { [n]: value });
    const kept = ["8", "9", "20", "21", "22", "23", "24", "25", "30"];
    assert.deepEqual((await log.keys()).toSorted(order), kept);
    assert.equal(log.counters().dropped, 2);
    await put(log, { 3: value });
    assert.deepEqual((await log.keys()).toSorted(order), kept, "older than all there is");
    assert.equal(log.counters().dropped, 3);
    await put(log, { 40: "y".repeat(2_000) });
    assert.deepEqual(await log.keys(), [], "it alone is too much, and everything else is older");
  });

  it("without an order drops what was written longest ago", async () => {
    const log = make({ cap: { maxBytes: 400 } });
    const value = "x".repeat(70);
    for (const key of ["b", "a", "c", "b", "d", "e"]) await put(log, { [key]: value });
    assert.deepEqual(await log.keys(), ["c", "b", "d", "e"]);
    assert.deepEqual(await make().keys(), ["c", "b", "d", "e"]);
  });

  it("says that the file is gone, and begins a new one", async () => {
    let lost = 0;
    const log = make({ onLost: () => lost++ });
    await put(log, { a: "1" });
    await rm(dir, { recursive: true });
    assert.deepEqual(await log.read(["a"]), [null]);
    await put(log, { b: "2" });
    assert.deepEqual(await contents(log), { b: "2" });
    assert.equal(lost, 1);
  });

  it("rejects with STORE_UNAVAILABLE where nothing can be made", async () => {
    const log = make({ dir: "/proc/targetvpc" });
    await assert.rejects(put(log, { a: "1" }), { code: "STORE_UNAVAILABLE" });
    assert.deepEqual(await log.read(["a"]), [null]);
  });

  describe("with two writers", () => {
    it("shows each what the other has written, whoever replaces the file", async () => {
      const logs = [make({ minGarbageBytes: 2_000 }), make({ minGarbageBytes: 3_000 })];
      const model: Record<string, string> = {};
      for (let n = 0; n < 400; n++) {
        const key = `k${n % 13}`;
        const value = `${n} `.repeat(20);
        model[key] = value;
        await put(logs[n % 2]!, { [key]: value });
        const [found] = await logs[(n + 1) % 2]!.read([key]);
        assert.equal(text(found), value);
      }
      for (const log of [...logs, make()]) assert.deepEqual(await contents(log), model);
      assert.equal((await files()).length, 1);
    });

    it("loses nothing that either has written, both writing and replacing at the same time", async () => {
      const logs = [0, 1, 2].map(() => make({ minGarbageBytes: 1_000 }));
      await Promise.all(
        logs.map(async (log, writer) => {
          for (let n = 0; n < 200; n++)
            await put(log, {
              [`${writer}-${n % 5}`]: `${n}`.repeat(30),
              [`${writer}-all`]: `${n}`,
            });
        }),
      );
      const found = await contents(make());
      for (const writer of [0, 1, 2]) {
        assert.equal(found[`${writer}-all`], "199");
        for (let n = 195; n < 200; n++)
          assert.equal(found[`${writer}-${n % 5}`], `${n}`.repeat(30));
      }
      assert.equal(Object.keys(found).length, 18);
      for (const log of logs) assert.equal(log.counters().damagedBytes, 0);
    });

    it("gives a key that both add to only one of them", async () => {
      const logs = [0, 1, 2].map(() => make({ minGarbageBytes: 500 }));
      for (let n = 0; n < 100; n++) {
        const added = await Promise.all(
          logs.map((log, writer) => log.add(`${n}`, bytes(`${writer}`))),
        );
        assert.equal(added.filter(Boolean).length, 1);
        const [found] = await logs[0]!.read([`${n}`]);
        assert.equal(text(found), String(added.indexOf(true)));
        if (n % 3 === 0) await put(logs[n % 2]!, { [`${n}`]: null });
      }
    });

    it("swaps only once", async () => {
      const logs = [0, 1].map(() => make());
      await put(logs[0]!, { a: "1", rows: "0" });
      const swapped = await Promise.all(
        logs.map((log, writer) =>
          log.swap({
            expected: new Map([
              ["a", bytes("1")],
              ["rows", bytes("0")],
            ]),
            puts: new Map([["rows", bytes(`by ${writer}`)]]),
          }),
        ),
      );
      assert.equal(swapped.filter(Boolean).length, 1);
      assert.deepEqual(await contents(make()), { rows: `by ${swapped.indexOf(true)}` });
    });

    it("does not mind that others were two generations faster", async () => {
      const place = { dir, name: "test" };
      await publish(place, 7, async (handle) => {
        await handle.write("mine");
        await publish(place, 7, (other) => other.writeFile("another's"));
        await publish(place, 8, (other) => other.writeFile("the next"));
      });
      assert.deepEqual(await files(), ["test.8.log"]);
      assert.equal(await readFile(await file(), "utf8"), "the next");
    });

    it("goes on where another was interrupted while it replaced the file", async () => {
      const log = make();
      await put(log, { a: "1", b: "2" });
      const handle = await open(await file(), "a");
      await handle.write(encodeRecord([{ kind: "seal" }]));
      await handle.write(encodeRecord([{ kind: "put", key: "late", value: bytes("x") }]));
      await handle.close();
      await writeFile(path.join(dir, "test.2.log.dead.new"), "half a co");
      assert.deepEqual(await contents(make()), { a: "1", b: "2" }, "it can be read as it is");
      assert.equal((await files()).length, 2);
      await put(log, { c: "3" });
      assert.deepEqual(await files(), ["test.2.log"]);
      assert.deepEqual(await contents(make()), { a: "1", b: "2", c: "3" });
    });
  });

  it("has everything that was acknowledged after kill -9, fifty times, with two writers", async function () {
    this.timeout(240_000);
    const acknowledged = new Map<string, number>();
    const program = new URL("writer.ts", import.meta.url).pathname;
    let next = 0;
    const write = async (life: number): Promise<void> => {
      const child = spawn(process.execPath, [program, dir, "test", String(next)], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      next += 100_000;
      let output = "";
      let killed = false;
      child.stdout.on("data", (chunk: Buffer) => {
        output += chunk.toString();
        if (killed || output.length < 200 + life * 40) return;
        killed = true;
        child.kill("SIGKILL");
      });
      await once(child, "close");
      for (const line of output.split("\n").slice(0, -1)) {
        const [key = "", number = ""] = line.split(" ");
        acknowledged.set(key, Math.max(acknowledged.get(key) ?? 0, Number(number)));
      }
    };
    let replaced = 0;
    for (let life = 0; life < 50; life += 2) {
      await Promise.all([write(life), write(life + 1)]);
      const log = make();
      const found = await contents(log);
      for (const [key, number] of acknowledged) {
        const kept = Number((found[key] ?? "-1").split(" ")[0]);
        // The shared keys may have the other writer's number; own ones are newer by at most what was not acknowledged.
        if (key.startsWith("own"))
          assert.ok(kept >= number, `${key}: ${kept} instead of ${number}`);
        else assert.equal(found[key], `${kept} `.repeat(1 + (kept % 50) * 10), key);
      }
      replaced = Number((await file()).split(".").at(-2));
      await log.close();
    }
    assert.ok(replaced > 5, `replaced ${replaced} times`);
  });
});
