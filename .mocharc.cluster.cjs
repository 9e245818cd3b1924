// npm run test:cluster: against the cluster of the current KUBECONFIG, one file after another.
module.exports = {
  extension: ["ts"],
  spec: ["test/cluster/*.test.ts"],
  timeout: 300_000,
  slow: 30_000,
  forbidOnly: true,
  forbidPending: true,
};
