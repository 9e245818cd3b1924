import assert from "node:assert/strict";
import { renderMessage } from "../../src/notify/render.ts";
import { incident } from "../support/view.ts";

describe("the end of an alert whose rule was removed", () => {
  it("is told as closed, not as recovered", () => {
    const base = incident();
    const closed = {
      ...base,
      status: "resolved",
      endedAtMs: base.startedAtMs + 5_000,
      value: 97,
      threshold: 80,
      subject: { ...base.subject, operator: ">" },
    } as const;
    const message = {
      id: "m",
      kind: "resolved",
      atMs: base.startedAtMs,
      incident: closed,
      recent: [],
      evidence: null,
      publicUrl: null,
    } as const;
    const english = renderMessage(message, "en");
    assert.match(english.title, /^\[CLOSED\]/);
    assert.notEqual(english.tone, "resolved");
    assert.ok(english.rows.some(({ value }) => value.includes("has not recovered")));
    assert.match(renderMessage(message, "zh-CN").title, /已关闭/);
    assert.match(
      renderMessage({ ...message, incident: { ...closed, value: 12 } }, "en").title,
      /^\[RESOLVED\]/,
    );
  });
});
