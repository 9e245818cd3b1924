import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { AgentError } from "../../src/core/errors.ts";
import type { Silence } from "../../src/core/silence.ts";
import { parseForeignDocument } from "../../src/settings.ts";
import { startApi, type HttpAnswer, type ProblemJson, type TestApi } from "../support/api.ts";
import { incident, noonMs } from "../support/view.ts";

const noon = noonMs / 1_000;
const hour = 3_600;
const doc = await readFile(new URL("../../docs/silences.md", import.meta.url), "utf8");

const anything = { node: null, cluster: null, rule: null, index: null, level: null, labels: {} };

function silence(changes: Partial<Silence> = {}): Silence {
  return {
    id: "s1",
    matchers: { ...anything, node: ["web-*"] },
    startsAtMs: noonMs,
    endsAtMs: noonMs + hour * 1_000,
    createdAtMs: noonMs,
    author: "ada",
    comment: "an upgrade",
    ...changes,
  };
}

describe("/api/silences", () => {
  let t: TestApi;
  const post = (body: unknown, path = "/api/silences"): Promise<HttpAnswer> =>
    t.ask(path, { method: "POST", body });
  const remove = (id: string, body?: unknown): Promise<HttpAnswer> =>
    t.ask(`/api/silences/${id}`, {
      method: "DELETE",
      headers: { "Content-Type": "application/json" },
      ...(body === undefined ? {} : { body }),
    });
  const faults = async (body: unknown): Promise<Record<string, string>> => {
    const { status, json } = await post(body);
    assert.equal(status, 400);
    return Object.fromEntries(
      (json as ProblemJson).errors.map(({ path, message }) => [path, message]),
    );
  };
  const enough = { matchers: { node: "web-*" }, duration: "1h", author: "ada", comment: "why" };

  beforeEach(async () => {
    t = await startApi();
  });
  afterEach(() => t.api.stop());

  it("takes a silence and answers with it", async () => {
    const { status, json } = await post({
      matchers: {
        node: ["web-*", "east/db"],
        rule: "cpu*",
        level: "warning",
        labels: { mount: "/data*" },
      },
      duration: "1h",
      author: "ada",
      comment: "kernel update",
    });
    assert.equal(status, 201);
    const { id, ...shown } = json as { id: string };
    assert.match(id, /^[0-9a-f-]{36}$/);
    assert.deepEqual(shown, {
      state: "active",
      matchers: {
        node: ["web-*", "east/db"],
        rule: ["cpu*"],
        level: ["warning"],
        labels: { mount: "/data*" },
      },
      starts_at: noon,
      ends_at: noon + hour,
      created_at: noon,
      author: "ada",
      comment: "kernel update",
    });
    assert.equal(t.view.silenceList[0]?.id, id);
  });

  it("takes times in every form, and silences that are still to come", async () => {
    const { json } = await post({
      ...enough,
      duration: undefined,
      starts_at: "2026-01-05T22:00:00+08:00",
      ends_at: noon + 9 * hour,
    });
    const { state, starts_at, ends_at } = json as Record<string, unknown>;
    assert.deepEqual([state, starts_at, ends_at], ["pending", noon + 2 * hour, noon + 9 * hour]);
  });

  it("refuses what is missing, wrong or unknown, all faults at once and with the nearest name", async () => {
    assert.deepEqual(await faults({ matchers: { nod: "x", level: "critcal" }, comment: "" }), {
      "matchers.nod": 'unknown key; did you mean "node"?',
      "matchers.level[0]": 'expected one of info, warning, critical, got "critcal"',
      author: "is required",
      comment: "must not be empty",
    });
    const one = async (changes: object): Promise<Record<string, string>> =>
      faults({ ...enough, ...changes });
    assert.match((await one({ matchers: {} }))["matchers"] ?? "", /at least one of node/);
    assert.match((await one({ matchers: { node: [] } }))["matchers.node"] ?? "", /names nothing/);
    assert.match(
      (await one({ matchers: { labels: ["a"] } }))["matchers.labels"] ?? "",
      /expected an object/,
    );
    assert.match((await one({ duration: null }))["ends_at"] ?? "", /is required/);
    assert.match((await one({ ends_at: noon + 1 }))["duration"] ?? "", /keep one/);
    assert.match((await one({ duration: 0 }))["duration"] ?? "", /after it starts/);
    assert.match((await one({ duration: "91d" }))["duration"] ?? "", /within 90 days/);
    assert.match(
      (await one({ starts_at: noon + 80 * 24 * hour, duration: "20d" }))["duration"] ?? "",
      /90 days/,
    );
    assert.match((await one({ starts_at: "-2h" }))["duration"] ?? "", /is over already/);
    assert.match((await one({ duration: "soon" }))["duration"] ?? "", /expected seconds/);
    assert.deepEqual(t.view.silenceList, []);
  });

  it("lists them with their state, the newest first", async () => {
    t.view.silenceList = [
      silence({ id: "now", createdAtMs: noonMs - 2 }),
      silence({ id: "later", createdAtMs: noonMs - 1, startsAtMs: noonMs + 1 }),
      silence({ id: "over", endsAtMs: noonMs }),
    ];
    const list = async (query: string): Promise<unknown[]> => {
      const { json } = await t.ask(`/api/silences${query}`);
      return (json as { items: { id: string; state: string }[] }).items.map(
        ({ id, state }) => `${id} ${state}`,
      );
    };
    assert.deepEqual(await list(""), ["over expired", "later pending", "now active"]);
    assert.deepEqual(await list("?state=active"), ["now active"]);
    assert.equal((await t.ask("/api/silences?state=activ")).status, 400);
  });

  it("ends one, and knows no other", async () => {
    t.view.silenceList = [silence()];
    const { status, json } = await remove("s1");
    assert.equal(status, 200);
    assert.equal((json as { state: string }).state, "expired");
    assert.equal((await remove("s2")).status, 404);
    assert.equal((await remove("s1", { now: true })).status, 400);
    const other = await t.ask("/api/silences/s1");
    assert.deepEqual([other.status, other.headers.allow], [405, "DELETE"]);
  });

  it("says that the store is away, and that there are too many", async () => {
    t.view.failure = new AgentError("STORE_UNAVAILABLE", "redis is away");
    assert.equal((await t.ask("/api/silences")).status, 503);
    assert.equal((await post(enough)).status, 503);
    t.view.failure = new AgentError("CONFLICT", "there are already 200 silences");
    assert.equal((await post(enough)).status, 409);
  });

  it("is written to with the token only", async () => {
    const closed = await startApi({ token: "hunter2-hunter2" });
    try {
      closed.view.silenceList = [silence()];
      const json = { "Content-Type": "application/json" };
      const ask = (method: string, path: string, headers: Record<string, string>) =>
        closed.ask(path, {
          method,
          headers: { ...json, ...headers },
          ...(method === "POST" ? { body: enough } : {}),
        });
      const bearer = { Authorization: "Bearer hunter2-hunter2" };
      assert.equal((await ask("POST", "/api/silences", {})).status, 401);
      assert.equal((await ask("DELETE", "/api/silences/s1", {})).status, 401);
      assert.equal((await ask("GET", "/api/silences", {})).status, 200);
      assert.equal((await ask("POST", "/api/silences", bearer)).status, 201);
      assert.equal((await ask("DELETE", "/api/silences/s1", bearer)).status, 200);
    } finally {
      await closed.api.stop();
    }
    assert.equal((await t.ask("/api/silences/s1", { method: "DELETE" })).status, 415);
  });

  it("shows in /api/alerts what holds an alert's messages back", async () => {
    t.view.incidentList = [incident()];
    const shown = async (path: string): Promise<unknown> => {
      const { json } = await t.ask(path);
      const { items = [json] } = json as { items?: unknown[] };
      return (items[0] as { silenced_by: unknown }).silenced_by;
    };
    assert.equal(await shown("/api/alerts"), null);
    t.view.mute = { reason: "silenced", id: "s1" };
    for (const path of ["/api/alerts", "/api/alerts/alert-1"])
      assert.deepEqual(await shown(path), { reason: "silenced", id: "s1" });
  });

  describe("in the documentation", () => {
    /** What a curl line sends. */
    const asked = (line: string): Parameters<TestApi["ask"]> => {
      const path = /http:\/\/localhost:8001([^\s']+)/.exec(line)?.[1] ?? "";
      const [, method = "GET"] = /-X (\w+)/.exec(line) ?? [];
      const [, body] = /-d '([^']+)'/.exec(line) ?? [];
      const headers = [...line.matchAll(/-H '([^:]+): ([^']+)'/g)].map(
        ([, name = "", value = ""]) => [name, value] as const,
      );
      return [
        path.replace("/ID", "/s1"),
        { method, headers: Object.fromEntries(headers), ...(body === undefined ? {} : { body }) },
      ];
    };

    it("has only curl lines that work", async () => {
      t.view.silenceList = [silence()];
      const lines = doc.split("\n").filter((line) => line.startsWith("curl "));
      assert.equal(lines.length, 4);
      for (const line of lines) {
        const { status, text } = await t.ask(...asked(line));
        assert.ok(status === 200 || status === 201, `${line}: ${text}`);
      }
      assert.equal(t.view.silenceList.length, 3);
    });

    it("lists every matcher and key that is taken", async () => {
      const { json } = await post({ x: 1, matchers: { x: 1 } });
      const known = (json as ProblemJson).errors.flatMap(({ message }) =>
        (/known here: (.*)/.exec(message)?.[1] ?? "").split(", "),
      );
      for (const key of known.filter((key) => key !== ""))
        assert.ok(doc.includes(`\`${key}\``), key);
      assert.ok(known.includes("node") && known.includes("author"));
    });

    it("has only settings that are accepted", () => {
      const examples = [...doc.matchAll(/```json\n(.*?)```/gs)].map(([, text = ""]) => text);
      assert.equal(examples.length, 2);
      for (const text of examples) {
        const parsed = parseForeignDocument(JSON.parse(text));
        assert.ok(parsed.ok, text);
      }
    });
  });
});
