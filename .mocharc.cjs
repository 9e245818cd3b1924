module.exports = {
  extension: ["ts"],
  spec: ["test/**/*.test.ts"],
  require: ["test/support/setup.ts"],
  timeout: 20_000,
  slow: 1_000,
  forbidOnly: true,
  forbidPending: true,
};
