// npm run test:cluster: against the cluster of the current KUBECONFIG, one file after another.
module.exports = {
  extension: ["ts"],
  // Controllers of the cluster are slow for a while after the API server was killed: that comes last.
  spec: ["test/cluster/!(control-plane).test.ts", "test/cluster/control-plane.test.ts"],
  timeout: 600_000,
  slow: 30_000,
  forbidOnly: true,
  forbidPending: true,
};
