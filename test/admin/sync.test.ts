import assert from "node:assert/strict";
import { backoffMs } from "../../src/base/backoff.ts";
import { Secret } from "../../src/base/secret.ts";
import type { NodeIdentity } from "../../src/core/node.ts";
import type { AdminServer } from "../support/admin.ts";
import { eventually, settle } from "../support/clock.ts";
import {
  adminServer,
  cleanUp,
  harness,
  memoryCache,
  parseDocument,
  node,
  settingsFor,
  thresholds,
  token,
  type Harness,
} from "./harness.ts";

const cpu = (threshold: number) => ({ alerts: { rules: [{ index: "cpu", threshold }] } });

describe("the admin sync", () => {
  let server: AdminServer;
  let agent: Harness;

  beforeEach(async () => {
    server = await adminServer({ token });
    agent = harness(settingsFor(server.url));
  });

  afterEach(cleanUp);

  const names = () => agent.taken.map(({ document }) => thresholds(document));

  it("asks with who it is, and puts the answer in force", async () => {
    server.serve({ code: 0, data: cpu(80) }, '"v1"');
    assert.equal(agent.sync.status().status, "starting");
    await agent.start();
    const [request] = server.requests;
    assert.equal(request?.method, "GET");
    assert.equal(request?.path, "/api/servers/config/");
    assert.equal(request?.headers["x-client-ip"], "192.0.2.10");
    assert.equal(request?.headers["x-node-name"], "node-1");
    assert.equal(request?.headers["x-cluster"], "default");
    assert.equal(request?.headers.accept, "application/json");
    assert.equal(request?.headers.authorization, `Bearer ${token}`);
    assert.equal(request?.headers["if-none-match"], undefined);
    assert.deepEqual(names(), [{ cpu: { warning: 80 } }]);
    assert.equal(agent.taken[0]?.revision, '"v1"');
    assert.equal(agent.sync.revision(), '"v1"');
    assert.equal(agent.sync.status().status, "ok");
    assert.equal(agent.sync.lastReloadSuccessful(), true);
  });

  it("polls at its interval, jittered by a tenth either way", async () => {
    for (const [random, gapMs] of [
      [0, 27_000],
      [0.5, 30_000],
      [0.999_999, 33_000],
    ] as const) {
      const other = harness(settingsFor(server.url), { random: () => random });
      server.serve(cpu(80));
      await other.start();
      assert.equal(other.gapMs(), gapMs);
    }
  });

  it("names the version it has, and takes a 304 for no change", async () => {
    server.serve(cpu(80), '"v1"');
    await agent.start();
    await agent.next();
    assert.equal(server.requests[1]?.headers["if-none-match"], '"v1"');
    assert.deepEqual(agent.sync.counters, {
      polls: 2,
      applied: 1,
      unchanged: 1,
      unregistered: 0,
      refused: 0,
      failed: 0,
    });
    server.serve(cpu(90), '"v2"');
    await agent.next();
    assert.deepEqual(names(), [{ cpu: { warning: 80 } }, { cpu: { warning: 90 } }]);
    assert.equal(agent.sync.revision(), '"v2"');
  });

  it("neither parses nor announces the same bytes again when the server has no ETag", async () => {
    server.answerConfig({ body: cpu(80) });
    await agent.start();
    await agent.next();
    await agent.next();
    assert.equal(agent.taken.length, 1);
    assert.match(agent.taken[0]?.revision ?? "", /^[0-9a-f]{16}$/);
    assert.equal(agent.sync.counters.unchanged, 2);
    assert.equal(agent.cache.saves, 1);
  });

  it("does not announce a policy that only its wrapper tells apart", async () => {
    let at = 0;
    server.answerConfig((_, response) => {
      response.writeHead(200, { "Content-Type": "application/json" });
      response.end(JSON.stringify({ code: 0, timestamp: ++at, data: cpu(80) }));
    });
    await agent.start();
    await agent.next();
    assert.equal(agent.taken.length, 1);
  });

  it("drops the rules on an explicit empty list", async () => {
    server.serve(cpu(80));
    await agent.start();
    server.serve({ alerts: { rules: [] } });
    await agent.next();
    assert.deepEqual(names().at(-1), {});
    assert.equal(agent.sync.status().status, "ok");
  });

  it("says that the node is not registered on a 404, and keeps the last good answer and its pace", async () => {
    server.serve(cpu(80));
    await agent.start();
    server.answerConfig({ status: 404, body: { message: "no such server" } });
    await agent.next();
    assert.equal(agent.sync.status().status, "degraded");
    assert.match(agent.lastError(), /not registered.*192\.0\.2\.10.*no such server/);
    assert.equal(agent.taken.length, 1);
    assert.equal(agent.sync.counters.unregistered, 1);
    assert.equal(agent.sync.lastReloadSuccessful(), true);
    assert.equal(agent.gapMs(), 30_000);
    server.serve(cpu(80));
    await agent.next();
    assert.equal(agent.sync.status().status, "ok");
    assert.equal(agent.lastError(), "");
  });

  it("refuses an answer with one invalid rule whole, names every fault, and warns once", async () => {
    server.serve(cpu(80), '"v1"');
    await agent.start();
    const saved = agent.cache.content;
    server.serve(
      {
        code: 0,
        data: {
          alert_rules: [
            { index: "cpu", threshold: 70 },
            { index: "memory", threshold: "a lot" },
          ],
          thresholds: { disk: { warning: 80, critical: null } },
        },
      },
      '"v2"',
    );
    await agent.next();
    await agent.next();
    assert.equal(agent.sync.status().status, "degraded");
    assert.match(agent.lastError(), /data\.alert_rules\[1\]\.threshold: expected a number/);
    assert.match(agent.lastError(), /data\.thresholds\.disk\.critical: expected a number/);
    assert.equal(agent.sync.lastReloadSuccessful(), false);
    assert.equal(agent.sync.counters.refused, 2);
    assert.deepEqual(agent.logged.of("warn"), ["admin answer refused"]);
    assert.equal(agent.cache.content, saved);
    assert.equal(agent.taken.length, 1);
    assert.equal(agent.sync.revision(), '"v1"');
    assert.equal(server.requests[2]?.headers["if-none-match"], '"v1"');

    server.serve({ data: { alert_rules: [{ threshold: 1 }] } });
    await agent.next();
    assert.deepEqual(agent.logged.of("warn").length, 2, "another refusal is another warning");

    server.serve(cpu(80), '"v1"');
    await agent.next();
    assert.equal(agent.sync.status().status, "ok", "the server went back to the version in force");
    assert.equal(agent.sync.lastReloadSuccessful(), true);
    assert.equal(
      agent.logged.of("info").filter((event) => event === "admin sync recovered").length,
      1,
    );
  });

  it("does not parse the bytes of a refused answer again", async () => {
    let parsed = 0;
    const counting = harness(settingsFor(server.url), {
      parseDocument: (input) => {
        parsed += 1;
        return parseDocument(input);
      },
    });
    server.answerConfig({ body: { alert_rules: [{ index: "cpu", threshold: "x" }] } });
    await counting.start();
    await counting.next();
    await counting.next();
    assert.equal(parsed, 1);
    assert.equal(counting.sync.counters.refused, 3);
    assert.match(counting.lastError(), /alert_rules\[0\]\.threshold/);
  });

  it("warns of each period of trouble once, and says once that each is over", async () => {
    const period = async (): Promise<void> => {
      server.answerConfig({ status: 500 });
      await agent.next();
      await agent.next();
      server.serve(cpu(80));
      await agent.next();
      await agent.next();
    };
    server.serve(cpu(80));
    await agent.start();
    await period();
    await period();
    assert.deepEqual(
      agent.logged.lines.map(({ event }) => event),
      ["admin sync failing", "admin sync recovered", "admin sync failing", "admin sync recovered"],
    );
  });

  it("backs off to five minutes while the server fails, first soon, and then goes back to its pace", async () => {
    server.answerConfig({ status: 500 });
    await agent.start();
    const gaps: number[] = [];
    for (let i = 0; i < 10; i++) {
      gaps.push(agent.gapMs());
      await agent.next();
    }
    const limits = { firstMs: 2_000, maxMs: 300_000 };
    assert.deepEqual(
      gaps,
      gaps.map((_, i) => backoffMs(i + 1, limits, () => 0.5)),
    );
    assert.equal(gaps[0], 1_500);
    assert.equal(gaps.at(-1), 225_000);
    assert.deepEqual(agent.logged.of("warn"), ["admin sync failing"]);
    server.serve(cpu(80));
    await agent.next();
    assert.equal(agent.gapMs(), 30_000);
    assert.deepEqual(agent.logged.of("info"), ["admin sync recovered"]);
    server.answerConfig({ status: 500 });
    await agent.next();
    assert.equal(agent.gapMs(), 1_500, "the next trouble starts from the beginning");
  });

  it("waits as long as Retry-After says, in seconds or as a date, but not for days", async () => {
    server.answerConfig({ status: 429, headers: { "Retry-After": "120" } });
    await agent.start();
    assert.match(agent.lastError(), /http 429, too many requests/);
    assert.equal(agent.gapMs(), 120_000);
    const at = new Date(agent.clock.now() + 120_000 + 90_000).toUTCString();
    server.answerConfig({ status: 503, headers: { "Retry-After": at } });
    await agent.next();
    assert.equal(agent.gapMs(), 90_000);
    server.answerConfig({ status: 429, headers: { "Retry-After": "999999999" } });
    await agent.next();
    assert.equal(agent.gapMs(), 3_600_000);
    server.answerConfig({ status: 429, headers: { "Retry-After": "soon" } });
    await agent.next();
    assert.equal(
      agent.gapMs(),
      backoffMs(4, { firstMs: 2_000, maxMs: 300_000 }, () => 0.5),
    );
  });

  it("starts with the cached answer while the server is down, and asks for changes by its ETag", async () => {
    server.serve(cpu(80), '"v1"');
    await agent.start();
    const saved = JSON.parse(agent.cache.content ?? "") as Record<string, unknown>;
    assert.equal(saved["etag"], '"v1"');
    assert.equal(saved["revision"], '"v1"');
    assert.equal(saved["received_at"], Math.floor(agent.clock.now() / 1_000));
    assert.equal(saved["answer"], JSON.stringify(cpu(80)));

    const cache = memoryCache(agent.cache.content);

    const restarted = harness(settingsFor(server.url), { cache });
    server.answerConfig((_, response) => response.destroy());
    await restarted.start();
    assert.deepEqual(
      restarted.taken.map(({ revision }) => revision),
      ['"v1"'],
    );
    assert.equal(restarted.sync.status().status, "down");
    server.serve(cpu(80), '"v1"');
    await restarted.next();
    assert.equal(server.requests.at(-1)?.headers["if-none-match"], '"v1"');
    assert.equal(restarted.taken.length, 1);
    assert.equal(restarted.sync.status().status, "ok");
    assert.equal(cache.saves, 0, "what came from the cache is not written back to it");
  });

  it("does not name a version to another server or for another address than it was given by", async () => {
    server.serve(cpu(80), '"1"');
    let own: NodeIdentity = node;
    const moving = harness(settingsFor(server.url), { node: () => own });
    await moving.start();
    const other = await adminServer({ token });
    other.serve(cpu(90), '"1"');
    const moved = harness(settingsFor(other.url), { cache: memoryCache(moving.cache.content) });
    await moved.start();
    assert.equal(other.requests[0]?.headers["if-none-match"], undefined);
    assert.deepEqual(thresholds(moved.taken.at(-1)!.document), { cpu: { warning: 90 } });

    own = { ...node, ip: "192.0.2.99" };
    await moving.next();
    assert.equal(server.requests.at(-1)?.headers["x-client-ip"], "192.0.2.99");
    assert.equal(server.requests.at(-1)?.headers["if-none-match"], undefined);
    await moving.next();
    assert.equal(server.requests.at(-1)?.headers["if-none-match"], '"1"');
    assert.equal(moving.taken.length, 1);
  });

  it("ignores a garbled cache with a warning that shows nothing of it", async () => {
    const whole = { etag: null, revision: "r", received_at: 1, source: "s" };
    const contents = [
      "{",
      "",
      "[]",
      "null",
      JSON.stringify({ ...whole, answer: 5 }),
      JSON.stringify({ ...whole, answer: '{"webhook": "hidden-word' }),
      JSON.stringify({ ...whole, answer: '{"alerts": {"rules": [{"index": 5}]}}' }),
      '{"answer": "hidden-word',
    ];
    server.serve(cpu(80));
    for (const content of contents) {
      const restarted = harness(settingsFor(server.url), { cache: memoryCache(content) });
      await restarted.start();
      assert.deepEqual(restarted.logged.of("warn"), ["admin cache ignored"], content);
      assert.equal(restarted.taken.length, 1, "the server's answer");
      assert.ok(!restarted.logged.text().includes("hidden-word"));
    }
  });

  it("goes on without its cache, warns once, and saves when the cache is back", async () => {
    agent.cache.broken = true;
    server.serve(cpu(80), '"v1"');
    await agent.start();
    await agent.next();
    assert.equal(agent.sync.status().status, "ok");
    assert.deepEqual(agent.logged.of("warn"), ["admin cache ignored", "admin cache not saved"]);
    agent.cache.broken = false;
    await agent.next();
    assert.match(agent.cache.content ?? "", /"etag":"\\"v1\\""/);
    const { saves } = agent.cache;
    await agent.next();
    assert.equal(agent.cache.saves, saves);
  });

  it("does not wait for a cache that hangs", async () => {
    const never = new Promise<never>(() => {});
    const hung = harness(settingsFor(server.url), {
      cache: { load: () => never, save: () => never },
    });
    server.serve(cpu(80));
    hung.begin();
    await settle();
    await hung.clock.advance(2_000);
    await eventually("the policy is taken", () => hung.taken.length === 1);
    await eventually(
      "it tries to save",
      () => hung.clock.waits.filter((ms) => ms === 2_000).length === 2,
    );
    await hung.clock.advance(2_000);
    await hung.polled(1);
    assert.deepEqual(hung.logged.of("warn"), ["admin cache ignored", "admin cache not saved"]);
  });

  it("keeps what is in force when taking over a policy fails, and tries again", async () => {
    let broken = true;
    const failing = harness(settingsFor(server.url), {
      onDocument: () => {
        if (broken) throw new Error("the book is closed");
      },
    });
    server.serve(cpu(80), '"v1"');
    await failing.start();
    assert.match(failing.lastError(), /the book is closed/);
    assert.equal(failing.cache.saves, 0);
    broken = false;
    await failing.next();
    assert.equal(failing.sync.status().status, "ok");
    assert.equal(failing.sync.counters.applied, 1);
  });

  it("asks once more at once when a kept connection closed under it, and reports nothing", async () => {
    let calls = 0;
    server.answerConfig((_, response) => {
      calls += 1;
      if (calls === 2) response.destroy();
      else
        response
          .writeHead(200, { "Content-Type": "application/json" })
          .end(JSON.stringify(cpu(80)));
    });
    await agent.start();
    await agent.next();
    assert.equal(calls, 3);
    assert.equal(agent.sync.status().status, "ok");
    assert.deepEqual(agent.logged.of("warn"), []);
  });

  it("stops at once in the middle of a poll, and counts that as no failure", async () => {
    server.answerConfig(() => {});
    agent.begin();
    await eventually("the request", () => server.requests.length === 1);
    await agent.stop();
    assert.equal(agent.sync.counters.polls, 0);
    assert.equal(agent.sync.status().status, "starting");
    assert.deepEqual(agent.logged.lines, []);
    assert.equal(agent.clock.waiting, 0);
  });

  it("keeps a path prefix, and sends names that no header could hold percent-encoded", async () => {
    const prefixed = await adminServer({ prefix: "/ops/vpc" });
    prefixed.serve(cpu(80));
    const odd = harness(settingsFor(`${prefixed.url}/`, { token: null }), {
      node: () => ({ cluster: "北京 1", name: "a\nb%\ud800", ip: "fe80::1%eth0" }),
    });
    await odd.start();
    assert.equal(odd.sync.status().status, "ok", odd.lastError());
    const headers = prefixed.requests[0]?.headers ?? {};
    assert.equal(decodeURIComponent(String(headers["x-cluster"])), "北京 1");
    assert.equal(decodeURIComponent(String(headers["x-node-name"])), "a\nb%\ufffd");
    assert.equal(decodeURIComponent(String(headers["x-client-ip"])), "fe80::1%eth0");
    assert.equal(headers.authorization, undefined);
  });

  it("shows no token and no password of the address, even when the server repeats them", async () => {
    const url = server.url.replace("http://", "http://agent:pa55word@");
    const other = harness(settingsFor(url, { token: new Secret("another-t0ken") }));
    server.answerConfig({ status: 200 });
    const tell = await adminServer();
    const told = harness(settingsFor(tell.url.replace("http://", "http://agent:pa55word@")));
    tell.answerConfig({
      status: 403,
      headers: { Location: `/${token}` },
      body: { message: `Bearer ${token} and pa55word are wrong` },
    });
    await other.start();
    await told.start();
    assert.match(other.lastError(), /http 401, admin\.token is not accepted: who are you\?/);
    assert.match(told.lastError(), /Bearer \*\*\* and \*\*\* are wrong/);
    for (const { lastError, logged } of [other, told])
      for (const secret of [token, "pa55word", "another-t0ken"])
        assert.ok(!(lastError() + logged.text()).includes(secret));
  });
});
