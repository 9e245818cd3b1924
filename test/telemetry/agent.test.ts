import assert from "node:assert/strict";
import { createOwnMetrics } from "../../src/telemetry/agent.ts";

describe("the agent's own metrics", () => {
  it("have their types, and histograms their buckets, as Prometheus reads them", async () => {
    const metrics = createOwnMetrics(
      [
        {
          name: "targetvpc_sent_total",
          help: "Sent",
          labels: ["channel"],
          read: () => [{ labels: { channel: "ops" }, value: 3 }],
        },
      ],
      [
        {
          name: "targetvpc_latency_seconds",
          help: "How long",
          labels: ["channel"],
          bounds: [0.1, 5],
          buckets: () => [{ labels: { channel: 'a"b\\c\nd' }, counts: [1, 2], count: 3, sum: 9.5 }],
        },
      ],
    );
    const channel = 'channel="a\\"b\\\\c\\nd"';
    assert.equal(
      await metrics.render(),
      [
        "# HELP targetvpc_sent_total Sent",
        "# TYPE targetvpc_sent_total counter",
        'targetvpc_sent_total{channel="ops"} 3',
        "# HELP targetvpc_latency_seconds How long",
        "# TYPE targetvpc_latency_seconds histogram",
        `targetvpc_latency_seconds_bucket{${channel},le="0.1"} 1`,
        `targetvpc_latency_seconds_bucket{${channel},le="5"} 2`,
        `targetvpc_latency_seconds_bucket{${channel},le="+Inf"} 3`,
        `targetvpc_latency_seconds_sum{${channel}} 9.5`,
        `targetvpc_latency_seconds_count{${channel}} 3`,
        "",
      ].join("\n"),
    );
  });
});
