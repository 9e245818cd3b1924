import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as delay } from "node:timers/promises";
import fc from "fast-check";
import { Secret } from "../../src/base/secret.ts";
import { readOptions } from "../../src/base/options.ts";
import { AgentError, type ErrorCode } from "../../src/core/errors.ts";
import type { Clock } from "../../src/core/ports.ts";
import type { SeriesKey } from "../../src/core/series.ts";
import { agentUrl } from "../../src/query/address.ts";
import { readQuestion, runQuery, type QueryDeps } from "../../src/query/command.ts";
import { stepFor } from "../../src/query/course.ts";
import { queryOptions } from "../../src/query/options.ts";
import type { Question } from "../../src/query/question.ts";
import { printTable } from "../../src/query/table.ts";
import { startApi, type TestApi } from "../support/api.ts";
import { eventually, ManualClock } from "../support/clock.ts";
import { noonMs } from "../support/view.ts";

interface Circumstances {
  readonly url: string;
  readonly columns?: number;
  readonly token?: string;
  readonly clock?: Clock;
  readonly write?: (text: string) => Promise<void>;
}

function questionOf(args: readonly string[]): Question {
  const line = readOptions(args, { ...queryOptions });
  assert.ok(line.ok, JSON.stringify(line));
  return readQuestion(line.value.options);
}

function aroundOf({ token, clock, columns }: Circumstances): Omit<QueryDeps, "write"> {
  return {
    server: {
      host: "127.0.0.1",
      port: 1,
      token: token === undefined ? null : new Secret(token),
    },
    clock: clock ?? new ManualClock(),
    columns: columns ?? null,
  };
}

/** What a command line writes. */
async function query(args: readonly string[], around: Circumstances): Promise<string> {
  let written = "";
  await runQuery(questionOf(["--url", around.url, ...args]), {
    ...aroundOf(around),
    write: async (text) => {
      written += text;
      await around.write?.(text);
    },
  });
  return written;
}

function fails(code: ErrorCode, text: RegExp): (cause: unknown) => boolean {
  return (cause) => {
    assert.ok(cause instanceof AgentError, String(cause));
    assert.equal(cause.code, code);
    const faults = cause.faults.map(({ path, message }) => `${path}: ${message}`);
    assert.match([cause.message, ...faults].join("\n"), text);
    return true;
  };
}

/** Both ends of the samples of a test; a standing clock is not the one in an answer's head. */
const untilNoon = ["--end", "2026-01-05T12:00:00Z"];

