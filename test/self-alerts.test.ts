import assert from "node:assert/strict";
import { Incidents } from "../src/alerts/incidents.ts";
import type { Telling } from "../src/alerts/telling.ts";
import type { ComponentState } from "../src/core/ports.ts";
import type { ChannelHealth } from "../src/notify/notifier.ts";
import { SelfAlerts } from "../src/self-alerts.ts";
import { createMemoryBackend } from "../src/store/memory/index.ts";
import { ManualClock } from "./support/clock.ts";
import { recordLog } from "./support/log.ts";

const node = { cluster: "c", name: "n", ip: "10.0.0.1" };

describe("alerts of the agent about itself", () => {
  let clock: ManualClock;
  let told: Telling[];
  let channels: ChannelHealth[];
  let alerts: SelfAlerts;
  let incidents: Incidents;
  beforeEach(() => {
    clock = new ManualClock();
    told = [];
    channels = [];
    const { log } = recordLog();
    incidents = new Incidents({
      clock,
      log,
      port: createMemoryBackend({ clock }).states("c/n"),
      settings: () => ({ cooldownMs: 300_000, repeat: "backoff", sendResolved: true }),
      newId: () => `id-${told.length}`,
      tell: async (telling) => void told.push(telling),
    });
    alerts = new SelfAlerts({
      node,
      clock,
      log,
      incidents,
      notifier: { channels: () => channels },
    });
  });

  const channel = (name: string, status: ComponentState, lost = 0): ChannelHealth => ({
    name,
    status: { status, sinceMs: 0, lastError: status === "ok" ? null : "19001: wrong token" },
    lost,
  });
  const kinds = (): (string | null)[] => told.map(({ message }) => message);

  it("tell the other channels of one that is down, once, and when it works again", async () => {
    channels = [channel("feishu", "ok"), channel("mail", "ok"), channel("ding", "ok")];
    await alerts.look();
    assert.deepEqual(kinds(), []);
    channels = [channel("feishu", "down"), channel("mail", "ok"), channel("ding", "ok")];
    for (let n = 0; n < 5; n++) {
      await alerts.look();
      clock.jump(10_000);
    }
    assert.deepEqual(kinds(), ["firing"]);
    const { subject, level } = told[0]?.incident ?? {};
    assert.deepEqual(
      [subject?.rule, subject?.labels, subject?.channels, level],
      ["NotificationsFailing", { channel: "feishu" }, ["mail", "ding"], "critical"],
    );
    assert.equal(subject?.message, "19001: wrong token");
    channels = [channel("feishu", "ok"), channel("mail", "ok"), channel("ding", "ok")];
    await alerts.look();
    await alerts.look();
    assert.deepEqual(kinds(), ["firing", "resolved"]);
  });

  it("tell of a message that was lost at once, and of one that is tried again not yet", async () => {
    channels = [channel("feishu", "ok"), channel("mail", "ok")];
    await alerts.look();
    channels = [channel("feishu", "degraded"), channel("mail", "ok")];
    await alerts.look();
    assert.deepEqual(kinds(), []);
    channels = [channel("feishu", "degraded", 1), channel("mail", "ok")];
    await alerts.look();
    assert.deepEqual(kinds(), ["firing"]);
    channels = [channel("feishu", "ok", 1), channel("mail", "ok")];
    await alerts.look();
    assert.deepEqual(kinds(), ["firing", "resolved"]);
  });

  it("tell of a message that was lost though the next one has arrived since", async () => {
    channels = [channel("feishu", "ok"), channel("mail", "ok")];
    await alerts.look();
    channels = [channel("feishu", "ok", 2), channel("mail", "ok")];
    await alerts.look();
    assert.deepEqual(kinds(), ["firing"]);
    assert.match(told[0]?.incident.subject.message ?? "", /refused or given up/);
    await alerts.look();
    assert.deepEqual(kinds(), ["firing", "resolved"]);
  });

  it("end with the channel, and by themselves when nobody looks any more", async () => {
    channels = [channel("feishu", "down"), channel("mail", "ok")];
    await alerts.look();
    channels = [channel("mail", "ok")];
    await alerts.look();
    assert.deepEqual(kinds(), ["firing", "resolved"]);
    channels = [channel("ding", "down"), channel("mail", "ok")];
    await alerts.look();
    clock.jump(6 * 60_000);
    await incidents.tick(clock.now());
    assert.deepEqual(kinds(), ["firing", "resolved", "firing", "resolved"]);
  });
});
