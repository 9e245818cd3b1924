import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { recordStatuses, createRecordsChannel, type RecordsDeps } from "../../src/admin/records.ts";
import { createHttpClient, type HttpClient } from "../../src/base/http.ts";
import { systemClock } from "../../src/base/clock.ts";
import type { AlertSubject, MessageKind } from "../../src/core/alert.ts";
import type { AlertMessage, Channel, Outcome } from "../../src/core/delivery.ts";
import { recordsPath, type AdminServer } from "../support/admin.ts";
import { eventually, ManualClock } from "../support/clock.ts";
import { adminServer, cleanUp, node, settingsFor, token } from "./harness.ts";

const subject: AlertSubject = {
  key: "cpu-high|cpu",
  rule: "cpu-high",
  index: "cpu",
  unit: "%",
  labels: { mount: "/data" },
  operator: ">",
  message: null,
  runbookUrl: null,
  channels: null,
  cooldownMs: null,
  node: { cluster: "prod", name: "node-9", ip: "192.0.2.9" },
};

function message(kind: MessageKind, change: Partial<AlertMessage["incident"]> = {}): AlertMessage {
  return {
    id: `m-${kind}`,
    kind,
    atMs: 1_767_614_400_900,
    incident: {
      id: "i-1",
      subject,
      status: kind === "resolved" ? "resolved" : "firing",
      level: "critical",
      threshold: 95,
      value: 97.5,
      peak: 99.1,
      startedAtMs: 1_767_614_100_000,
      updatedAtMs: 1_767_614_400_900,
      endedAtMs: null,
      flaps: 0,
      flapping: false,
      acknowledgedBy: null,
      noData: false,
      ...change,
    },
    recent: [],
    evidence: null,
    publicUrl: null,
  };
}

/** The rows of the table that begins with these heads, cells without their backticks. */
async function table(...heads: string[]): Promise<string[][]> {
  const text = await readFile(new URL("../../docs/admin-api.md", import.meta.url), "utf8");
  const lines = text.split("\n").map((line) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll("`", "")),
  );
  const start = lines.findIndex((cells) => heads.every((head, i) => cells[i] === head));
  assert.notEqual(start, -1, `a table ${heads.join(" | ")}`);
  const rest = lines.slice(start + 2);
  return rest.slice(
    0,
    rest.findIndex((cells) => cells.length === 0),
  );
}

