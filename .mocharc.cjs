module.exports = {
  extension: ["ts"],
  spec: ["test/**/*.test.ts"],
  // Those need helm, or a whole cluster: npm run test:chart, npm run test:cluster.
  ignore: ["test/chart/**", "test/cluster/**"],
  require: ["test/support/setup.ts"],
  timeout: 20_000,
  slow: 1_000,
  forbidOnly: true,
  forbidPending: true,
};
