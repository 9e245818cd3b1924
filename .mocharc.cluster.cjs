// npm run test:cluster: against the cluster of the current KUBECONFIG, one file after another.
const { readdirSync } = require("node:fs");

// Controllers of the cluster are slow for a while after the API server was killed: that comes last.
const last = "control-plane.test.ts";
const files = readdirSync("test/cluster").filter((file) => file.endsWith(".test.ts"));

module.exports = {
  extension: ["ts"],
  spec: [...files.filter((file) => file !== last), last].map((file) => `test/cluster/${file}`),
  sort: false,
  timeout: 600_000,
  slow: 30_000,
  forbidOnly: true,
  forbidPending: true,
};
