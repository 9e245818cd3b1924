import assert from "node:assert/strict";
import { AgentError } from "../../src/core/errors.ts";
import type { ActionClaim, LinkReading } from "../../src/core/action.ts";
import { startApi, type HttpAnswer, type TestApi } from "../support/api.ts";
import { MemoryView, noonMs } from "../support/view.ts";

function claim(changes: Partial<ActionClaim> = {}): ActionClaim {
  return {
    action: "ack",
    alert: "alert-1",
    cluster: "east",
    node: "node-7",
    rule: "disk-full",
    index: "disk",
    labels: { mount: "/data" },
    level: "critical",
    expiresAt: noonMs / 1_000 + 3_600,
    ...changes,
  };
}

describe("the page of a link", () => {
  let api: TestApi;
  let view: MemoryView;
  const link = (of: Partial<ActionClaim> = {}): LinkReading => ({
    ok: true,
    claim: claim(of),
    id: "0123456789abcdef01234567",
  });
  const look = (path: string, language = "en", headers = {}): Promise<HttpAnswer> =>
    api.ask(`/actions/${path}`, { headers: { "Accept-Language": language, ...headers } });
  const press = (path: string, form: string, headers = {}): Promise<HttpAnswer> =>
    api.ask(`/actions/${path}`, {
      method: "POST",
      body: form,
      headers: {
        "Accept-Language": "en",
        "Content-Type": "application/x-www-form-urlencoded",
        ...headers,
      },
    });

  beforeEach(async () => {
    view = new MemoryView();
    view.links.set("ack", link());
    view.links.set("hour", link({ action: "silence_hour" }));
    view.links.set("old", { ok: false, reason: "expired" });
    // Not over loopback only, and everything closed: the link alone is the right.
    api = await startApi({ view, token: "server-token", protect: "all" });
  });
  afterEach(() => api.api.stop());

  it("says which alert it is and what will be done, and changes nothing by being looked at", async () => {
    const { status, text, headers } = await look("ack");
    assert.equal(status, 200);
    assert.match(headers["content-type"] ?? "", /^text\/html/);
    for (const part of ["east/node-7", "disk-full", "disk{mount=&quot;/data&quot;}", "critical"])
      assert.ok(text.includes(part), part);
    assert.match(text, /<form method="post">[^]*name="who"[^]*<button type="submit">Acknowledge</);
    assert.ok(!text.includes("<script"));
    assert.equal((await api.ask("/actions/ack", { method: "HEAD" })).status, 200);
    assert.deepEqual(view.acted, []);
  });

  it("speaks the reader's language and says until when by the clocks there", async () => {
    const chinese = (await look("hour", "zh-CN")).text;
    assert.match(chinese, /<html lang="zh-CN">/);
    assert.match(chinese, /静默 1 小时/);
    assert.match(chinese, /21:00 \(Asia\/Shanghai\)/);
    assert.match((await look("hour")).text, /until Mon,? 5 Jan,? 21:00 \(Asia\/Shanghai\)/);
  });

  it("does it when the form is sent, without a bearer token, and says who and until when", async () => {
    const done = await press("hour", "who=Ada+L%C3%B6v%3Cb%3E");
    assert.equal(done.status, 200);
    assert.deepEqual(
      view.acted.map(({ claim: { action }, by }) => [action, by]),
      [["silence_hour", "Ada Löv<b>"]],
    );
    assert.match(done.text, /Silenced by Ada Löv&lt;b&gt; until [^<]*21:00 \(Asia\/Shanghai\)\./);
    assert.match((await press("ack", "who=%E7%8E%8B%E8%8A%B3")).text, /Acknowledged by 王芳\./);
  });

  it("remembers the name in a cookie that scripts and other sites do not get", async () => {
    const { headers } = await press("ack", "who=%E7%8E%8B%E8%8A%B3");
    const [cookie = ""] = headers["set-cookie"] ?? [];
    assert.match(cookie, /^targetvpc_who=%E7%8E%8B%E8%8A%B3; Max-Age=\d+; HttpOnly; SameSite=Lax$/);
    const [pair = ""] = cookie.split(";");
    assert.match((await look("ack", "en", { Cookie: `a=b; ${pair}` })).text, /value="王芳"/);
    const broken = await look("ack", "en", { Cookie: "targetvpc_who=%E7%8" });
    assert.match(broken.text, /value=""/);
  });

  it("asks again for a name that is none, and does nothing until there is one", async () => {
    for (const form of ["", "who=", "who=++", `who=${"x".repeat(101)}`, "who=a%0Ab", "other=1"]) {
      const { status, text } = await press("ack", form);
      assert.equal(status, 400, form);
      assert.match(text, /Say who you are/);
    }
    assert.deepEqual(view.acted, []);
  });

  it("refuses what is forged or expired, with a page that says so, looked at or sent", async () => {
    for (const [path, status, said] of [
      ["old", 410, /more than a day old/],
      ["forged", 403, /not one of ours/],
      ["a".repeat(3_000), 403, /not one of ours/],
    ] as const)
      for (const reply of [await look(path), await press(path, "who=ada")]) {
        assert.equal(reply.status, status);
        assert.match(reply.text, said);
        assert.ok(!reply.text.includes("<form"));
      }
    assert.deepEqual(view.acted, []);
  });

  it("says when nothing could be done, that it is over, and that a silence was ended", async () => {
    view.failure = new AgentError("STORE_UNAVAILABLE", "redis://secret is away");
    const away = await press("hour", "who=ada");
    assert.equal(away.status, 503);
    assert.match(away.text, /nothing was done/);
    assert.ok(!away.text.includes("secret"));
    view.failure = new AgentError("CONFLICT", "there are already 200 silences");
    assert.equal((await press("hour", "who=ada")).status, 409);
    view.failure = null;
    view.actedAs = { state: "over" };
    assert.match((await press("ack", "who=ada")).text, /This alert is over/);
    view.actedAs = { state: "ended", by: "grace" };
    assert.match((await press("hour", "who=ada")).text, /that grace made by this link is over/);
  });

  it("is never kept, framed or told of to others, and its form goes back to it only", async () => {
    for (const { headers } of [
      await look("ack"),
      await press("ack", "who=ada"),
      await look("old"),
    ]) {
      assert.equal(headers["cache-control"], "no-store");
      assert.equal(headers["referrer-policy"], "no-referrer");
      assert.equal(headers["x-frame-options"], "DENY");
      assert.equal(headers["x-content-type-options"], "nosniff");
      const policy = String(headers["content-security-policy"]);
      assert.match(policy, /default-src 'none'/);
      assert.match(policy, /form-action 'self'/);
      assert.match(policy, /frame-ancestors 'none'/);
      assert.ok(!policy.includes("script-src"));
    }
  });

  it("is in no log, also when the agent fails", async () => {
    view.links.set("hush-hush", link());
    view.failure = new TypeError("broken");
    assert.equal((await press("hush-hush", "who=ada")).status, 500);
    const log = api.log.join("\n");
    assert.match(log, /request failed/);
    assert.ok(!log.includes("hush-hush"), log);
  });

  it("is the right to nothing else: a link opens no other address", async () => {
    for (const path of ["/api/silences", "/api/alerts", "/"])
      assert.equal((await api.ask(path)).status, 401);
    assert.equal((await api.ask("/api/alerts/alert-1/ack", { method: "POST" })).status, 401);
    assert.equal((await api.ask("/actions/ack", { method: "DELETE" })).status, 405);
    const json = await api.ask("/actions/ack", { method: "POST", body: { who: "ada" } });
    assert.equal(json.status, 415);
    assert.deepEqual(view.acted, []);
  });

  it("keeps names and labels of others from becoming markup", async () => {
    const evil = `"><script>alert(1)</script>`;
    view.links.set("evil", link({ node: evil, rule: evil, index: evil, labels: { [evil]: evil } }));
    const { text } = await look("evil");
    assert.ok(!text.includes("<script"));
  });
});

describe("POST /api/alerts/:id/ack of another node's alert", () => {
  it("is passed on, and refused when nobody was told of such an alert", async () => {
    const view = new MemoryView();
    view.elsewhere.set("alert-7", "");
    const api = await startApi({ view });
    try {
      const body = { by: "ada" };
      const passed = await api.ask("/api/alerts/alert-7/ack", { method: "POST", body });
      assert.equal(passed.status, 202);
      assert.deepEqual(passed.json, { id: "alert-7", status: "accepted", acknowledged_by: "ada" });
      assert.equal(view.elsewhere.get("alert-7"), "ada");
      const unknown = await api.ask("/api/alerts/alert-8/ack", { method: "POST", body });
      assert.equal(unknown.status, 404);
    } finally {
      await api.api.stop();
    }
  });
});
