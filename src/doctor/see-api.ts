import * as v from "valibot";
import { errorText } from "../core/errors.ts";
import type { Clock } from "../core/ports.ts";
import { createKubeClient, type KubeClient } from "../kubernetes/client.ts";
import { loadCredentials, type Credentials } from "../kubernetes/credentials.ts";
import { refusalOf } from "../kubernetes/objects.ts";
import type { Waits } from "./waits.ts";

/** What the API server says to somebody who only knocks. */
export type ApiSight =
  | { readonly kind: "off" }
  | { readonly kind: "down"; readonly reason: string }
  | {
      readonly kind: "up";
      readonly server: string;
      readonly version: string;
      /** How far its clock is ahead of ours; differences below 1.5 s are none. */
      readonly aheadMs: number;
    };

/** The API server, by the credentials the agent has. */
export interface ApiServer {
  readonly from: "cluster" | "kubeconfig";
  readonly client: KubeClient;
  credentials(): Promise<Credentials>;
  look(waits: Waits): Promise<ApiSight>;
}

const versionBody = v.object({ gitVersion: v.string() });
const lookMs = 3_000;

/** Asks for `/version`, which everybody with a valid token may. */
async function look(server: Pick<ApiServer, "client" | "credentials">, clock: Clock, waits: Waits) {
  try {
    const { server: address } = await server.credentials();
    const reply = await waits.within(lookMs, (signal) =>
      server.client.request({ method: "GET", path: "/version", signal }),
    );
    const parsed = v.safeParse(versionBody, reply.body);
    if (reply.status !== 200 || !parsed.success) {
      const { message } = refusalOf(reply.status, reply.body);
      return { kind: "down", reason: `API server at ${address}: ${message}` } as const;
    }
    const aheadMs = server.client.serverNowMs() - clock.now();
    return { kind: "up", server: address, version: parsed.output.gitVersion, aheadMs } as const;
  } catch (cause) {
    return { kind: "down", reason: errorText(cause) } as const;
  }
}

export function createApiServer(from: "cluster" | "kubeconfig", clock: Clock): ApiServer {
  const credentials = (): Promise<Credentials> => loadCredentials(from);
  const client = createKubeClient(credentials, clock);
  return {
    from,
    client,
    credentials,
    look: (waits) => look({ client, credentials }, clock, waits),
  };
}
