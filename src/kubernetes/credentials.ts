import { createHash } from "node:crypto";
import type { RequestOptions } from "node:https";
import { AgentError } from "../core/errors.ts";

/** What a connection to the API server is made with; the files behind it rotate. */
export interface Access {
  readonly headers: Readonly<Record<string, string>>;
  readonly tls: Pick<
    RequestOptions,
    "ca" | "cert" | "key" | "pfx" | "passphrase" | "servername" | "rejectUnauthorized"
  >;
  /** Changes when the TLS material does: a new connection is due. */
  readonly fingerprint: string;
}

/** Where the API server is, and who asks. */
export interface Credentials {
  readonly server: string;
  /** As the files have it now; a token file is read at most once a minute. As slow as a plugin of the kubeconfig. */
  access(): Promise<Access>;
  /** Has the token read anew with the next access: the server has refused it. Throws as loading does. */
  renew(): void;
}

const tlsNames = [
  "ca",
  "cert",
  "key",
  "pfx",
  "passphrase",
  "servername",
  "rejectUnauthorized",
] as const;

function accessOf(options: RequestOptions): Access {
  const tls = Object.fromEntries(
    tlsNames.flatMap((name) => (options[name] === undefined ? [] : [[name, options[name]]])),
  );
  const basic =
    typeof options.auth === "string"
      ? { Authorization: `Basic ${Buffer.from(options.auth).toString("base64")}` }
      : {};
  const given: unknown = options.headers ?? {};
  const hash = createHash("sha256");
  for (const [name, value] of Object.entries(tls))
    hash.update(name).update(Buffer.isBuffer(value) ? value : JSON.stringify(value));
  return {
    headers: { ...basic, ...(given as Record<string, string>) }, // proof: the library sets texts only
    tls,
    fingerprint: hash.digest("hex"),
  };
}

/** Where a Pod finds its service account's token, CA and namespace. */
export const serviceAccountDir = "/var/run/secrets/kubernetes.io/serviceaccount";

/**
 * Credentials of the service account of this Pod, or of the kubeconfig (`KUBECONFIG`, `~/.kube/config`). The library
 * behind it is loaded here and nowhere else; `root` stands before the service account's directory.
 * Throws CONFIG_INVALID when there are none.
 */
export async function loadCredentials(
  from: "cluster" | "kubeconfig",
  root = "",
): Promise<Credentials> {
  const { KubeConfig } = await import("@kubernetes/client-node/dist/config.js");
  const load = (): { config: InstanceType<typeof KubeConfig>; server: string } => {
    const config = new KubeConfig();
    if (from === "cluster") config.loadFromCluster(root);
    else config.loadFromDefault();
    const cluster = config.getCurrentCluster();
    // Without any kubeconfig the library means a server on localhost that nobody has named.
    if (cluster === null || (from === "kubeconfig" && cluster.server === "http://localhost:8080"))
      throw new AgentError("CONFIG_INVALID", "no kubeconfig: set KUBECONFIG or ~/.kube/config");
    if (cluster.proxyUrl !== undefined)
      throw new AgentError("CONFIG_INVALID", "a kubeconfig with proxy-url is not supported");
    return { config, server: cluster.server.replace(/\/+$/, "") };
  };
  const { server, ...first } = load();
  let { config } = first;
  const ask = async (of: typeof config): Promise<Access> => {
    const options: RequestOptions = {};
    await of.applyToHTTPSOptions(options);
    return accessOf(options);
  };
  let asked: { readonly of: typeof config; readonly access: Promise<Access> } | null = null;
  return {
    server,
    access: async () => {
      // Who comes meanwhile waits for the same: a plugin that hangs is not started with every try.
      if (asked?.of === config) return asked.access;
      const mine = { of: config, access: ask(config) };
      asked = mine;
      try {
        return await mine.access;
      } finally {
        if (asked === mine) asked = null;
      }
    },
    renew: () => {
      config = load().config;
    },
  };
}
