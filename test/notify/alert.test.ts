import assert from "node:assert/strict";
import fc from "fast-check";
import { alertOf, fingerprint } from "../../src/notify/alert.ts";
import { incident, message, startMs } from "./kit.ts";

describe("an alert in labels", () => {
  it("is known by rule, index, level, node and series, and says the rest beside them", () => {
    const { labels, annotations, generatorUrl } = alertOf(
      message(
        "firing",
        {
          id: "inc/7",
          subject: {
            rule: "disk-full",
            index: "disk",
            labels: { mount: "/data" },
            message: "Clean up /data",
            runbookUrl: "https://wiki.example/disk",
          },
        },
        {
          publicUrl: "https://agent.example/",
          evidence: {
            processes: [{ pid: 7, name: "stress", value: 98, unit: "%", owner: "batch/job/main" }],
            pressure: null,
          },
        },
      ),
      "en",
    );
    assert.deepEqual(labels, {
      alertname: "disk-full",
      index: "disk",
      severity: "critical",
      node: "node-1",
      cluster: "prod",
      instance: "10.0.0.1",
      mount: "/data",
    });
    assert.deepEqual(annotations, {
      summary: "disk /data 97.3 % on node-1",
      description: "Clean up /data",
      condition: "disk /data > 80 %",
      value: "97.3",
      peak: "97.3",
      threshold: "80",
      unit: "%",
      processes: "stress (batch/job/main) 98 %",
      runbook_url: "https://wiki.example/disk",
    });
    assert.equal(generatorUrl, "https://agent.example/api/alerts/inc%2F7");
  });

  it("says the condition where nobody has written a message, and that a rule is gone", () => {
    assert.equal(alertOf(message(), "en").annotations["description"], "cpu > 80 %");
    const closed = message("resolved", { status: "resolved", endedAtMs: startMs });
    assert.match(alertOf(closed, "en").annotations["description"] ?? "", /rule was removed/);
    const recovered = message("resolved", { status: "resolved", endedAtMs: startMs, value: 12 });
    assert.equal(alertOf(recovered, "en").annotations["description"], "cpu > 80 %");
  });

  it("says nothing of values in a test, and nothing that is unknown", () => {
    const test = alertOf(message("test"), "en").annotations;
    assert.deepEqual(Object.keys(test), ["summary", "description"]);
    const foreign = alertOf(
      message("firing", { value: null, peak: null, threshold: null, subject: { operator: null } }),
      "zh-CN",
    );
    assert.deepEqual(Object.keys(foreign.annotations), ["summary", "unit"]);
  });

  it("keeps a series' own labels of names that are taken, as Prometheus does", () => {
    const { labels } = alertOf(
      message("firing", {
        subject: { labels: { node: "other", exported_node: "third", "a.b": "dot", a_b: "plain" } },
      }),
      "en",
    );
    assert.equal(labels["node"], "node-1");
    assert.equal(labels["exported_node"], "third");
    assert.equal(labels["exported_exported_node"], "other");
    assert.deepEqual([labels["a_b"], labels["exported_a_b"]], ["plain", "dot"]);
  });

  it("leaves out an address that is unknown and a link that is none", () => {
    const { labels, generatorUrl } = alertOf(
      message("firing", {
        subject: {
          node: { cluster: "prod", name: "node-1", ip: "" },
          sourceUrl: "javascript:alert(1)",
        },
      }),
      "en",
    );
    assert.ok(!("instance" in labels));
    assert.equal(generatorUrl, null);
  });

  it("has a link that Go reads too", () => {
    const source = message("firing", { subject: { sourceUrl: "http://p.example/?x=50%&y=%2F" } });
    assert.equal(alertOf(source, "en").generatorUrl, "http://p.example/?x=50%25&y=%2F");
  });

  it("has valid labels whatever the labels of a series are, and the same in whatever order", () => {
    const name = fc.oneof(
      fc.string({ unit: "binary", maxLength: 12 }),
      fc.constantFrom("__name__", "__proto__", "node", "exported_node", "severity", "a.b", "a-b"),
    );
    const values = fc.string({ unit: "binary", maxLength: 12 });
    const pairs = fc.uniqueArray(fc.tuple(name, values), { selector: ([of]) => of, maxLength: 8 });
    fc.assert(
      fc.property(pairs, values, (own, rule) => {
        const labelsOf = (entries: [string, string][]): Readonly<Record<string, string>> =>
          alertOf(
            message("firing", { subject: { rule, labels: Object.fromEntries(entries) } }),
            "en",
          ).labels;
        const labels = labelsOf(own);
        for (const [name, value] of Object.entries(labels)) {
          assert.match(name, /^[a-zA-Z_][a-zA-Z0-9_]*$/);
          assert.ok(value !== "" && value.isWellFormed() && name !== "__name__");
        }
        const given = own.filter(([, value]) => value !== "").length + (rule === "" ? 5 : 6);
        assert.equal(Object.keys(labels).length - given, 0, "no label is lost");
        assert.deepEqual(labelsOf(own.toReversed()), labels);
        assert.equal(fingerprint(labelsOf(own.toReversed())), fingerprint(labels));
      }),
    );
  });

  it("has the fingerprint Alertmanager gives it", () => {
    // TestLabelsToSignature of github.com/prometheus/common/model, in hexadecimal.
    assert.equal(fingerprint({}), 14_695_981_039_346_656_037n.toString(16));
    assert.equal(
      fingerprint({ name: "garland, briggs", fear: "love is not enough" }),
      5_799_056_148_416_392_346n.toString(16).padStart(16, "0"),
    );
  });

  it("has no value among its labels", () => {
    const one = alertOf({ kind: "firing", incident: incident({ value: 81 }) }, "en");
    const two = alertOf({ kind: "firing", incident: incident({ value: 99, peak: 99 }) }, "en");
    assert.deepEqual(one.labels, two.labels);
    assert.notDeepEqual(one.annotations, two.annotations);
  });
});
