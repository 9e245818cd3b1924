import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import fc from "fast-check";
import { systemClock } from "../../src/base/clock.ts";
import { AgentError } from "../../src/core/errors.ts";
import {
  startApi,
  type HttpAnswer,
  type ProblemJson,
  type TestApi,
  type TestApiOptions,
} from "../support/api.ts";
import { incident } from "../support/view.ts";

function assertProblem(answer: HttpAnswer, status: number): void {
  assert.equal(answer.status, status, answer.text);
  assert.equal(answer.headers["content-type"], "application/problem+json");
  assert.equal(answer.headers["x-content-type-options"], "nosniff");
  assert.match(String(answer.headers["content-security-policy"]), /default-src 'none'/);
  const { type, title, status: shown, detail, errors } = answer.json as ProblemJson;
  assert.deepEqual([type, shown], ["about:blank", status]);
  assert.ok(typeof title === "string" && typeof detail === "string" && Array.isArray(errors));
}

describe("the server", () => {
  let t: TestApi;
  const start = async (options: TestApiOptions = {}): Promise<void> => {
    t = await startApi(options);
  };
  const post = (body: string, headers: http.OutgoingHttpHeaders = {}) =>
    t.ask("/api/metrics", {
      method: "POST",
      body,
      headers: { "Content-Type": "application/json", ...headers },
    });
  afterEach(() => t.api.stop());

  it("answers unknown paths and methods as problems, with what is allowed", async () => {
    await start();
    for (const path of [
      "/nope",
      "/api",
      "/api/",
      "/API/config",
      "/api/config/x",
      "/api/metrics/../config",
      "*",
    ])
      assertProblem(await t.ask(path), 404);
    const allowed = async (path: string, method: string) => {
      const answer = await t.ask(path, { method });
      if (method === "HEAD") assert.equal(answer.status, 405);
      else assertProblem(answer, 405);
      return answer.headers.allow;
    };
    assert.equal(await allowed("/health", "POST"), "GET, HEAD");
    assert.equal(await allowed("/api/metrics", "DELETE"), "GET, HEAD, POST");
    assert.equal(await allowed("/api/alert", "GET"), "POST");
    assert.equal(await allowed("/api/alert", "HEAD"), "POST");
    assert.equal(await allowed("/api/alert", "PROPFIND"), "POST");
    assert.equal(await allowed("/api/alerts/x/ack", "OPTIONS"), "POST");
  });

  it("answers HEAD like GET, without a body", async () => {
    await start();
    for (const path of ["/", "/health", "/api/metrics", "/metrics", "/api/alerts"]) {
      const get = await t.ask(path);
      const head = await t.ask(path, { method: "HEAD" });
      assert.deepEqual([head.status, head.text], [200, ""], path);
      assert.equal(head.headers["content-length"], get.headers["content-length"], path);
    }
  });

  it("refuses malformed addresses", async () => {
    await start();
    for (const path of [
      "/%",
      "/%zz",
      "/api/alerts/%E0%A4%A",
      "/api/alerts?status=%",
      "/api/alerts?%ff=1",
      "/%00%",
    ])
      assertProblem(await t.ask(path), 400);
    assert.match(
      await t.raw("GET http://[ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
      /^HTTP\/1\.1 400 /,
    );
    const absolute = await t.raw(
      "GET http://x/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    );
    assert.match(absolute, /^HTTP\/1\.1 200 /);
  });

  it("takes JSON only", async () => {
    await start();
    for (const type of [
      "text/plain",
      "application/x-www-form-urlencoded",
      "application/jsonx",
      "application/json; charset=latin1",
      "application/json; charset=utf-16",
      "",
    ])
      assertProblem(await post("{}", { "Content-Type": type }), 415);
    assertProblem(await post("{}", { "Content-Encoding": "gzip" }), 415);
    for (const type of [
      "application/json",
      "Application/JSON; charset=UTF-8",
      'application/json;charset="utf-8"',
    ])
      assert.equal((await post("{}", { "Content-Type": type })).status, 200, type);
  });

  it("refuses bodies that are no JSON, where and without quoting them", async () => {
    await start();
    for (const body of [
      "{",
      "{]",
      "nope",
      "{'a':1}",
      '{"a":1}}',
      "[1,]",
      "{}\u0000",
      "\ufeff{",
      '{"__proto__":{"x":1}}',
      '{"node":"a","node":"b"}',
      "[".repeat(60_000),
    ]) {
      const answer = await post(body);
      assertProblem(answer, 400);
      const { errors } = answer.json as ProblemJson;
      assert.equal(errors.length, 1);
      assert.match(errors[0]?.message ?? "", /at line 1, column \d+/);
    }
    const bytes = await t.raw(
      "POST /api/metrics HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n\u00ff",
    );
    assert.match(bytes, /^HTTP\/1\.1 400 /);
    assert.equal((await post("\ufeff{}")).status, 200);
    assert.equal(({} as { x?: number }).x, undefined);
  });

  it("refuses bodies larger than 64 KiB, declared or not", async () => {
    await start();
    const large = JSON.stringify({ node: "x".repeat(65_536) });
    assertProblem(await post(large), 413);
    assertProblem(await post(`{"node":"${"x".repeat(3_000_000)}"}`), 413);
    const chunked = await new Promise<number | undefined>((resolve, reject) => {
      const request = http.request(
        {
          host: t.host,
          port: t.port,
          path: "/api/metrics",
          method: "POST",
          agent: false,
          headers: { "Content-Type": "application/json" },
        },
        (reply) => {
          reply.resume();
          resolve(reply.statusCode);
        },
      );
      request.on("error", reject);
      request.write(large);
      request.write(large);
      request.end();
    });
    assert.equal(chunked, 413);
    const most = `{"node":"node-1"${" ".repeat(65_536 - 17)}}`;
    assert.equal(Buffer.byteLength(most), 65_536);
    assert.equal((await post(most)).status, 200);
  });

  it("answers what is no HTTP, too large or not allowed on the wire as problems too", async () => {
    await start();
    const table: [bytes: string, status: number][] = [
      ["hello\r\n\r\n", 400],
      ["\u0016\u0003\u0001\u0002\u0000", 400],
      ["GET / HTTP/9.9\r\n\r\n", 400],
      ["GET /health HTTP/1.1\r\n\r\n", 400],
      ["GET /health HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n", 400],
      ["POST /api/metrics HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400],
      [
        "POST /api/metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        400,
      ],
      [`GET /health HTTP/1.1\r\nHost: x\r\nX-Large: ${"x".repeat(20_000)}\r\n\r\n`, 431],
      ["CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example\r\n\r\n", 405],
      [
        "POST /api/metrics HTTP/1.1\r\nHost: x\r\nExpect: the-unexpected\r\nContent-Length: 2\r\n\r\n{}",
        417,
      ],
    ];
    for (const [bytes, status] of table) {
      const answer = await t.raw(bytes);
      assert.match(
        answer,
        new RegExp(`^HTTP/1\\.1 ${status} `),
        JSON.stringify(bytes.slice(0, 60)),
      );
      assert.match(answer, /application\/problem\+json/i);
      const body = answer.slice(answer.indexOf("\r\n\r\n") + 4);
      assert.equal((JSON.parse(body) as { status: number }).status, status);
    }
    const old = await t.raw("GET /health HTTP/1.0\r\n\r\n");
    assert.match(old, /^HTTP\/1\.1 200 /);
  });

  it("does not wait for clients that dawdle", async () => {
    await start({ timeouts: { headersMs: 200, requestMs: 400 } });
    const beganMs = performance.now();
    const [headers, body] = await Promise.all([
      t.raw("GET /health HTTP/1.1\r\nHost: x\r\n"),
      t.raw(
        "POST /api/metrics HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{",
      ),
    ]);
    assert.match(headers, /^HTTP\/1\.1 408 /);
    assert.match(body, /^HTTP\/1\.1 408 /);
    assert.ok(performance.now() - beganMs < 3_000);
    assert.equal((await t.ask("/health")).status, 200);
    assert.ok(!t.log.some((line) => /ERROR/.test(line)), t.log.join("\n"));
  });

  it("survives clients that go away halfway", async () => {
    await start();
    t.view.fill(60_000, () => ({ cpu: 1, memory: 1, disk: 1 }));
    for (const bytes of [
      "POST /api/metrics HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{",
      "GET /api/metrics?start=-7d HTTP/1.1\r\nHost: x\r\n\r\n",
    ]) {
      const socket = net.connect(t.port, t.host);
      socket.on("error", () => undefined);
      await once(socket, "connect");
      socket.write(bytes);
      if (bytes.startsWith("GET")) await once(socket, "data");
      socket.resetAndDestroy();
    }
    assert.equal((await t.ask("/health")).status, 200);
    assert.ok(!t.log.some((line) => /ERROR/.test(line)), t.log.join("\n"));
  });

  it("never answers input with a 5xx, and refusals always as problems", async () => {
    await start();
    t.view.incidentList = [incident()];
    const word = fc.oneof(
      fc.constantFrom(
        "cpu",
        "disk{*}",
        "node-1",
        "now",
        "-1h",
        "5m",
        "avg",
        "firing",
        "1",
        "0",
        "",
        "null",
        "%",
        "\u0000",
        "日本",
      ),
      fc.string({ unit: "binary", maxLength: 12 }),
    );
    const name = fc.oneof(
      fc.constantFrom(
        "start",
        "end_time",
        "index",
        "indexes",
        "node",
        "step",
        "aggregate",
        "limit",
        "cursor",
        "status",
        "channel",
        "__proto__",
        "constructor",
      ),
      fc.string({ maxLength: 8 }),
    );
    const value = fc.oneof(
      word,
      fc.integer(),
      fc.double(),
      fc.boolean(),
      fc.constant(null),
      fc.array(word, { maxLength: 3 }),
      fc.object({ maxDepth: 1 }),
    );
    const bodyKeys = fc.constantFrom(
      "start_time",
      "end_time",
      "indexes",
      "node",
      "step",
      "aggregate",
      "index",
      "threshold",
      "current_value",
      "timestamp",
      "labels",
      "level",
      "by",
    );
    const body = fc.oneof(
      fc.dictionary(bodyKeys, value, { maxKeys: 5 }).map((one) => JSON.stringify(one)),
      fc.string({ maxLength: 40 }),
      fc.json({ maxDepth: 2 }),
    );
    const header = fc.dictionary(
      fc.constantFrom(
        "Accept",
        "Accept-Language",
        "X-Client-IP",
        "X-Node-Name",
        "Authorization",
        "Origin",
        "Host",
        "Content-Type",
        "Content-Encoding",
        "Cookie",
        "If-None-Match",
      ),
      fc.oneof(
        fc.constantFrom("127.0.0.1", "application/json", "text/csv;q=2", "zh", "Bearer x"),
        fc.string({ maxLength: 20 }).map((text) => text.replaceAll(/[^\x20-\x7e]/g, "?")),
      ),
      { maxKeys: 3 },
    );
    const path = fc.constantFrom(
      "/",
      "/health",
      "/ready",
      "/metrics",
      "/api/config",
      "/api/metrics",
      "/api/alert",
      "/api/v2/alerts",
      "/api/webhook/alertmanager",
      "/api/alerts",
      "/api/alerts/x",
      "/api/alerts/alert-1",
      "/api/alerts/alert-1/ack",
      "/api/indexes",
      "/api/nodes",
      "/api/rules",
      "/api/channels",
      "/api/channels/ops/test",
      "/api/deliveries",
    );
    const query = fc
      .array(fc.tuple(name, word), { maxLength: 3 })
      .map((pairs) =>
        new URLSearchParams(
          pairs.map(([a, b]): [string, string] => [a.toWellFormed(), b.toWellFormed()]),
        ).toString(),
      );
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom("GET", "POST", "PUT", "HEAD"),
        fc.tuple(path, query).map((parts) => parts.join("?")),
        fc.option(body, { nil: undefined }),
        header,
        async (method, target, body, headers) => {
          const sent = method === "GET" || method === "HEAD" ? undefined : body?.toWellFormed();
          const answer = await t.ask(target, {
            method,
            body: sent,
            headers: { "Content-Type": "application/json", ...headers },
          });
          assert.ok(answer.status < 500, `${answer.status} ${answer.text}`);
          if (answer.status >= 400)
            assert.equal(answer.headers["content-type"], "application/problem+json");
        },
      ),
      { numRuns: 600 },
    );
    assert.ok(!t.log.some((line) => /ERROR/.test(line)), t.log.join("\n"));
  });

  it("stops at once under an idle client that keeps its connection", async () => {
    await start({ clock: systemClock });
    const agent = new http.Agent({ keepAlive: true });
    await t.ask("/health", { agent });
    const beganMs = performance.now();
    await t.api.stop();
    assert.ok(performance.now() - beganMs < 500);
    await assert.rejects(t.ask("/health"), /ECONNREFUSED/);
    await t.api.stop();
    agent.destroy();
  });

  it("lets a request in flight finish, not ready any more, and closes its connection", async () => {
    await start({ clock: systemClock });
    const agent = new http.Agent({ keepAlive: true });
    let open = (): void => undefined;
    t.view.gate = new Promise((resolve) => (open = resolve));
    const slow = t.ask("/api/nodes", { agent });
    await new Promise<void>((resolve) => setImmediate(resolve));
    while ((await t.ask("/health")).status !== 200);
    const beganMs = performance.now();
    const stopped = t.api.stop();
    open();
    const answer = await slow;
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.connection, "close");
    await stopped;
    assert.ok(performance.now() - beganMs < 1_000);
    agent.destroy();
  });

  it("cuts what does not end within two seconds", async () => {
    await start({ clock: systemClock });
    t.view.gate = new Promise(() => undefined);
    const stuck = assert.rejects(t.ask("/api/nodes"), /hang up|ECONNRESET/);
    const silent = net.connect(t.port, t.host);
    silent.on("error", () => undefined);
    await once(silent, "connect");
    while ((await t.ask("/health")).status !== 200);
    const beganMs = performance.now();
    await t.api.stop();
    const tookMs = performance.now() - beganMs;
    assert.ok(tookMs > 1_000 && tookMs < 2_000, `${tookMs} ms`);
    await stuck;
  });

  it("says that a port is taken or an address is not its own, as a fault of the configuration", async () => {
    await start();
    const fault = async (options: TestApiOptions): Promise<AgentError> => {
      try {
        await startApi(options);
      } catch (cause) {
        assert.ok(cause instanceof AgentError, String(cause));
        return cause;
      }
      throw new Error("it listens");
    };
    const taken = await fault({ port: t.port });
    assert.equal(taken.code, "CONFIG_INVALID");
    assert.equal(taken.faults[0]?.path, "server.port");
    assert.match(taken.faults[0]?.message ?? "", /in use/);
    const foreign = await fault({ host: "192.0.2.250" });
    assert.equal(foreign.faults[0]?.path, "server.host");
  });

  it("may be stopped twice", async () => {
    await start();
    await t.api.stop();
    await t.api.stop();
  });
});
