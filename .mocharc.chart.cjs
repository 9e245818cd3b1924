module.exports = {
  extension: ["ts"],
  spec: ["test/chart/**/*.test.ts"],
  timeout: 60_000,
  slow: 5_000,
  forbidOnly: true,
  forbidPending: true,
};
