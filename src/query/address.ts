import { isIPv6 } from "node:net";
import { wrongUse } from "./question.ts";

/** Where an agent is told to listen. */
export interface ServerAddress {
  readonly host: string;
  readonly port: number;
}

/** Addresses that mean every one of a machine, and the one by which it is asked from itself. */
const loopbacks: Readonly<Record<string, string>> = { "0.0.0.0": "127.0.0.1", "::": "::1" };

/** The address of the agent of this machine. Throws INPUT_INVALID when only the agent knows its port. */
export function agentUrl({ host, port }: ServerAddress): string {
  if (port === 0)
    throw wrongUse([
      {
        path: "--url",
        message:
          "is needed: by server.port 0 (SERVER_PORT) the agent took a free port, which its log names",
      },
    ]);
  const name = loopbacks[host] ?? host;
  return `http://${isIPv6(name) ? `[${name}]` : name}:${port}`;
}
