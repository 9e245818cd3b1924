// Asks an agent through the Service what people and probes ask; every doubt is a failure.
import { existsSync, readFileSync } from "node:fs";

const url = process.argv.at(-1);
const tokenFile = "/etc/targetvpc/secrets/server-token";
const headers = existsSync(tokenFile)
  ? { Authorization: `Bearer ${readFileSync(tokenFile, "utf8").trim()}` }
  : {};

async function get(path, check) {
  const answer = await fetch(url + path, { headers, signal: AbortSignal.timeout(10_000) });
  const text = await answer.text();
  if (answer.status !== 200 || !check(text)) {
    console.error(`GET ${path}: ${answer.status} ${text.slice(0, 2_000)}`);
    process.exit(1);
  }
  console.log(`GET ${path}: ok`);
}

await get("/health", (text) => ["ok", "degraded"].includes(JSON.parse(text).status));
await get("/ready", () => true);
await get("/metrics", (text) => /^targetvpc_build_info\{/m.test(text));
await get("/api/metrics?start=-5m", (text) => {
  const rows = JSON.parse(text);
  // Any value will do: each collector may be switched off.
  const hasValue = ({ metrics }) => Object.values(metrics).some((value) => value !== null);
  return Array.isArray(rows) && rows.some(hasValue);
});
