import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Incident } from "../../src/core/alert.ts";
import type { Clock } from "../../src/core/ports.ts";
import { createKubeClient, type KubeClient } from "../../src/kubernetes/client.ts";
import {
  loadCredentials,
  serviceAccountDir,
  type Credentials,
} from "../../src/kubernetes/credentials.ts";
import { eventually, type ManualClock } from "../support/clock.ts";
import { fullToken, type Json, type KubeServer } from "../support/kube.ts";

type Env = Readonly<Record<string, string | undefined>>;

function setEnv(env: Env): Env {
  const before = Object.fromEntries(Object.keys(env).map((name) => [name, process.env[name]]));
  for (const [name, value] of Object.entries(env))
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  return before;
}

/** Credentials that are loaded, and loaded again, under these variables: the library reads them from the process. */
async function loadUnder(
  env: Env,
  ...args: Parameters<typeof loadCredentials>
): Promise<Credentials> {
  const before = setEnv(env);
  try {
    const credentials = await loadCredentials(...args);
    const renew = (): void => {
      const present = setEnv(env);
      try {
        credentials.renew();
      } finally {
        setEnv(present);
      }
    };
    return { ...credentials, renew };
  } finally {
    setEnv(before);
  }
}

/** A host's root with a service account's files in it, as the kubelet writes them. */
export interface PodFiles {
  readonly root: string;
  write(name: "token" | "ca.crt", text: string): void;
  remove(): void;
}

export function podFiles(ca: string, token = fullToken): PodFiles {
  const root = mkdtempSync(path.join(tmpdir(), "targetvpc-pod-"));
  const dir = path.join(root, serviceAccountDir);
  mkdirSync(dir, { recursive: true });
  const write: PodFiles["write"] = (name, text) => writeFileSync(path.join(dir, name), text);
  write("token", token);
  write("ca.crt", ca);
  return { root, write, remove: () => rmSync(root, { recursive: true, force: true }) };
}

/** The client as in a Pod. */
export function clusterClient(server: KubeServer, files: PodFiles, clock: Clock): KubeClient {
  const env = {
    KUBERNETES_SERVICE_HOST: "127.0.0.1",
    KUBERNETES_SERVICE_PORT: String(server.port),
  };
  return createKubeClient(() => loadUnder(env, "cluster", files.root), clock);
}

/** The client by a kubeconfig; null: there is no kubeconfig at all. */
export function kubeconfigClient(text: string | null, clock: Clock): KubeClient {
  const home = mkdtempSync(path.join(tmpdir(), "targetvpc-home-"));
  const file = path.join(home, "config");
  if (text !== null) writeFileSync(file, text);
  const env = { HOME: home, KUBECONFIG: text === null ? undefined : file };
  const client = createKubeClient(() => loadUnder(env, "kubeconfig"), clock);
  const close = client.close.bind(client);
  client.close = () => {
    close();
    rmSync(home, { recursive: true, force: true });
  };
  return client;
}

/** A client for a server with its own token. */
export function clientOf(server: KubeServer, clock: Clock, user?: Json): KubeClient {
  return kubeconfigClient(server.kubeconfig(user), clock);
}

export const ownNode = { cluster: "lab", name: "node-1", ip: "192.0.2.10" };

/** An alert that fires. */
export function incident({
  id = "incident-1",
  index = "cpu",
  level = "critical",
  node = ownNode,
  ...changes
}: Partial<Incident> & { index?: string; node?: Incident["subject"]["node"] } = {}): Incident {
  const startedAtMs = changes.startedAtMs ?? Date.UTC(2026, 0, 5, 12, 0, 0);
  return {
    id,
    subject: {
      key: `rule|${index}`,
      rule: `${index}-high`,
      index,
      unit: "%",
      labels: {},
      operator: ">",
      message: null,
      runbookUrl: null,
      channels: null,
      cooldownMs: null,
      node,
    },
    status: "firing",
    level,
    threshold: 90,
    value: 95.5,
    peak: 97,
    startedAtMs,
    updatedAtMs: startedAtMs,
    endedAtMs: null,
    flaps: 0,
    flapping: false,
    acknowledgedBy: null,
    noData: false,
    ...changes,
  };
}

/** Waits for what happens over the network, and lets that much time pass at each look. */
export function when(
  clock: ManualClock,
  what: string,
  check: () => boolean,
  stepMs = 0,
): Promise<void> {
  return eventually(what, async () => {
    await clock.advance(stepMs);
    return check();
  });
}
