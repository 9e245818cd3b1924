import assert from "node:assert/strict";
import { createRedactor, decoded, Secret } from "../../src/base/secret.ts";
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
