import assert from "node:assert/strict";
import { Recipients } from "../../src/notify/recipients.ts";

const later = (recipient: string) => ({ recipient, code: 451, said: "451 later" });

describe("recipients of a mail", () => {
  it("are known however mail software writes their domain", () => {
    const recipients = new Recipients(["a@x.example", "Duty@BÜCHER.example"]);
    for (const written of ["Duty@bücher.example", "duty@xn--bcher-kva.example"]) {
      const outcome = recipients.conclude("m", [later(written)], "250");
      assert.equal(outcome.outcome, "retry");
      assert.deepEqual(recipients.left("m"), ["Duty@BÜCHER.example"]);
    }
    assert.deepEqual(recipients.conclude("m", [], "250"), { outcome: "sent", code: "250" });
  });

  it("of another mail have nothing to do with it, and no more than a thousand mails wait", () => {
    const recipients = new Recipients(["a@x.example", "b@x.example"]);
    for (let mail = 0; mail <= 1_000; mail++)
      recipients.conclude(`m${mail}`, [later("b@x.example")], "250");
    assert.deepEqual(recipients.left("m1"), ["b@x.example"]);
    assert.deepEqual(recipients.left("other"), ["a@x.example", "b@x.example"]);
    assert.deepEqual(recipients.left("m0"), ["a@x.example", "b@x.example"]);
  });
});
