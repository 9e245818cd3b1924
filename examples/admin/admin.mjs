#!/usr/bin/env node
// A small admin server for TargetVPC agents: plain Node (20 or newer), no packages, files on disk.
/* oxlint-disable typescript/no-unsafe-assignment, typescript/no-unsafe-call, typescript/no-unsafe-member-access,
   typescript/no-unsafe-return, typescript/no-unsafe-argument -- plain JavaScript has no types to judge by */
import { createHash, randomUUID, timingSafeEqual } from "node:crypto";
import { appendFile, mkdir, open, readFile, rename } from "node:fs/promises";
import { createServer } from "node:http";
import path from "node:path";

const host = process.env.HOST ?? "127.0.0.1";
const port = Number(process.env.PORT ?? 8080);
const dataDir = path.resolve(process.env.DATA_DIR ?? "admin-data");
const token = process.env.TOKEN ?? "";
const configFile = path.join(dataDir, "config.json");
const recordsFile = path.join(dataDir, "records.jsonl");

const maxBodyBytes = 1024 * 1024;
const shownRecords = 100;

/** Something the client did wrong: answered with its status. */
class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

const sha256 = (text) => createHash("sha256").update(text).digest();

// ---- the configuration: one JSON file, read at every request so that it may be edited by hand

function checkConfig(text) {
  let config;
  try {
    config = JSON.parse(text);
  } catch (cause) {
    throw new Refusal(400, `not JSON: ${cause.message}`);
  }
  const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
  if (!isObject(config)) throw new Refusal(400, 'expected {"default": {…}, "nodes": {…}}');
  for (const name of Object.keys(config))
    if (name !== "default" && name !== "nodes")
      throw new Refusal(400, `${name}: unknown; known here: default, nodes`);
  const { default: standard, nodes = {} } = config;
  if (standard !== undefined && !isObject(standard))
    throw new Refusal(400, "default: expected an object");
  if (!isObject(nodes)) throw new Refusal(400, "nodes: expected an object");
  for (const [name, value] of Object.entries(nodes))
    if (!isObject(value)) throw new Refusal(400, `nodes.${name}: expected an object`);
  return { standard, nodes: new Map(Object.entries(nodes)) };
}

