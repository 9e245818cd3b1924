import assert from "node:assert/strict";
import { networkInterfaces } from "node:os";
import { canonicalIp, isLoopback, isLoopbackHost } from "../../src/api/address.ts";
import { refusal } from "../../src/api/auth.ts";
import type { Access } from "../../src/api/route.ts";
import { Secret } from "../../src/base/secret.ts";
import { startApi, type HttpQuestion, type TestApi, type TestApiOptions } from "../support/api.ts";
import { incident } from "../support/view.ts";

const alert = { index: "cpu", threshold: 80, current_value: 91, timestamp: 1_700_000_000 };
const writes: [path: string, body: unknown, status: number][] = [
  ["/api/alert", alert, 202],
  ["/api/v2/alerts", [{ labels: { alertname: "Up" } }], 200],
  ["/api/webhook/alertmanager", { version: "4", status: "firing", alerts: [] }, 200],
  ["/api/alerts/alert-1/ack", { by: "li" }, 200],
  ["/api/channels/ops/test", {}, 200],
];
const reads = [
  "/api/config",
  "/api/metrics",
  "/api/indexes",
  "/api/nodes",
  "/api/rules",
  "/api/alerts",
  "/api/alerts/alert-1",
  "/api/channels",
  "/api/deliveries",
  "/metrics",
  "/",
];
const bearer = (token: string): HttpQuestion => ({ headers: { Authorization: `Bearer ${token}` } });

/** An address of this machine that others could reach; loopback is all some have. */
const outside = Object.values(networkInterfaces())
  .flat()
  .find((address) => address?.family === "IPv4" && !address.internal)?.address;

