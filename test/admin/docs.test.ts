import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { formNames } from "../../src/admin/forms.ts";
import { readBody } from "../../src/admin/answer.ts";
import { understand } from "../../src/admin/understand.ts";
import { adminServer, cleanUp, harness, parseDocument, settingsFor, token } from "./harness.ts";

const doc = await readFile(new URL("../../docs/admin-api.md", import.meta.url), "utf8");

/** The first cells of the rows under these heads. */
function rows(head: RegExp): string[][] {
  const lines = doc.split("\n");
  const start = lines.findIndex((line) => head.test(line));
  assert.notEqual(start, -1, `a table ${head.source}`);
  const rest = lines.slice(start + 2);
  return rest
    .slice(
      0,
      rest.findIndex((line) => !line.startsWith("|")),
    )
    .map((line) =>
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim().replaceAll("`", "")),
    );
}

describe("the reference of the admin API", () => {
  afterEach(cleanUp);

  it("lists exactly the forms that are read", () => {
    const listed = rows(/^\| member +\| holds/).map(([name = ""]) => name);
    assert.deepEqual(["metrics", "alerts", ...listed], formNames);
  });

  it("lists exactly the headers of the agent's requests", async () => {
    const server = await adminServer();
    const agent = harness(settingsFor(server.url));
    await agent.start();
    const sent = Object.keys(server.requests[0]?.headers ?? {}).filter(
      (name) => !["host", "connection", "accept-encoding"].includes(name),
    );
    const listed = rows(/^\| header /).map(([name = ""]) => name.toLowerCase());
    assert.deepEqual(listed.sort(), sent.sort());
  });

  it("tells the state and the pace after each status of HTTP truly", async () => {
    const server = await adminServer({ token });
    for (const [answer = "", state = "", next = ""] of rows(
      /^\| answer +\| \/health admin|^\| answer +\| `\/health`/,
    )) {
      if (!/^[\d, ]+/.test(answer) || answer.startsWith("200") || answer === "304") continue;
      for (const status of answer.match(/\d{3}/g) ?? []) {
        const agent = harness(settingsFor(server.url));
        server.answerConfig({ status: Number(status) });
        await agent.start();
        assert.equal(agent.sync.status().status, state, status);
        const gap = next.startsWith("slower") ? 1_500 : 30_000;
        assert.equal(agent.gapMs(), gap, status);
      }
    }
  });

  it("has only examples that are accepted", () => {
    const examples = [...doc.matchAll(/```json\n(.*?)```/gs)].map(([, text = ""]) => text);
    assert.equal(examples.length, 2);
    for (const text of examples) {
      // The small parser of these tests knows fewer settings of a channel than the agent.
      const known = text.replace(/,\s*"enabled": true/, "");
      assert.equal(understand(readBody(known), parseDocument).kind, "good", text);
    }
  });
});
