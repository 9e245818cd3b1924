import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { AgentError } from "../core/errors.ts";
import type { Clock } from "../core/ports.ts";

/** Where a server listens. */
export interface Listening {
  readonly host: string;
  readonly port: number;
}

const notOurs = ["server.host", "is not an address of this machine"] as const;

/** What is wrong with an address, by the system's error codes. */
const faults = new Map<string | undefined, readonly [path: string, message: string]>([
  ["EADDRINUSE", ["server.port", "is in use by another process"]],
  ["EACCES", ["server.port", "may not be opened by this user"]],
  ["EADDRNOTAVAIL", notOurs],
  ["ENOTFOUND", notOurs],
  ["EAI_AGAIN", notOurs],
]);

function listenError(cause: unknown, { host, port }: Listening): unknown {
  // Errors of `listen` carry the system's code.
  const fault = faults.get((cause as NodeJS.ErrnoException).code);
  if (fault === undefined) return cause;
  const [path, message] = fault;
  return new AgentError("CONFIG_INVALID", `cannot listen on ${host}:${port}`, {
    faults: [{ path, message: `${path === "server.port" ? `${host}:${port}` : host} ${message}` }],
    cause,
  });
}

/** Opens the port; 0 takes a free one. Throws CONFIG_INVALID when the address cannot be had. */
export async function listen(server: Server, wanted: Listening): Promise<Listening> {
  try {
    server.listen(wanted.port, wanted.host);
    await once(server, "listening");
  } catch (cause) {
    throw listenError(cause, wanted);
  }
  const address = server.address();
  return address === null || typeof address === "string"
    ? wanted
    : { host: address.address, port: address.port };
}

/** Opens a port and closes it again. Throws CONFIG_INVALID when the address cannot be had. */
export async function tryListening(wanted: Listening): Promise<void> {
  const server = createServer();
  await listen(server, wanted);
  server.close();
  await once(server, "close");
}

/** How long requests in flight may go on when the agent stops; it has two seconds in all. */
const graceMs = 1_500;

/** Stops to listen, lets what is in flight finish, and cuts what is still open after the grace. */
export async function closeGracefully(server: Server, clock: Clock): Promise<void> {
  if (!server.listening) return;
  const closed = once(server, "close");
  server.close();
  server.closeIdleConnections();
  const timer = new AbortController();
  await Promise.race([closed, clock.sleep(graceMs, timer.signal)]);
  timer.abort();
  server.closeAllConnections();
  await closed;
}