describe("who may do what", () => {
  let t: TestApi;
  const start = async (options: TestApiOptions = {}): Promise<void> => {
    t = await startApi(options);
    t.view.incidentList = [incident()];
  };
  const write = (path: string, body: unknown, headers: HttpQuestion["headers"] = {}) =>
    t.ask(path, { method: "POST", body, headers });
  afterEach(() => t.api.stop());

  it("lets everybody read, and POST /api/metrics is a read", async () => {
    await start({ token: "s3cret-token" });
    for (const path of reads) assert.equal((await t.ask(path)).status, 200, path);
    assert.equal((await t.ask("/api/metrics", { method: "POST", body: {} })).status, 200);
  });

  it("wants the token for every change, over loopback too, once there is one", async () => {
    await start({ token: "s3cret-token" });
    for (const [path, body, status] of writes) {
      const without = await write(path, body);
      assert.equal(without.status, 401, path);
      assert.equal(without.headers["www-authenticate"], 'Bearer realm="targetvpc"');
      assert.equal(without.headers["content-type"], "application/problem+json");
      for (const wrong of [
        "Bearer wrong",
        "Bearer s3cret-tokens",
        "Bearer s3cret-toke",
        "Bearer ",
        "Basic czNjcmV0LXRva2Vu",
        "s3cret-token",
        "Bearer \u00e9\u00ff",
      ]) {
        const answer = await write(path, body, { Authorization: wrong });
        assert.equal(answer.status, 401, wrong);
        assert.doesNotMatch(answer.text, /s3cret/);
      }
      const right = await write(path, body, { Authorization: "Bearer s3cret-token" });
      assert.equal(right.status, status, right.text);
      assert.equal(
        (await write(path, body, { Authorization: "bearer s3cret-token" })).status,
        status,
      );
    }
  });

  it("takes a token of any characters", async () => {
    await start({ token: "pässwört mit 空格" });
    const header = Buffer.from("Bearer pässwört mit 空格").toString("latin1");
    assert.equal((await write("/api/alert", alert, { Authorization: header })).status, 202);
  });

  it("takes changes over loopback while there is no token", async () => {
    await start();
    for (const [path, body, status] of writes) {
      const answer = await write(path, body);
      assert.equal(answer.status, status, answer.text);
    }
    const port = String(t.port);
    for (const Host of [
      "localhost",
      `localhost:${port}`,
      `127.0.0.1:${port}`,
      "127.1.2.3",
      `[::1]:${port}`,
      "LOCALHOST:1",
    ])
      assert.equal((await write("/api/alert", alert, { Host })).status, 202, Host);
    const own = { Host: `localhost:${port}`, Origin: `http://localhost:${port}` };
    assert.equal((await write("/api/alert", alert, own)).status, 202);
  });

  it("refuses pages of other origins, rebound names and proxies, and says how to set the token", async () => {
    await start();
    const refused: HttpQuestion["headers"][] = [
      { Origin: "https://evil.example" },
      { Origin: "null" },
      { Origin: "" },
      { Origin: "http://127.0.0.1:1" },
      { Host: "evil.example", Origin: "http://evil.example" },
      { Host: "evil.example" },
      { Host: "127.0.0.1.evil.example" },
      { Host: "localhost.evil.example" },
      { Host: "127.0.0.1@evil.example" },
      { Host: "evil.example#localhost" },
      { "X-Forwarded-For": "203.0.113.9" },
      { Forwarded: "for=203.0.113.9" },
      { Via: "1.1 proxy" },
    ];
    for (const headers of refused) {
      const answer = await write("/api/alert", alert, headers);
      assert.equal(answer.status, 401, JSON.stringify(headers));
      assert.match(answer.text, /server\.token or SERVER_TOKEN/);
      assert.ok(answer.headers["www-authenticate"]);
    }
    assert.equal(t.view.accepted.length, 0);
  });

  it("refuses what a web form can send", async () => {
    await start();
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]) {
      for (const [path] of writes) {
        const answer = await write(path, JSON.stringify(alert), { "Content-Type": type });
        assert.equal(answer.status, 415, type);
      }
    }
    assert.equal((await t.ask("/api/channels/ops/test", { method: "POST" })).status, 415);
    assert.equal(t.view.accepted.length, 0);
  });

  const fromElsewhere = async (): Promise<void> => {
    await start({ host: outside ?? "" });
    const answer = await write("/api/alert", alert);
    assert.equal(answer.status, 401);
    assert.match(answer.text, /loopback only; set a token in server\.token or SERVER_TOKEN/);
    assert.equal((await write("/api/alert", alert, { Host: "localhost" })).status, 401);
    assert.equal((await t.ask("/api/alerts")).status, 200);
    await t.api.stop();
    await start({ host: outside ?? "", token: "s3cret-token" });
    assert.equal((await write("/api/alert", alert, bearer("s3cret-token").headers)).status, 202);
  };
  if (outside !== undefined)
    it(
      "refuses changes from elsewhere while there is no token, and takes them with one",
      fromElsewhere,
    );

  it("closes reads too when all is protected, but never the probes", async () => {
    await start({ token: "s3cret-token", protect: "all" });
    for (const path of reads) {
      assert.equal((await t.ask(path)).status, 401, path);
      assert.equal((await t.ask(path, bearer("s3cret-token"))).status, 200, path);
    }
    assert.equal((await t.ask("/api/metrics", { method: "POST", body: {} })).status, 401);
    assert.equal((await t.ask("/api/alerts/", { method: "HEAD" })).status, 401);
    for (const path of ["/health", "/ready"]) assert.equal((await t.ask(path)).status, 200, path);
  });

  it("closes reads to all but loopback when all is protected and there is no token", async () => {
    await start({ protect: "all" });
    assert.equal((await t.ask("/api/alerts")).status, 200);
    assert.equal((await t.ask("/api/alerts", { headers: { Host: "evil.example" } })).status, 401);
    assert.equal((await t.ask("/", { headers: { Origin: "http://evil.example" } })).status, 401);
    assert.equal((await t.ask("/health", { headers: { Host: "evil.example" } })).status, 200);
  });

  it("judges by the address of the socket, in every form it has", async () => {
    await start();
    const settings = { host: "", port: 0, token: null, protect: "all" as const };
    const from = (remoteAddress: string, access: Access = "read") =>
      refusal({ access, headers: { host: "localhost" }, remoteAddress }, settings)?.status ??
      "let in";
    for (const address of ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1", "::ffff:7f00:1"])
      assert.equal(from(address), "let in", address);
    for (const address of [
      "10.0.0.1",
      "::ffff:10.0.0.1",
      "fe80::1%eth0",
      "128.0.0.1",
      "",
      "localhost",
      "::127.0.0.1",
    ])
      assert.equal(from(address), 401, address);
    assert.equal(from("10.0.0.1", "probe"), "let in");
    for (const headers of [{}, { host: "" }])
      assert.equal(
        refusal({ access: "read", headers, remoteAddress: "::1" }, settings)?.status,
        401,
      );
    const token = new Secret("s3cret-token");
    assert.equal(
      refusal({ access: "write", headers: {}, remoteAddress: "127.0.0.1" }, { ...settings, token })
        ?.status,
      401,
    );
  });

  it("writes addresses in one form", async () => {
    await start();
    assert.equal(canonicalIp(" 192.0.2.1 "), "192.0.2.1");
    assert.equal(canonicalIp("::FFFF:192.0.2.1"), "192.0.2.1");
    assert.equal(canonicalIp("2001:DB8:0:0:0:0:0:1"), "2001:db8::1");
    assert.equal(canonicalIp("fe80::1%eth0"), "fe80::1");
    for (const bad of [
      "",
      "1.2.3",
      "1.2.3.4.5",
      "256.1.1.1",
      "01.2.3.4",
      "1.2.3.4, 5.6.7.8",
      "g::1",
      "localhost",
    ])
      assert.equal(canonicalIp(bad), null, bad);
    assert.ok(isLoopback("127.0.0.53") && !isLoopback("1127.0.0.1"));
    assert.ok(
      isLoopbackHost("localhost:80") &&
        !isLoopbackHost("localhost:80/x") &&
        !isLoopbackHost("a localhost"),
    );
  });
});
