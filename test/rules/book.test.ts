import assert from "node:assert/strict";
import type { PolicyDocument } from "../../src/core/policy.ts";
import { createBook, type Policy } from "../../src/rules/book.ts";
import { parseRules } from "../../src/rules/schema.ts";

function document(
  rules: readonly Record<string, unknown>[],
  rest: Partial<PolicyDocument> = {},
): PolicyDocument {
  const parsed = parseRules(rules, "rules");
  assert.ok(parsed.ok, JSON.stringify(parsed));
  return { rules: parsed.value, channels: [], metrics: {}, alerts: {}, ...rest };
}

function told(policy: Policy): string[] {
  return policy.rules.map(
    ({ value, source }) => `${source}:${value.name}=${JSON.stringify(value.thresholds)}`,
  );
}

describe("rule book", () => {
  it("starts with the built-in rules", () => {
    const book = createBook(["admin", "file"], () => undefined);
    assert.deepEqual(
      book.policy.rules.map(({ value }) => value.index),
      ["cpu", "memory", "disk", "inodes"],
    );
    assert.ok(book.policy.rules.every(({ source }) => source === "default"));
  });

  it("drops a built-in rule as soon as a source has one for its index", () => {
    const book = createBook(["admin", "file"], () => undefined);
    book.set("file", {
      document: document([{ name: "mine", index: "cpu", threshold: 50 }]),
      revision: "1",
    });
    assert.deepEqual(told(book.policy).slice(0, 2), [
      'file:mine={"warning":50}',
      'default:default-memory={"warning":90}',
    ]);
  });

  it("lets the first source in precedence win by name, and keeps what only the others have", () => {
    const book = createBook(["admin", "file"], () => undefined);
    book.set("file", {
      document: document([
        { name: "a", index: "cpu", threshold: 1 },
        { name: "b", index: "memory", threshold: 1 },
      ]),
      revision: "f",
    });
    book.set("admin", {
      document: document([{ name: "a", index: "cpu", threshold: 2 }]),
      revision: "e1",
    });
    assert.deepEqual(told(book.policy).slice(0, 2), [
      'admin:a={"warning":2}',
      'file:b={"warning":1}',
    ]);
    assert.equal(book.policy.rules[0]?.revision, "e1");
    book.set("admin", { document: document([]), revision: "e2" });
    assert.equal(told(book.policy)[0], 'file:a={"warning":1}');
  });

  it("follows another precedence, and gives no say to a source that is not in it", () => {
    const book = createBook(["file"], () => undefined);
    book.set("admin", {
      document: document([{ name: "a", index: "cpu", threshold: 2 }]),
      revision: "e",
    });
    assert.ok(book.policy.rules.every(({ source }) => source === "default"));
  });

  it("removes all built-in rules when told to", () => {
    const book = createBook(["admin", "file"], () => undefined);
    book.set("file", {
      document: document([], { alerts: { defaultRules: false } }),
      revision: "1",
    });
    assert.deepEqual(book.policy.rules, []);
  });

  it("merges settings one by one and tells every change", () => {
    const seen: Policy[] = [];
    const book = createBook(["admin", "file"], (policy) => seen.push(policy));
    book.set("file", {
      document: document([], {
        alerts: { cooldownMs: 1, repeat: "never" },
        metrics: { retentionDays: 3 },
      }),
      revision: "f",
    });
    book.set("admin", { document: document([], { alerts: { cooldownMs: 2 } }), revision: "e" });
    assert.deepEqual(seen.at(-1)?.alerts, { cooldownMs: 2, repeat: "never" });
    assert.deepEqual(seen.at(-1)?.metrics, { retentionDays: 3 });
    book.set("admin", null);
    assert.deepEqual(seen.at(-1)?.alerts, { cooldownMs: 1, repeat: "never" });
  });
});