describe("targetvpc query", function () {
  this.timeout(60_000);
  let t: TestApi;
  let at: Circumstances;
  const other = (
    name: string,
    values: readonly Record<SeriesKey, number | null>[],
    cluster = "east",
  ): void => {
    t.view.others.push({ cluster, name, ip: "192.0.2.9", version: "1", lastSeenMs: noonMs });
    t.view.rows.set(
      `${cluster}/${name}`,
      values.map((row, back) => ({
        slotMs: noonMs - (values.length - 1 - back) * 10_000,
        values: new Map(Object.entries(row)),
      })),
    );
  };

  beforeEach(async () => {
    t = await startApi();
    at = { url: `http://127.0.0.1:${t.port}` };
    t.view.fill(361, (row) => ({
      cpu: row === 100 ? 99 : 10 + row / 10,
      memory: row < 180 ? null : 50.1,
      disk: 70.5,
      'disk{mount="/a,b \\"c\\""}': 20,
      load1: 0.25,
      'net_receive{interface="eth0"}': row * 100_000,
    }));
  });
  afterEach(() => t.api.stop());

  it("prints a line a series with its course as bars, as wide as the terminal", async () => {
    const indexes = "cpu,memory,disk{*},load1,net_receive{*}";
    const text = await query([...untilNoon, "--index", indexes], { ...at, columns: 110 });
    assert.equal(
      text,
      [
        "NODE    SERIES                         LAST   MIN   AVG   MAX  UNIT  avg of 2m each",
        "node-1  cpu                              46    10  28.2    99  %     ▂▂▂▂▂▂▂▂▃▂▃▃▃▃▃▃▃▃▃▃▃▄▄▄▄▄▄▄▄▄▄",
        "node-1  memory                         50.1  50.1  50.1  50.1  %     ···············▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅",
        "node-1  disk                           70.5  70.5  70.5  70.5  %     ▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆",
        String.raw`node-1  disk{mount="/a,b \"c\""}         20    20    20    20  %     ▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂`,
        "node-1  load1                          0.25  0.25  0.25  0.25        ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁",
        'node-1  net_receive{interface="eth0"}   36M     0   18M   36M  B/s   ▁▁▁▂▂▂▂▃▃▃▃▄▄▄▄▅▅▅▅▆▆▆▆▆▇▇▇▇███',
        "",
      ].join("\n"),
    );
  });

  it("is never wider than the terminal, and has no bars where there is no room or no terminal", async () => {
    const plain = await query(untilNoon, at);
    assert.equal(
      plain,
      [
        "NODE    SERIES  LAST   MIN   AVG   MAX  UNIT",
        "node-1  cpu       46    10  28.2    99  %",
        "node-1  memory  50.1  50.1  50.1  50.1  %",
        "node-1  disk    70.5  70.5  70.5  70.5  %",
        "",
      ].join("\n"),
    );
    assert.equal(await query(untilNoon, { ...at, columns: 50 }), plain);
    for (const columns of [60, 61, 79, 80, 133, 300])
      for (const span of ["1m", "7m", "1h", "90m", "7d", "400d"]) {
        const text = await query([...untilNoon, "--last", span], { ...at, columns });
        const widths = text.split("\n").map((line) => line.length);
        assert.ok(Math.max(...widths) <= columns, `${span} in ${columns}\n${text}`);
      }
  });

  it("has room for every series of a large fleet", () => {
    const values = { last: 1, min: 1, avg: 1, max: 1 };
    const summaries = Array.from({ length: 150_000 }, (_, number) => ({
      node: `node-${number}`,
      key: "cpu",
      values,
      course: [],
    }));
    const lines = printTable(summaries, new Map(), null).split("\n");
    assert.equal(lines.length, 150_002);
    assert.equal(lines[1], "node-0       cpu        1    1    1    1");
  });

  it("writes CSV and JSON that begin with the node, values as the agent has them", async () => {
    other("node-2", [
      { cpu: 1.5, memory: null },
      { cpu: null, memory: 3 },
    ]);
    const args = ["--node", "node-1,node-2", "--index", "cpu,memory", "--last", "10s"];
    assert.equal(
      await query([...untilNoon, ...args, "--format", "csv"], at),
      [
        "node,timestamp,cpu,memory",
        "node-1,1767614390,45.9,50.1",
        "node-1,1767614400,46,50.1",
        "node-2,1767614390,1.5,",
        "node-2,1767614400,,3",
        "",
      ].join("\n"),
    );
    assert.equal(
      await query([...untilNoon, ...args, "--format", "json"], at),
      [
        "[",
        '{"node":"node-1","timestamp":1767614390,"metrics":{"cpu":45.9,"memory":50.1}},',
        '{"node":"node-1","timestamp":1767614400,"metrics":{"cpu":46,"memory":50.1}},',
        '{"node":"node-2","timestamp":1767614390,"metrics":{"cpu":1.5,"memory":null}},',
        '{"node":"node-2","timestamp":1767614400,"metrics":{"cpu":null,"memory":3}}',
        "]",
        "",
      ].join("\n"),
    );
    const nothing = ["--start", "-20d", "--end", "-19d", "--index", "cpu"];
    assert.equal(await query([...nothing, "--format", "json"], at), "[]\n");
    assert.equal(await query([...nothing, "--format", "csv"], at), "node,timestamp,cpu\n");
    assert.match(await query(nothing, at), /^node-1 +cpu +- +- +- +- +%$/m);
  });

  it("gives rows of several nodes the columns of all of them", async () => {
    other("node-2", [{ 'disk{mount="/b"}': 7 }]);
    const args = [...untilNoon, "--node", "all", "--index", "disk{*}", "--last", "1s"];
    assert.equal(
      await query([...args, "--format", "csv"], at),
      [
        String.raw`node,timestamp,disk,"disk{mount=""/a,b \""c\""""}","disk{mount=""/b""}"`,
        "node-1,1767614400,70.5,20,",
        "node-2,1767614400,,,7",
        "",
      ].join("\n"),
    );
    const rows = JSON.parse(await query([...args, "--format", "json"], at)) as {
      metrics: Record<string, number>;
    }[];
    assert.deepEqual(
      rows.map(({ metrics }) => Object.keys(metrics).length),
      [2, 1],
    );
  });

  it("takes patterns for the nodes it knows, whatever they are called and however many", async () => {
    const nodesOf = async (patterns: string): Promise<string[]> => {
      const args = [...untilNoon, "--node", patterns, "--index", "cpu", "--last", "1s"];
      const text = await query(args, at);
      return text
        .trimEnd()
        .split("\n")
        .slice(1)
        .map((line) => line.split("  ")[0] ?? "");
    };
    other("gpu-1", [{ cpu: 1 }]);
    other("gpu-2", [{ cpu: 2 }]);
    other("gpu-1", [{ cpu: 3 }], "west");
    assert.deepEqual(await nodesOf("gpu-2,node-1"), ["gpu-2", "node-1"]);
    assert.deepEqual(await nodesOf("gpu-2*,node-1"), ["gpu-2", "node-1"]);
    assert.deepEqual(await nodesOf("east/gpu-*"), ["gpu-1", "gpu-2"]);
    assert.deepEqual(await nodesOf("gpu-*"), ["east/gpu-1", "east/gpu-2", "west/gpu-1"]);
    other("gpu-evil\u001B[31m", [{ cpu: 4 }]);
    assert.deepEqual(await nodesOf("east/gpu-*"), ["gpu-1", "gpu-2"]);
    for (let more = 0; more < 1_200; more++) other(`many-${more}`, [{ cpu: 1 }]);
    // The last of them are on the second page of the list.
    assert.equal((await nodesOf("many-99*")).length, 11);
  });

  it("says which name means no node or several, and what may have been meant", async () => {
    other("gpu-1", [{ cpu: 1 }]);
    other("gpu-1", [{ cpu: 3 }], "west");
    const refused = (nodes: string, text: RegExp): Promise<void> =>
      assert.rejects(query(["--node", nodes], at), fails("INPUT_INVALID", text));
    await refused("node-9", /--node: "node-9": unknown node/);
    await refused("gpu-1", /--node: "gpu-1": fits several nodes: east\/gpu-1, west\/gpu-1/);
    await refused(
      "*-7,node-2",
      /no node fits "\*-7"\n.*no node fits "node-2"; did you mean "node-1"/,
    );
  });

  it("averages every sample exactly, and takes least and greatest from no average", async () => {
    const values = fc.array(fc.option(fc.integer({ min: 0, max: 1_000 }).map((n) => n / 10)), {
      minLength: 1,
      maxLength: 300,
    });
    await fc.assert(
      fc.asyncProperty(values, fc.constantFrom([], ["--step", "70s"]), async (cpu, step) => {
        t.view.fill(cpu.length, (row) => ({ cpu: cpu[row] ?? null }));
        const text = await query([...untilNoon, "--index", "cpu", ...step], at);
        const [last, min, avg, max] = text.split("\n")[1]!.trim().split(/ +/).slice(2, 6);
        const known = cpu.filter((value) => value !== null);
        const round = (value: number): string => String(Number(value.toFixed(1)));
        if (known.length === 0) return assert.equal(last, "-");
        assert.equal(last, round(known.at(-1)!));
        assert.equal(min, round(Math.min(...known)));
        assert.equal(max, round(Math.max(...known)));
        if (step.length === 0)
          assert.ok(
            Math.abs(Number(avg) - known.reduce((sum, value) => sum + value, 0) / known.length) <
              0.051,
          );
      }),
      { numRuns: 30 },
    );
  });

  it("draws bars of the step and the aggregate asked for", async () => {
    const args = ["--index", "cpu", "--last", "20m", "--step", "5m", "--aggregate", "max"];
    const text = await query([...untilNoon, ...args], { ...at, columns: 80 });
    assert.match(text, /max of 5m each\nnode-1 .* [▁▂▃▄▅▆▇█]{5}\n$/);
    assert.equal(
      await query([...untilNoon, ...args, "--format", "csv"], at),
      [
        "node,timestamp,cpu",
        "node-1,1767613200,36.9",
        "node-1,1767613500,39.9",
        "node-1,1767613800,42.9",
        "node-1,1767614100,45.9",
        "node-1,1767614400,46",
        "",
      ].join("\n"),
    );
  });

  it("holds no more of an answer than is being written", async () => {
    const line = "1767614400,12.345678\r\n";
    const part = line.repeat(10_000);
    const wholeBytes = 40e6;
    let sentBytes = 0;
    function* answer(): Generator<string> {
      yield "timestamp,cpu\r\n";
      for (sentBytes = 0; sentBytes < wholeBytes; sentBytes += part.length) yield part;
    }
    const { server, url } = await serve((request, response) => {
      if (request.url === "/api/metrics")
        pipeline(Readable.from(answer()), response).catch(() => {});
      else response.end('{"node":"n","cluster":"c"}');
    });
    let release = (): void => {};
    const gate = new Promise<void>((resolve) => (release = resolve));
    let writes = 0;
    let lines = 0;
    const running = runQuery(questionOf(["--url", url, "--format", "csv"]), {
      ...aroundOf({ url }),
      write: (text) => {
        lines += text.split("\n").length - 1;
        return ++writes < 20 ? Promise.resolve() : gate;
      },
    });
    let before = -1;
    await eventually("nothing moves until the reader goes on", async () => {
      const moved = sentBytes !== before;
      before = sentBytes;
      await delay(200);
      return writes === 20 && !moved;
    });
    // Sockets of loopback hold some megabytes.
    assert.ok(sentBytes < wholeBytes / 2, `${sentBytes} of ${wholeBytes} bytes were taken`);
    release();
    await running;
    assert.equal(lines, 1 + Math.ceil(wholeBytes / part.length) * 10_000);
    server.close();
  });

  it("sends the token only to an agent that wants it", async () => {
    const guarded = await startApi({ protect: "all", token: "hunter2-secret" });
    guarded.view.fill(2, () => ({ cpu: 5 }));
    const there = { url: `http://127.0.0.1:${guarded.port}` };
    const args = [...untilNoon, "--index", "cpu"];
    await assert.rejects(
      query(args, there),
      fails("HTTP_FAILED", /wants a token: .*SERVER_TOKEN_FILE/),
    );
    await assert.rejects(
      query(args, { ...there, token: "wrong-secret" }),
      fails("HTTP_FAILED", /refuses the token of server\.token/),
    );
    assert.match(await query(args, { ...there, token: "hunter2-secret" }), /cpu +5/);
    await guarded.api.stop();
    const seen: (string | undefined)[] = [];
    const open = await serve((request, response) => {
      seen.push(request.headers.authorization);
      response.end("{}");
    });
    await assert.rejects(query(args, { url: open.url, token: "hunter2-secret" }));
    assert.deepEqual(seen, [undefined]);
    open.server.close();
  });

  describe("when the agent does not answer as one", () => {
    it("names the address and how to mend it", async () => {
      await t.api.stop();
      await assert.rejects(
        query([], at),
        fails("HTTP_FAILED", new RegExp(`no agent answers at ${at.url}: .*ECONNREFUSED[^]*--url`)),
      );
    });

    it("says that something else is there", async () => {
      for (const [status, body] of [
        [200, "<html>"],
        [200, "{}"],
        [404, "<html>"],
        [302, ""],
      ] as const) {
        const { server, url } = await serve((_, response) => {
          response.writeHead(status, { Location: "/elsewhere" }).end(body);
        });
        await assert.rejects(
          query([], { url }),
          fails("HTTP_FAILED", /is not an agent of TargetVPC/),
        );
        server.close();
      }
    });

    it("says what the agent says, and that its store is away", async () => {
      t.view.failure = new AgentError("STORE_UNAVAILABLE", "redis is away");
      await assert.rejects(query(untilNoon, at), fails("HTTP_FAILED", /answers: redis is away/));
    });

    it("fails when an answer breaks off, and leaves no JSON that looks whole", async () => {
      const { server, url } = await serve((request, response) => {
        if (request.url === "/health") return response.end('{"node":"n","cluster":"c"}');
        response.write("timestamp,cpu\r\n1,2\r\n");
        return setImmediate(() => response.destroy());
      });
      let written = "";
      const write = async (text: string): Promise<void> => void (written += text);
      await assert.rejects(
        query(["--format", "json"], { url, write }),
        fails("HTTP_FAILED", /the answer of .* broke off/),
      );
      assert.throws(() => JSON.parse(written));
      server.close();
    });

    it("gives up after a minute", async () => {
      const clock = new ManualClock();
      const { server, url } = await serve(() => {});
      const running = assert.rejects(
        query([], { url, clock }),
        fails("HTTP_FAILED", /no answer within 60 s/),
      );
      await once(server, "request");
      await clock.advance(60_000);
      await running;
      server.closeAllConnections();
      server.close();
    });
  });

  it("names every option that is wrong", async () => {
    const wrong = (args: string[], text: RegExp): Promise<void> =>
      assert.rejects(query(args, at), fails("INPUT_INVALID", text));
    await wrong(
      ["--last", "soon", "--step", "0.5", "--index", "cpu,disk{", "--format", "xml"],
      /--index: series "disk\{".*\n--last: expected[^]*--step: must[^]*--format: expected one of table, csv, json, got "xml"/,
    );
    await wrong(["--start", "-1h", "--last", "1h"], /--last: given beside --start/);
    await wrong(["--start", "now", "--end", "-1h"], /--start: must be before --end/);
    await wrong(["--start", "yesterday"], /--start: expected Unix seconds.* got "yesterday"/);
    await wrong(["--aggregate", "max", "--format", "csv"], /--aggregate: needs --step/);
    await wrong(["--index", "cpuu"], /--index: unknown index "cpuu"; did you mean "cpu"/);
    for (const url of ["ftp://host", "http://u:p@host", "host:8001", "http://host/path"])
      assert.throws(
        () => questionOf(["--url", url]),
        fails("INPUT_INVALID", /--url: expected http/),
      );
  });
});

