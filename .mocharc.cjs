module.exports = {
  extension: ["ts"],
  spec: ["test/**/*.test.ts"],
  // Need helm: npm run test:chart.
  ignore: ["test/chart/**"],
  require: ["test/support/setup.ts"],
  timeout: 20_000,
  slow: 1_000,
  forbidOnly: true,
  forbidPending: true,
};
