import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { AgentError, type Fault } from "../../src/core/errors.ts";
import { showQuietHours, weekdays } from "../../src/core/mute.ts";
import { parseInhibitions, parseQuietHours } from "../../src/alerts/mute-schema.ts";
import { understand } from "../../src/admin/understand.ts";
import { readBody } from "../../src/admin/answer.ts";
import { mergePolicy } from "../../src/rules/book.ts";
import { runtimeOf } from "../../src/runtime.ts";
import { loadSettings, parseForeignDocument } from "../../src/settings.ts";

const night = { from: "22:00", to: "07:00" };

function faults(input: unknown): readonly Fault[] {
  const parsed = parseQuietHours([input], "alerts.quiet_hours");
  assert.ok(!parsed.ok, JSON.stringify(input));
  return parsed.faults;
}

describe("quiet hours in the configuration", () => {
  it("need only a beginning and an end", () => {
    assert.deepEqual(parseQuietHours([night], "q"), {
      ok: true,
      value: [
        {
          name: "22:00-07:00",
          days: weekdays,
          fromMinute: 1_320,
          toMinute: 420,
          timezone: "UTC",
          levels: ["info", "warning"],
          rules: null,
          nodes: null,
        },
      ],
    });
  });

  it("are shown in words that give the same again", () => {
    const given = [
      night,
      {
        name: "weekend",
        days: ["sat", "sun"],
        from: "00:00",
        to: "24:00",
        timezone: "Asia/Shanghai",
        levels: ["critical"],
        rules: "cpu*",
        nodes: ["a", "b/*"],
      },
    ];
    const parsed = parseQuietHours(given, "q");
    assert.ok(parsed.ok);
    assert.deepEqual(parseQuietHours(parsed.value.map(showQuietHours), "q"), parsed);
  });

  it("are refused with the path of each fault and how to mend it", () => {
    const wrong: readonly (readonly [object, string, RegExp])[] = [
      [{ ...night, days: ["mo"] }, "days[0]", /expected one of mon, tue/],
      [{ ...night, days: [] }, "days", /leave it out for all/],
      [{ ...night, from: "25:00" }, "from", /such as "22:00", "24:00" at most/],
      [{ ...night, from: "7:00" }, "from", /such as "22:00"/],
      [{ ...night, from: 22 }, "from", /expected a time such as "22:00", got a number/],
      [{ ...night, from: "24:00" }, "from", /before 24:00/],
      [{ ...night, to: "22:00" }, "to", /whole days go to 24:00/],
      [{ ...night, timezone: "Asia/Shangai" }, "timezone", /did you mean "Asia\/Shanghai"/],
      [{ ...night, timezone: "+08:00" }, "timezone", /IANA/],
      [{ ...night, levels: ["critcal"] }, "levels[0]", /expected one of info/],
      [{ ...night, tz: "UTC" }, "tz", /unknown key/],
      [{ ...night, nodes: { names: ["a"] } }, "nodes", /expected a list/],
      [{ to: "07:00" }, "from", /is required/],
    ];
    for (const [input, at, message] of wrong) {
      const found = faults(input).find((fault) => fault.path === `alerts.quiet_hours[0].${at}`);
      assert.match(found?.message ?? "", message, JSON.stringify([input, faults(input)]));
    }
    assert.equal(faults("nights")[0]?.path, "alerts.quiet_hours[0]");
  });

  it("may come from every source, and the first that has them counts", () => {
    const document = { alerts: { quiet_hours: [night], inhibit: [{ when: "a", mutes: "*" }] } };
    const configmap = parseForeignDocument(document);
    assert.ok(configmap.ok);
    assert.equal(configmap.value.alerts.quietHours?.[0]?.fromMinute, 1_320);
    assert.deepEqual(configmap.value.alerts.inhibit, [{ when: "a", mutes: ["*"] }]);
    const admin = understand(
      readBody(JSON.stringify({ code: 0, data: document })),
      parseForeignDocument,
    );
    assert.ok(admin.kind === "good");
    assert.deepEqual(admin.document.alerts, configmap.value.alerts);
    const none = parseForeignDocument({ alerts: { quiet_hours: [] } });
    assert.ok(none.ok);
    const policy = mergePolicy(
      new Map([
        ["admin", { document: none.value, revision: "1" }],
        ["file", { document: configmap.value, revision: "2" }],
      ]),
      ["admin", "configmap", "file"],
    );
    assert.deepEqual(policy.alerts.quietHours, []);
    assert.equal(policy.alerts.inhibit?.length, 1);
  });

  it("of an admin server are refused whole with the path in its answer", () => {
    const body = JSON.stringify({ data: { alerts: { quiet_hours: [{ ...night, to: "x" }] } } });
    const refused = understand(readBody(body), parseForeignDocument);
    assert.ok(refused.kind === "refused");
    assert.match(refused.reason, /^data\.alerts\.quiet_hours\[0\]\.to: expected a time/);
  });

  it("of the file stand beside all other faults", async () => {
    const dir = await mkdtemp(path.join(os.tmpdir(), "quiet-"));
    const file = path.join(dir, "config.json");
    try {
      await writeFile(
        file,
        JSON.stringify({
          server: { port: "x" },
          alerts: { quiet_hours: [{ ...night, from: "x" }], inhibit: [{ when: "a" }] },
        }),
      );
      await assert.rejects(loadSettings(file, {}), (cause) => {
        assert.ok(cause instanceof AgentError);
        assert.deepEqual(
          cause.faults.map(({ path }) => path),
          ["server.port", "alerts.quiet_hours[0].from", "alerts.inhibit[0].mutes"],
        );
        return true;
      });
      await writeFile(file, JSON.stringify({ alerts: { quiet_hours: [night] } }));
      const { config, document } = await loadSettings(file, {});
      const runtime = runtimeOf(config, { metrics: document.metrics, alerts: document.alerts });
      assert.equal(runtime.quietHours[0]?.name, "22:00-07:00");
      assert.deepEqual(runtime.inhibit, []);
    } finally {
      await rm(dir, { recursive: true });
    }
  });
});

describe("inhibition in the configuration", () => {
  it("names the rules it mutes as one pattern or several", () => {
    const given = [
      { when: "node-down", mutes: "*" },
      { when: "disk", mutes: ["inodes*", "load"] },
    ];
    assert.deepEqual(parseInhibitions(given, "i"), {
      ok: true,
      value: [{ when: "node-down", mutes: ["*"] }, given[1]],
    });
  });

  it("is refused with the path of each fault", () => {
    const parsed = parseInhibitions(
      [
        { when: "", mutes: [] },
        { wen: "a", mutes: "*" },
      ],
      "i",
    );
    assert.ok(!parsed.ok);
    assert.deepEqual(
      parsed.faults.map(({ path }) => path),
      ["i[0].when", "i[0].mutes", "i[1].when", "i[1].wen"],
    );
  });
});
