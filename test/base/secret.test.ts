import assert from "node:assert/strict";
import { createRedactor, decoded, Secret } from "../../src/base/secret.ts";
import { cutText } from "../../src/base/text.ts";
import { errorText } from "../../src/core/errors.ts";
import { recordLog } from "../support/log.ts";

describe("redactor", () => {
  it("masks a secret that JSON or a URL writes in other letters", () => {
    const redactor = createRedactor();
    redactor.learn({ deep: [new Secret('pa"ss\\word1'), new Secret("p@ss word2")] });
    const { log, text } = recordLog(redactor);
    log.warn("said", { reply: 'you sent pa"ss\\word1 and p%40ss%20word2 and p@ss word2' });
    assert.doesNotMatch(text(), /word1|word2/);
  });

  it("masks the token, the path and the password of an address", () => {
    const redactor = createRedactor();
    redactor.learn(new Secret("https://robot.example/hook/0123456789abcdef?access_token=tttt1234"));
    redactor.learn(new Secret("redis://:hunter2%20x@localhost"));
    assert.doesNotMatch(
      redactor.redact("0123456789abcdef tttt1234 hunter2 x hunter2%20x"),
      /0123|tttt|hunter/,
    );
  });

  it("masks a secret in base64, wherever it stands in what was encoded", () => {
    const redactor = createRedactor();
    const value = "pass+/word?>~1é";
    redactor.learn(new Secret(value));
    for (const user of ["", "a", "ab", "abc"])
      for (const encoding of ["base64", "base64url"] as const)
        for (const after of ["", "x", "xy"]) {
          const text = Buffer.from(`${user}:${value}${after}`).toString(encoding);
          const shown = redactor.redact(`Basic ${text}!`);
          const rest = Buffer.from(shown.split("***").join("AAAAAAAAAAAA"), encoding).toString();
          assert.match(shown, /\*\*\*/);
          assert.doesNotMatch(rest, /pass|word|~1é/);
        }
  });

  it("masks a secret in the letters of HTML and of lower-case percent-encoding", () => {
    const redactor = createRedactor();
    redactor.learn(new Secret('p<a>s&s"w/ord'));
    assert.equal(redactor.redact("p&lt;a&gt;s&amp;s&quot;w/ord"), "***");
    assert.equal(redactor.redact("p%3ca%3es%26s%22w%2ford"), "***");
  });

  it("masks the beginning of a secret in the middle of which a text was cut", () => {
    const redactor = createRedactor();
    redactor.learn(new Secret("correct-horse-battery"));
    assert.equal(redactor.redact("you sent correct-horse…; try again"), "you sent ***…; try again");
    assert.equal(redactor.redact("that is correct… and on"), "that is ***… and on");
    assert.equal(redactor.redact("a corr… b correct-horse"), "a corr… b correct-horse");
    assert.equal(redactor.redact(cutText("key correct-horse-battery", 20)), "key ***…");
  });

  it("survives a broken percent-encoding", () => {
    assert.equal(decoded("a%2"), "a%2");
    const redactor = createRedactor();
    redactor.learn(new Secret("redis://:hunter2%secret@localhost:1"));
    assert.doesNotMatch(redactor.redact("hunter2%secret"), /hunter2/);
  });

  it("shows nothing of a text that is not JSON", () => {
    try {
      JSON.parse("hunter2");
      assert.fail("parsed");
    } catch (cause) {
      assert.equal(errorText(cause), "not valid JSON");
    }
  });
});