describe("alert records", () => {
  let server: AdminServer;
  let http: HttpClient;
  let channel: Channel;

  const make = (change: Partial<RecordsDeps> = {}): Channel =>
    createRecordsChannel({
      settings: settingsFor(server.url),
      node: () => node,
      http,
      clock: systemClock,
      describe: ({ kind, incident }) => `${kind}: ${incident.subject.rule}`,
      deliveries: () => Promise.resolve([{ channel: "ops", outcome: "sent" }]),
      ...change,
    });
  const send = (kind: MessageKind = "firing"): Promise<Outcome> =>
    channel.send(message(kind), new AbortController().signal);

  beforeEach(async () => {
    server = await adminServer({ token });
    http = createHttpClient();
    channel = make();
  });

  afterEach(async () => {
    await channel.close();
    http.close();
    await cleanUp();
  });

  it("hold everything about the alert, for the node it is about", async () => {
    assert.deepEqual(await send("escalated"), { outcome: "sent", code: "code 0" });
    const [request] = server.requests;
    assert.equal(request?.method, "POST");
    assert.equal(request?.path, recordsPath);
    assert.equal(request?.headers["content-type"], "application/json");
    assert.equal(request?.headers["idempotency-key"], "m-escalated");
    assert.equal(request?.headers["x-client-ip"], node.ip);
    assert.equal(request?.headers.authorization, `Bearer ${token}`);
    assert.deepEqual(server.records, [
      {
        index: "cpu",
        threshold: 95,
        current_value: 97.5,
        timestamp: 1_767_614_400,
        id: "m-escalated",
        alert_id: "i-1",
        status: "escalated",
        operator: ">",
        level: "critical",
        rule: "cpu-high",
        labels: { mount: "/data" },
        node: "node-9",
        cluster: "prod",
        ip: "192.0.2.9",
        started_at: 1_767_614_100,
        ended_at: null,
        peak: 99.1,
        message: "escalated: cpu-high",
        deliveries: [{ channel: "ops", outcome: "sent" }],
      },
    ]);
  });

  it("say how each kind of message stands, and are not made of a test", async () => {
    for (const kind of ["firing", "repeated", "flapping", "escalated", "resolved"] as const)
      assert.equal((await send(kind)).outcome, "sent");
    assert.deepEqual(
      server.records.map(({ status }) => status),
      ["firing", "firing", "firing", "escalated", "resolved"],
    );
    const { length } = server.requests;
    assert.deepEqual(await send("test"), { outcome: "sent", code: "skipped" });
    assert.equal(server.requests.length, length);
  });

  it("say null where an alert of others has no value", async () => {
    const none = message("firing", { threshold: null, value: null, peak: null });
    const outcome = await channel.send(none, new AbortController().signal);
    assert.equal(outcome.outcome, "sent");
    const { threshold, current_value, peak } = server.records[0] ?? {};
    assert.deepEqual([threshold, current_value, peak], [null, null, null]);
  });

  it("carry the end of a recovery", async () => {
    const recovered = message("resolved", { endedAtMs: 1_767_614_400_100 });
    await channel.send(recovered, new AbortController().signal);
    assert.equal(server.records[0]?.["ended_at"], 1_767_614_400);
  });

  it("are posted without deliveries when the receipts cannot be read", async () => {
    channel = make({ deliveries: () => Promise.reject(new Error("store is down")) });
    assert.equal((await send()).outcome, "sent");
    assert.equal(server.records[0]?.["deliveries"], null);
  });

  it("come once however often they are sent", async () => {
    await send();
    assert.equal((await send()).outcome, "sent");
    assert.equal(server.requests.length, 2);
    assert.equal(server.records.length, 1);
  });

  it("wait for a server that is set up wrongly, a minute or as long as it says", async () => {
    for (const status of [401, 403, 404, 302]) {
      server.answerRecords({ status, body: { message: `no ${token}` } });
      assert.deepEqual(await send(), {
        outcome: "retry",
        code: `http ${status}`,
        reason: `http ${status}: no ***`,
        retryAfterMs: 60_000,
      });
    }
    server.answerRecords({ status: 403, headers: { "Retry-After": "300" } });
    const outcome = await send();
    assert.equal(outcome.outcome === "retry" && outcome.retryAfterMs, 300_000);
  });

  it("are tried again after Retry-After, and without one at the outbox's own pace", async () => {
    for (const status of [408, 425, 429, 500, 503]) {
      server.answerRecords({ status, headers: { "Retry-After": "7" } });
      const waited = await send();
      assert.equal(waited.outcome === "retry" && waited.retryAfterMs, 7_000, String(status));
      server.answerRecords({ status });
      assert.deepEqual(await send(), {
        outcome: "retry",
        code: `http ${status}`,
        reason: `http ${status}: no explanation`,
      });
    }
  });

  it("are given up only when the server refuses their content, with its own words", async () => {
    server.answerRecords({ status: 422, body: { detail: "threshold: too big" } });
    assert.deepEqual(await send(), {
      outcome: "refused",
      code: "http 422",
      reason: "http 422: threshold: too big",
    });
    server.answerRecords({ body: { code: `E-${token}`, msg: "no" } });
    assert.deepEqual(await send(), {
      outcome: "refused",
      code: "code E-***",
      reason: "code E-***: no",
    });
  });

  it("do not take a page or a cut answer for a receipt", async () => {
    for (const body of ["<!doctype html>", '{"code":0', "ok"]) {
      server.answerRecords({ headers: { "Content-Type": "text/html" }, body });
      const outcome = await send();
      assert.equal(outcome.outcome, "retry");
      assert.match(outcome.outcome === "retry" ? outcome.reason : "", /not JSON.*"text\/html"/);
    }
  });

  it("are tried again when the network or the clock gives up", async () => {
    server.answerRecords((_, response) => response.destroy());
    const reset = await send();
    assert.deepEqual([reset.outcome, reset.code], ["retry", "ECONNRESET"]);

    const clock = new ManualClock();
    const slow = make({ clock });
    server.answerRecords(() => {});
    const { length } = server.requests;
    const late = slow.send(message("firing"), new AbortController().signal);
    await eventually("the request", () => server.requests.length > length);
    await clock.advance(5_000);
    assert.deepEqual(await late, {
      outcome: "retry",
      code: "timeout",
      reason: "no whole answer within 5 s",
    });

    const stop = new AbortController();
    const stopped = slow.send(message("firing"), stop.signal);
    await eventually("the request", () => server.requests.length > length + 1);
    stop.abort();
    assert.equal((await stopped).code, "aborted");

    await server.close();
    assert.equal((await send()).code, "ECONNREFUSED");
  });

  describe("as documented", () => {
    it("have exactly the fields of the table, of the types it names", async () => {
      await send("firing");
      await channel.send(
        message("resolved", {
          endedAtMs: 1_767_614_400_100,
          subject: { ...subject, operator: null },
          threshold: null,
          value: null,
          peak: null,
        }),
        new AbortController().signal,
      );
      channel = make({ deliveries: () => Promise.reject(new Error("store is down")) });
      await send("escalated");
      const rows = await table("field", "type");
      const typeOf = (value: unknown): string => {
        if (value === null) return "null";
        if (Array.isArray(value)) return "list";
        if (typeof value === "string") return "text";
        if (typeof value === "number") return Number.isInteger(value) ? "integer" : "number";
        return "object of texts";
      };
      assert.equal(server.records.length, 3);
      for (const record of server.records) {
        assert.deepEqual(
          rows.map(([name]) => name),
          Object.keys(record),
        );
        for (const [name = "", types = ""] of rows) {
          const type = typeOf(record[name]);
          const fits =
            types.split(" or ").includes(type) ||
            (types.startsWith("number") && type === "integer");
          assert.ok(fits, `${name}: documented as ${types}, is ${type}`);
        }
      }
      const nullable = rows
        .filter(([, types]) => types?.endsWith(" or null"))
        .map(([name]) => name);
      for (const name of nullable)
        assert.ok(
          server.records.some((record) => record[name ?? ""] === null),
          `${name} is documented as null and never is`,
        );
    });

    it("have exactly the statuses of the table", async () => {
      const rows = await table("status", "sent for");
      assert.deepEqual(
        rows.map(([status]) => status),
        recordStatuses,
      );
    });

    it("are sent, refused and retried by status as the table says", async () => {
      for (const [statuses = "", record] of await table("answer", "record"))
        for (const status of statuses.split(",").map(Number)) {
          server.answerRecords({ status });
          assert.equal((await send()).outcome, record, `http ${status}`);
        }
    });

    it("are sent, refused and retried by body as the table says", async () => {
      for (const [body = "", record] of await table("body", "record")) {
        server.answerRecords({ body: body === "empty" ? "" : body });
        assert.equal((await send()).outcome, record, body);
      }
    });
  });
});
