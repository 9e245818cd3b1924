import assert from "node:assert/strict";
import https from "node:https";
import net from "node:net";
import type { AdminHandler, AdminReply, AdminServer } from "../support/admin.ts";
import { eventually } from "../support/clock.ts";
import { makeTls } from "../support/tls.ts";
import {
  adminServer,
  cleanUp,
  listen,
  harness,
  settingsFor,
  token,
  type Harness,
} from "./harness.ts";

const good = { alerts: { rules: [{ index: "cpu", threshold: 80 }] } };
const json = { "Content-Type": "application/json" };

interface Failure {
  readonly what: string;
  readonly answer: AdminReply | AdminHandler;
  readonly status?: "down" | "degraded";
  readonly says: RegExp;
  readonly reloaded?: boolean;
}

/** Ways of going wrong that need no waiting. */
const failures: Failure[] = [
  {
    what: "an HTML login page",
    answer: {
      headers: { "Content-Type": "text/html" },
      body: "<!DOCTYPE html><title>Sign in</title>",
    },
    says: /HTML page instead of JSON/,
    reloaded: false,
  },
  {
    what: "JSON sent as HTML",
    answer: { headers: { "Content-Type": "text/html; charset=utf-8" }, body: { rules: [] } },
    says: /content type "text\/html", expected application\/json/,
    reloaded: false,
  },
  {
    what: "a compressed answer",
    answer: { headers: { ...json, "Content-Encoding": "gzip" }, body: "\u001f\u008b" },
    says: /compressed \("gzip"\), unasked/,
    reloaded: false,
  },
  {
    what: "a redirect",
    answer: { status: 302, headers: { Location: "https://sso.example/login?state=hidden" } },
    says: /http 302, redirects to "https:\/\/sso\.example\/login"; redirects are not followed/,
  },
  {
    what: "a redirect to a path",
    answer: { status: 308, headers: { Location: "/v2/config?state=hidden" } },
    says: /http 308, redirects to "\/v2\/config"/,
  },
  {
    what: "a redirect to nowhere",
    answer: { status: 301 },
    says: /http 301, redirects to nowhere/,
  },
  {
    what: "garbage",
    answer: { headers: json, body: '{"alerts": {"rules": [{"hidden' },
    says: /not JSON \(30 characters\)/,
    reloaded: false,
  },
  { what: "an empty answer", answer: { headers: json }, says: /answer is empty/, reloaded: false },
  { what: "a 204", answer: { status: 204 }, says: /http 204, unexpected/ },
  {
    what: "a code of its own",
    answer: { body: { code: 1001, message: "no\nsuch  tenant" } },
    says: /the server answered code 1001: no such tenant$/,
    reloaded: false,
  },
  {
    what: "a code that is a text",
    answer: { body: { code: "E42", data: good } },
    says: /code E42: no explanation/,
    reloaded: false,
  },
  {
    what: "success false",
    answer: { body: { success: false, error: { message: "busy" } } },
    says: /success false: busy/,
    reloaded: false,
  },
  {
    what: "an answer longer than 1 MiB",
    answer: { headers: json, body: JSON.stringify("x".repeat(1024 * 1024)) },
    says: /answer longer than 1048576 bytes/,
    reloaded: false,
  },
  {
    what: "a refused token",
    answer: { status: 401, body: { detail: "token expired" } },
    says: /http 401, admin\.token is not accepted: token expired/,
  },
  {
    what: "a forbidden page",
    answer: { status: 403, body: "<html>" },
    says: /http 403, admin\.token is not accepted$/,
  },
  {
    what: "too many requests",
    answer: { status: 429, body: { msg: "slow down" } },
    says: /http 429, too many requests: slow down/,
  },
  { what: "an error of the server", answer: { status: 500 }, says: /http 500, the server failed$/ },
  { what: "a bad request", answer: { status: 400 }, says: /http 400, unexpected/ },
  { what: "a 304 nobody asked for", answer: { status: 304 }, says: /http 304, though no version/ },
  {
    what: "a connection that closes without an answer",
    answer: (_, response) => response.destroy(),
    status: "down",
    says: /connection closed before an answer \(ECONNRESET\)/,
  },
  {
    what: "a connection that closes in the middle of the answer",
    answer: (_, response) => {
      response.writeHead(200, { ...json, "Content-Length": "100" });
      response.write("{");
      setImmediate(() => response.destroy());
    },
    status: "down",
    says: /connection closed in the middle of the answer/,
  },
  {
    what: "something that is not HTTP",
    answer: (request) => request.socket.end("220 mail.example ESMTP\r\n"),
    status: "down",
    says: /answer is not HTTP \(HPE_/,
  },
];

describe("trouble with the admin server", () => {
  let server: AdminServer;
  let agent: Harness;

  beforeEach(async () => {
    server = await adminServer();
    agent = harness(settingsFor(server.url));
  });

  afterEach(cleanUp);

  for (const { what, answer, status = "degraded", says, reloaded = true } of failures)
    it(`tells ${what} apart, keeps the last good answer, warns once and says when it is over`, async () => {
      server.answerConfig({ body: good });
      await agent.start();
      const saved = agent.cache.content;
      server.answerConfig(answer);
      await agent.next();
      await agent.next();
      assert.equal(agent.sync.status().status, status);
      assert.match(agent.lastError(), says);
      assert.equal(agent.sync.lastReloadSuccessful(), reloaded);
      assert.equal(agent.sync.counters.failed, 2);
      assert.deepEqual(agent.logged.of("warn"), ["admin sync failing"]);
      assert.equal(agent.taken.length, 1);
      assert.equal(agent.cache.content, saved);
      assert.ok(!(agent.lastError() + agent.logged.text()).match(new RegExp(`${token}|hidden`)));
      server.answerConfig({ body: good });
      await agent.next();
      assert.equal(agent.sync.status().status, "ok");
      assert.equal(agent.lastError(), "");
      assert.deepEqual(agent.logged.of("info"), ["admin sync recovered"]);
      assert.equal(agent.sync.lastReloadSuccessful(), true);
    });

  it("says each of these in other words", () => {
    const said = new Set(failures.map(({ says }) => says.source));
    assert.equal(said.size, failures.length);
  });

  for (const [what, answer] of [
    ["silence", () => {}],
    [
      "a slow drip",
      (_, response) => {
        response.writeHead(200, json);
        response.write("{");
      },
    ],
  ] satisfies [string, AdminHandler][])
    it(`gives ${what} five seconds`, async () => {
      server.answerConfig(answer);
      agent.begin();
      await eventually("the request", () => server.requests.length === 1);
      await agent.clock.advance(4_999);
      assert.equal(agent.sync.counters.polls, 0);
      await agent.clock.advance(1);
      await agent.polled(1);
      assert.equal(agent.sync.status().status, "down");
      assert.match(agent.lastError(), /no whole answer within 5 s/);
    });

  it("says that nobody listens", async () => {
    await server.close();
    await agent.start();
    assert.equal(agent.sync.status().status, "down");
    assert.match(agent.lastError(), /no connection: connect ECONNREFUSED 127\.0\.0\.1:\d+/);
  });

  it("asks for a token when the server wants one and none is set", async () => {
    const other = harness(settingsFor(server.url, { token: null }));
    server.answerConfig({ status: 401 });
    await other.start();
    assert.match(other.lastError(), /http 401, a token is needed, set admin\.token/);
  });

  it("says that the other side speaks no TLS", async () => {
    const other = harness(settingsFor(server.url.replace("http:", "https:")));
    await other.start();
    assert.equal(other.sync.status().status, "down");
    assert.match(other.lastError(), /no secure connection \(TLS\): [^:/]+ \(\w+\)$/);
  });

  it("says that a certificate is not trusted", async () => {
    const { cert, key } = makeTls();
    const secure = https.createServer({ cert, key });
    const port = await listen(secure);
    const other = harness(settingsFor(`https://127.0.0.1:${port}`));
    await other.start();
    assert.equal(other.sync.status().status, "down");
    assert.match(other.lastError(), /no secure connection \(TLS\): .*certificate.* \([A-Z_]+\)/);
  });

  it("says that a TLS server without a certificate cannot be spoken to", async () => {
    const secure = https.createServer({});
    const port = await listen(secure);
    const other = harness(settingsFor(`https://127.0.0.1:${port}`));
    await other.start();
    assert.match(other.lastError(), /no secure connection \(TLS\): .*handshake failure/);
  });

  it("reports an address that is none instead of falling over", async () => {
    const other = harness(settingsFor("not an address"));
    await other.start();
    assert.equal(other.sync.status().status, "degraded");
    assert.match(other.lastError(), /Invalid URL/);
  });

  it("does not take an endless stream of headers for an answer", async () => {
    const raw = net.createServer((socket) => {
      socket.on("error", () => {});
      socket.write(`HTTP/1.1 200 OK\r\nX-Long: ${"x".repeat(100_000)}\r\n`);
    });
    const port = await listen(raw);
    const other = harness(settingsFor(`http://127.0.0.1:${port}`));
    await other.start();
    assert.match(other.lastError(), /not HTTP \(HPE_HEADER_OVERFLOW\)/);
  });

  it("warns no more than twenty times in one period of trouble", async () => {
    let call = 0;
    server.answerConfig((_, response) => {
      const rules = [{ index: "cpu", [`odd${call++}`]: 1 }];
      response.writeHead(200, json).end(JSON.stringify({ rules }));
    });
    await agent.start();
    for (let i = 0; i < 24; i++) await agent.next();
    assert.equal(agent.sync.counters.refused, 25);
    assert.equal(agent.logged.of("warn").length, 20);
  });
});
