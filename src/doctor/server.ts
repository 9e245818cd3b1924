import { createServer } from "node:http";
import { errorText } from "../core/errors.ts";
import { listen } from "../api/listen.ts";
import { failed, ok, type Check, type Finding } from "./contract.ts";
import { askMs, type Surroundings } from "./surroundings.ts";

const name = "server";
const costs = "the agent does not start";

/** Where a server that listens on an address is reached on this machine. */
function localUrl({ host, port }: { host: string; port: number }): string {
  const anywhere = host === "0.0.0.0" || host === "::";
  const to = anywhere ? "127.0.0.1" : host.includes(":") ? `[${host}]` : host;
  return `http://${to}:${port}/health`;
}

/** What `/health` says when an agent answers; null when nobody or somebody else does. */
async function agentThere({ config, http, waits }: Surroundings): Promise<{
  readonly node: string;
  readonly text: string;
} | null> {
  const { token } = config.server;
  const headers = token === null ? {} : { Authorization: `Bearer ${token.reveal()}` };
  try {
    const reply = await waits.within(askMs, (signal) =>
      http.request({ method: "GET", url: localUrl(config.server), headers, signal }),
    );
    const said = JSON.parse(reply.body) as Record<string, unknown>;
    if (typeof said["node"] !== "string" || typeof said["version"] !== "string") return null;
    return { node: said["node"], text: `version ${said["version"]}, ${String(said["status"])}` };
  } catch {
    return null;
  }
}

/** Whether the port could be had: it is opened and closed again at once. */
async function isFree({ host, port }: { host: string; port: number }): Promise<Finding> {
  const server = createServer();
  try {
    await listen(server, { host, port });
    return ok(name, port === 0 ? "any free port will do" : `${host}:${port} is free`);
  } catch (cause) {
    const fix = "stop what has it, or set server.host and server.port (SERVER_HOST, SERVER_PORT)";
    return failed(name, { found: errorText(cause), costs, fix });
  } finally {
    server.close();
  }
}

/** Where the agent listens, or will. */
export const server: Check = {
  name,
  doc: "The port is free, or this very agent has it",
  costs,
  run: async (around) => {
    const { server: wanted } = around.config;
    const there = wanted.port === 0 ? null : await agentThere(around);
    if (there === null) return [await isFree(wanted)];
    if (there.node === around.node.name)
      return [ok(name, `the agent of this node answers: ${there.text}`)];
    const found = `the agent of another node answers: ${there.node}`;
    return [
      failed(name, { found, costs, fix: "set node.name (NODE_NAME), or another server.port" }),
    ];
  },
};