describe("the address of the agent", () => {
  it("is where it listens, loopback where that is everywhere", () => {
    for (const [host, url] of [
      ["0.0.0.0", "http://127.0.0.1:8001"],
      ["::", "http://[::1]:8001"],
      ["fd00::5", "http://[fd00::5]:8001"],
      ["localhost", "http://localhost:8001"],
    ] as const)
      assert.equal(agentUrl({ host, port: 8_001 }), url);
    assert.throws(
      () => agentUrl({ host: "::", port: 0 }),
      fails("INPUT_INVALID", /--url: is needed: by server\.port 0/),
    );
  });
});

describe("the step of a drawing", () => {
  it("is the shortest that fits, no shorter than samples come, and a multiple of what it must be", () => {
    const hour = { fromMs: noonMs - 3_600_000, toMs: noonMs };
    assert.equal(stepFor(hour, { leastMs: 10_000, unitMs: 1_000, most: 400 }), 10_000);
    assert.equal(stepFor(hour, { leastMs: 10_000, unitMs: 1_000, most: 60 }), 120_000);
    assert.equal(stepFor(hour, { leastMs: 7_000, unitMs: 7_000, most: 400 }), 14_000);
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 3e9 }),
        fc.integer({ min: 1, max: 9e6 }),
        fc.integer({ min: 1, max: 400 }),
        fc.integer({ min: 8, max: 400 }),
        (end, length, unit, most) => {
          const span = { fromMs: (end - length) * 1_000, toMs: end * 1_000 };
          const step = stepFor(span, { leastMs: unit * 1_000, unitMs: unit * 1_000, most });
          const count = Math.floor(span.toMs / step) - Math.floor(span.fromMs / step) + 1;
          assert.ok(count <= most && step % (unit * 1_000) === 0);
        },
      ),
    );
  });
});

/** A server that is no agent. */
async function serve(
  handle: Parameters<typeof createServer>[1] & {},
): Promise<{ server: Server; url: string }> {
  const server = createServer(handle);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return { server, url: `http://127.0.0.1:${port}` };
}