/** A reader sees the old file or the new one, never half of it. */
async function writeAtomically(file, text) {
  const draft = `${file}.${randomUUID()}.tmp`;
  const handle = await open(draft, "wx", 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(draft, file);
}

async function saveConfig(text) {
  checkConfig(text);
  await writeAtomically(configFile, text);
}

/** The file may have been edited by hand: a slip in it is the server's fault, not the agent's. */
async function loadConfig() {
  const text = await readFile(configFile, "utf8");
  try {
    return checkConfig(text);
  } catch (cause) {
    throw new Refusal(500, `${path.basename(configFile)}: ${cause.message}`);
  }
}

function header(request, name) {
  const value = String(request.headers[name] ?? "");
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}

/** A node is known by `cluster/name`, by its name or by its address; all others get the default. */
async function configOf(request) {
  const { standard, nodes } = await loadConfig();
  const name = header(request, "x-node-name");
  const names = [`${header(request, "x-cluster")}/${name}`, name, header(request, "x-client-ip")];
  const found = names.map((known) => nodes.get(known)).find((value) => value !== undefined);
  return found ?? standard;
}

// ---- the records: one JSON line each, kept in the order of their arrival

const knownIds = new Set();
let lastRecords = [];

function remember(record) {
  knownIds.add(record.id);
  lastRecords = [record, ...lastRecords].slice(0, shownRecords);
}

async function loadRecords() {
  const text = await readFile(recordsFile, "utf8").catch((cause) => {
    if (cause.code === "ENOENT") return "";
    throw cause;
  });
  for (const line of text.split("\n")) {
    if (line === "") continue;
    try {
      remember(JSON.parse(line));
    } catch {
      console.error(`${recordsFile}: skipped a line that is not whole`);
    }
  }
  // A line cut off by a crash must not swallow the next one.
  if (text !== "" && !text.endsWith("\n")) await appendFile(recordsFile, "\n");
}

function checkRecord(text) {
  let record;
  try {
    record = JSON.parse(text);
  } catch (cause) {
    throw new Refusal(400, `not JSON: ${cause.message}`);
  }
  if (typeof record?.index !== "string" || record.index === "")
    throw new Refusal(422, "index: expected a text");
  for (const name of ["threshold", "current_value", "timestamp"])
    // An alert of others may come without a value and a threshold.
    if (typeof record[name] !== "number" && (record[name] !== null || name === "timestamp"))
      throw new Refusal(422, `${name}: expected a number`);
  if (record.id !== undefined && typeof record.id !== "string")
    throw new Refusal(422, "id: expected a text");
  return { id: randomUUID(), ...record };
}

let appended = Promise.resolve();

/** One after the other: a record is acknowledged when it is on disk, and each id is written once. */
function append(record) {
  const run = async () => {
    if (knownIds.has(record.id)) return true;
    const handle = await open(recordsFile, "a", 0o600);
    try {
      await handle.writeFile(`${JSON.stringify(record)}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
    remember(record);
    return false;
  };
  const done = appended.then(run);
  appended = done.catch(() => {});
  return done;
}

// ---- the page

const entities = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
const escapeHtml = (value) => String(value ?? "").replace(/[&<>"']/g, (char) => entities[char]);

function time(seconds) {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? "" : date.toISOString().replace(".000Z", "Z");
}

function page(text, notice) {
  const row = (record) =>
    [
      time(record.timestamp),
      record.node,
      record.rule ?? record.index,
      record.status ?? "firing",
      record.level,
      record.current_value,
      record.threshold,
      record.message,
    ]
      .map((cell) => `<td>${escapeHtml(cell)}</td>`)
      .join("");
  const heads = ["time", "node", "rule", "status", "level", "value", "threshold", "message"];
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>TargetVPC admin</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem }
textarea { width: 100%; font: 13px/1.4 ui-monospace, monospace }
table { border-collapse: collapse; width: 100% } th, td { text-align: left; padding: .2rem .6rem; border-bottom: 1px solid #ddd }
td:last-child { white-space: pre-wrap } .notice { padding: .5rem .8rem; background: #ffe9b3 }
</style></head><body>
<h1>TargetVPC admin</h1>
${notice === "" ? "" : `<p class="notice" role="status">${escapeHtml(notice)}</p>`}
<h2>Configuration</h2>
<form method="post" action="/config">
<textarea name="config" rows="24" spellcheck="false" aria-label="Configuration as JSON">
${escapeHtml(text)}</textarea>
<p><button>Save</button></p></form>
<h2>Last records</h2>
<table><thead><tr>${heads.map((head) => `<th>${head}</th>`).join("")}</tr></thead>
<tbody>${lastRecords.map((record) => `<tr>${row(record)}</tr>`).join("\n")}</tbody></table>
</body></html>`;
}

// ---- HTTP

async function readBody(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > maxBodyBytes) throw new Refusal(413, `longer than ${maxBodyBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function send(response, { status = 200, type, body, headers = {} }) {
  response.writeHead(status, {
    "Content-Type": `${type}; charset=utf-8`,
    "Content-Security-Policy":
      "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
    ...headers,
  });
  response.end(body);
}

const json = (response, status, value, headers) =>
  send(response, { status, type: "application/json", body: JSON.stringify(value), headers });
const html = (response, status, text, notice) =>
  send(response, { status, type: "text/html", body: page(text, notice) });

/** Agents send the token as a bearer; a browser asks for it as the password of any user. */
function authorised(request) {
  if (token === "") return true;
  const [scheme = "", given = ""] = String(request.headers.authorization ?? "").split(" ");
  const basic = Buffer.from(given, "base64").toString("utf8");
  const shown = scheme.toLowerCase() === "basic" ? basic.slice(basic.indexOf(":") + 1) : given;
  return timingSafeEqual(sha256(shown), sha256(token));
}

/** A form of another site must not change anything here. */
function refuseForeign(request) {
  const { origin } = request.headers;
  if (origin === undefined) return;
  if (!URL.canParse(origin) || new URL(origin).host !== request.headers.host)
    throw new Refusal(403, "the request comes from another site");
}

async function getConfig(request, response) {
  const config = await configOf(request);
  if (config === undefined) throw new Refusal(404, "this node is not registered");
  const body = JSON.stringify({ code: 0, data: config });
  const etag = `"${sha256(body).toString("hex").slice(0, 16)}"`;
  if (request.headers["if-none-match"] === etag) {
    response.writeHead(304, { ETag: etag });
    response.end();
  } else send(response, { type: "application/json", body, headers: { ETag: etag } });
}

async function postRecord(request, response) {
  const record = checkRecord(await readBody(request));
  const duplicate = await append(record);
  json(response, 200, { code: 0, data: { id: record.id, duplicate } });
}

async function getPage(_request, response) {
  html(response, 200, await readFile(configFile, "utf8"), "");
}

async function postForm(request, response) {
  refuseForeign(request);
  const text = new URLSearchParams(await readBody(request)).get("config") ?? "";
  try {
    await saveConfig(text);
  } catch (cause) {
    if (!(cause instanceof Refusal)) throw cause;
    // What was typed stays in the form.
    return html(response, cause.status, text, `Not saved: ${cause.message}`);
  }
  html(response, 200, text, "Saved.");
}

async function putConfig(request, response) {
  refuseForeign(request);
  await saveConfig(await readBody(request));
  json(response, 200, { code: 0 });
}

const routes = new Map([
  ["GET /", getPage],
  ["POST /config", postForm],
  ["PUT /config", putConfig],
  ["GET /api/servers/config", getConfig],
  ["POST /api/alert-records/report", postRecord],
]);

async function handle(request, response) {
  if (!authorised(request))
    return json(
      response,
      401,
      { code: 401, message: "a token is needed" },
      { "WWW-Authenticate": 'Basic realm="TargetVPC admin", charset="UTF-8"' },
    );
  const address = (request.url ?? "/").split("?")[0].replace(/(.)\/+$/, "$1");
  const route = routes.get(`${request.method} ${address}`);
  if (route === undefined) throw new Refusal(404, "no such page");
  await route(request, response);
}

const server = createServer((request, response) => {
  handle(request, response).catch((cause) => {
    const status = cause instanceof Refusal ? cause.status : 500;
    if (status === 500) console.error(cause instanceof Refusal ? cause.message : cause);
    if (response.headersSent) return response.destroy();
    const message = cause instanceof Refusal ? cause.message : "the server failed, see its log";
    // What was not read of the request cannot be skipped: the connection ends with the answer.
    json(response, status, { code: status, message }, { Connection: "close" });
  });
});

async function main() {
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const present = await readFile(configFile, "utf8").catch((cause) => {
    if (cause.code === "ENOENT") return undefined;
    throw cause;
  });
  if (present === undefined)
    await saveConfig(await readFile(new URL("./config.json", import.meta.url), "utf8"));
  await loadRecords();
  server.listen(port, host, () => {
    const address = server.address();
    const shown = address.family === "IPv6" ? `[${address.address}]` : address.address;
    console.log(`admin server on http://${shown}:${address.port}, data in ${dataDir}`);
  });
  const stop = () => {
    server.close();
    server.closeAllConnections();
  };
  process.once("SIGTERM", stop);
  process.once("SIGINT", stop);
}

await main();
