import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import type { Outcome } from "../../src/core/delivery.ts";
import { ManualClock } from "../support/clock.ts";
import { message, openChannel, startMs, withHttp } from "./kit.ts";

/** What a service may answer, and what that is to mean. */
interface Row {
  readonly what: string;
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** An object is sent as JSON. */
  readonly body: unknown;
  /** So many letters in place of the body. */
  readonly hugeBytes?: number;
  /** The connection ends before the body does. */
  readonly breaksOff?: boolean;
  readonly outcome: Outcome["outcome"];
  readonly code: string;
  readonly retryAfterMs?: number;
  /** What the receipt says, among other words. */
  readonly words?: readonly string[];
}

interface Table {
  /** Every code or status that the service is known to answer with. */
  readonly documented: readonly string[];
  readonly replies: readonly Row[];
}

function tableOf(service: string): Table {
  const file = new URL(`../fixtures/replies/${service}.json`, import.meta.url);
  return JSON.parse(readFileSync(file, "utf8")) as Table;
}

function bodyOf({ body, hugeBytes }: Row): string {
  if (hugeBytes !== undefined) return "x".repeat(hugeBytes);
  return typeof body === "string" ? body : JSON.stringify(body);
}

/** A server that answers everything with one row of a table. */
async function withServer<T>(row: Row, work: (url: string) => Promise<T>): Promise<T> {
  const server = http.createServer((request, reply) => {
    request.resume().on("end", () => {
      const body = bodyOf(row);
      const Date = new globalThis.Date(startMs).toUTCString();
      const headers = { "Content-Type": "application/json", Date, ...row.headers };
      if (row.breaksOff !== true) {
        reply.writeHead(row.status, headers).end(body);
        return;
      }
      reply.writeHead(row.status, { ...headers, "Content-Length": String(body.length + 100) });
      reply.write(body, () => request.socket.destroySoon());
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    return await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const settings: Readonly<Record<string, (url: string) => Record<string, unknown>>> = {
  feishu: (url) => ({ webhook_url: `${url}/open-apis/bot/v2/hook/t`, secret: "a-secret" }),
  dingtalk: (url) => ({ webhook_url: `${url}/robot/send?access_token=t`, secret: "a-secret" }),
  wecom: (url) => ({ webhook_url: `${url}/cgi-bin/webhook/send?key=k` }),
  slack: (url) => ({ webhook_url: `${url}/services/T0/B0/s` }),
  webhook: (url) => ({ url: `${url}/hook`, secret: "a-secret" }),
  alertmanager: (url) => ({ urls: [url] }),
};

async function answered(service: string, row: Row): Promise<Outcome> {
  const clock = new ManualClock(startMs);
  const never = new AbortController().signal;
  return withServer(row, (url) =>
    withHttp((client) =>
      openChannel(
        { type: service, ...settings[service]?.(url) },
        { http: client, clock, language: "en" },
      ).send(message(), never),
    ),
  );
}

for (const service of Object.keys(settings)) {
  const { documented, replies } = tableOf(service);

  describe(`what ${service} may answer`, () => {
    for (const row of replies)
      it(`${row.what} (HTTP ${row.status}): ${row.outcome}`, async () => {
        const outcome = await answered(service, row);
        assert.equal(outcome.outcome, row.outcome, JSON.stringify(outcome));
        assert.equal(outcome.code, row.code);
        const waitMs = outcome.outcome === "retry" ? outcome.retryAfterMs : undefined;
        assert.equal(waitMs, row.retryAfterMs);
        const said = outcome.outcome === "sent" ? "" : outcome.reason;
        for (const word of row.words ?? []) assert.ok(said.includes(word), said);
        assert.ok(said.length <= 1_000 && !said.includes("\n"), said);
      });

    it("is all in the table that is documented", () => {
      const named = new Set(
        replies.flatMap((row) => [String(row.status), ...JSON.stringify(row.body).split(/\W+/)]),
      );
      assert.deepEqual(
        documented.filter((code) => !named.has(code)),
        [],
      );
    });

    it("is a delivery only with a 2xx", () => {
      const taken = replies.filter(({ outcome }) => outcome === "sent");
      assert.ok(taken.length > 0 && taken.every(({ status }) => status >= 200 && status <= 299));
    });
  });
}
