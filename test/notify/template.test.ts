import assert from "node:assert/strict";
import fc from "fast-check";
import { channelPlugins } from "../../src/notify/index.ts";
import { previewChannel } from "../../src/notify/preview.ts";
import { renderMessage } from "../../src/notify/render.ts";
import { parseChannel } from "../../src/notify/settings.ts";
import { templateFault } from "../../src/notify/template.ts";
import { flagNames, valueNames } from "../../src/notify/template-view.ts";
import { message, spec, startMs } from "./kit.ts";

const deps = { readFile: () => "" };
const robot = { type: "feishu", webhook_url: "https://open.feishu.cn/open-apis/bot/v2/hook/0" };

function fill(text: string, of = message("firing")): string {
  const { rows } = renderMessage(of, "en", { title: null, text });
  return rows.map(({ label, value }) => `${label}${value}`).join("\n");
}

describe("templates of messages", () => {
  it("stand in title, in text, or in both, and leave links and tone", () => {
    const plain = renderMessage(message(), "en");
    const titled = renderMessage(message(), "en", { title: "{{rule}}!\n{{node}}", text: null });
    assert.deepEqual(titled, { ...plain, title: "cpu-high! node-1" });
    const both = renderMessage(message(), "en", { title: "t", text: "a {{value}}\n\nb\n" });
    assert.deepEqual(
      [both.title, both.rows.map(({ value }) => value), both.tone, both.links],
      ["t", ["a 97.3 %", "", "b"], plain.tone, plain.links],
    );
  });

  it("know what a message has, and ask what it is", () => {
    assert.equal(
      fill(
        "{{level}} {{condition}}{{#is_critical}} now{{/is_critical}}{{^is_firing}} over{{/is_firing}}{{runbook_url}}",
      ),
      "CRITICAL cpu > 80 % now",
    );
    const over = message("resolved", { status: "resolved", value: 12, endedAtMs: startMs });
    assert.equal(
      fill("{{#is_resolved}}{{value}}, peak {{peak}}{{/is_resolved}}", over),
      "12 %, peak 97.3 %",
    );
    assert.equal(
      fill("{{#message}}{{.}}{{/message}}", message("firing", { subject: { message: "call" } })),
      "call",
    );
  });

  it("take what comes from outside as text, braces and all", () => {
    const of = message("firing", { subject: { message: '<b>{{node}} & "x"</b>' } });
    assert.equal(
      fill("{{message}} {{{message}}}", of),
      '<b>{{node}} & "x"</b> <b>{{node}} & "x"</b>',
    );
  });

  it("say what is wrong with them", () => {
    for (const [template, fault] of [
      ["{{nod}}", '{{nod}}: unknown name; did you mean "node"?'],
      [
        "{{#is_critical}}{{valeu}}{{/is_critical}}",
        '{{valeu}}: unknown name; did you mean "value"?',
      ],
      ["{{constructor}}", /^\{\{constructor\}\}: unknown name/],
      ["{{> other}}", "{{>other}}: templates cannot include others"],
      ["{{=<% %>=}}", "{{=…=}}: the braces cannot be changed"],
      ["{{#is_test}}x", 'Unclosed section "is_test" at 13'],
      ["{{node", "Unclosed tag at 6"],
    ] as const) {
      const found = templateFault(template);
      if (typeof fault === "string") assert.equal(found, fault);
      else assert.match(found ?? "", fault);
    }
    const wrong = parseChannel(
      { ...robot, template: { text: "{{nod}}", titel: "" } },
      "c[0]",
      deps,
    );
    assert.ok(!wrong.ok);
    assert.deepEqual(wrong.faults.map(({ path }) => path).toSorted(), [
      "c[0].template.text",
      "c[0].template.titel",
    ]);
    assert.ok(!parseChannel({ ...robot, template: {} }, "c", deps).ok);
    assert.ok(!parseChannel({ ...robot, template: { text: "x".repeat(2_001) } }, "c", deps).ok);
  });

  it("are refused where they would change nothing, and taken everywhere else", () => {
    for (const { type, example, isForMachines } of channelPlugins) {
      const parsed = parseChannel({ ...example, template: { title: "{{node}}" } }, "c", deps);
      assert.equal(parsed.ok, isForMachines !== true, type);
      if (!parsed.ok)
        assert.deepEqual(
          parsed.faults.map(({ path }) => path),
          ["c.template"],
        );
    }
  });

  it("that are accepted can be filled in, whatever the message", () => {
    const name = fc.constantFrom(...valueNames, ...flagNames);
    const part = fc.oneof(
      fc.string(),
      name.map((one) => `{{${one}}}`),
      name.map((one) => `{{#${one}}}x{{.}}{{/${one}}}`),
      name.map((one) => `{{^${one}}}y{{/${one}}}`),
    );
    fc.assert(
      fc.property(fc.array(part), fc.string(), (parts, label) => {
        const template = parts.join("");
        if (templateFault(template) !== null) return;
        const of = message("firing", { subject: { labels: { mount: label }, message: label } });
        const { title, rows } = renderMessage(of, "zh-CN", { title: template, text: template });
        assert.doesNotMatch(title, /\n/);
        assert.ok(rows.every(({ label: none }) => none === ""));
      }),
    );
  });

  it("are shown of an alert and of its end", () => {
    const channel = spec({
      ...robot,
      template: { title: "{{headline}}", text: "{{value}} of {{labels}}" },
    });
    const about = { node: { cluster: "c", name: "n", ip: "" }, nowMs: startMs, publicUrl: null };
    const shown = previewChannel(channel, { ...about, language: "en" });
    assert.equal(
      shown,
      [
        "disk /data 97.3 % on n",
        "",
        "97.3 % of mount=/data",
        "Runbook: https://runbooks.example/disk",
        "",
        "---",
        "",
        "disk /data 62 % on n",
        "",
        "62 % of mount=/data",
        "Runbook: https://runbooks.example/disk",
      ].join("\n"),
    );
  });
});
