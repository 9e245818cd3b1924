module.exports = {
  extension: ["ts"],
  spec: ["test/**/*.test.ts"],
  // Those need helm (npm run test:chart) or a cluster.
  ignore: ["test/chart/**", "test/cluster/**"],
  require: ["test/support/setup.ts"],
  timeout: 20_000,
  slow: 1_000,
  forbidOnly: true,
  forbidPending: true,
};
