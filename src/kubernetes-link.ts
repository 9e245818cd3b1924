import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import type { Incident } from "./core/alert.ts";
import { AgentError, errorText } from "./core/errors.ts";
import { nodeId, type NodeIdentity } from "./core/node.ts";
import type { Clock, ComponentStatus } from "./core/ports.ts";
import type { PolicyDocument } from "./core/policy.ts";
import type { Parsed } from "./base/parse.ts";
import { parseConfigText } from "./config/file.ts";
import type { Config } from "./config/settings.ts";
import { createKubeClient, type KubeClient } from "./kubernetes/client.ts";
import { Cluster, type ClusterSettings } from "./kubernetes/cluster.ts";
import { loadCredentials, serviceAccountDir } from "./kubernetes/credentials.ts";
import { secretReader } from "./kubernetes/mounted.ts";
import type { AppDeps } from "./parts.ts";
import type { InForce } from "./in-force.ts";
import type { KnownFacts } from "./node-facts.ts";
import { documentParser } from "./settings.ts";
import { fileName, type Storage } from "./storage.ts";

export interface KubernetesLinkDeps extends AppDeps {
  readonly node: NodeIdentity;
  readonly inForce: InForce;
  readonly nodeFacts: KnownFacts;
  readonly storage: Storage;
  /** Every alert that fires. */
  readonly firing: () => readonly Incident[];
  /** How the other parts of the agent are doing. */
  readonly parts: () => Readonly<Record<string, ComponentStatus>>;
}

type Kubernetes = Config["kubernetes"];

/** By which credentials the API server is asked; null: not at all. */
export function apiAccess({ enabled }: Kubernetes): "cluster" | "kubeconfig" | null {
  const inPod = existsSync(path.join(serviceAccountDir, "token"));
  if (enabled === false || (enabled === "auto" && !inPod)) return null;
  return inPod ? "cluster" : "kubeconfig";
}

function ownNamespace({ namespace, pod_namespace: ofPod }: Kubernetes): string {
  const given = namespace ?? ofPod;
  if (given !== null) return given;
  const file = path.join(serviceAccountDir, "namespace");
  return existsSync(file) ? readFileSync(file, "utf8").trim() : "default";
}

/** The `kubernetes` part of the configuration, as the cluster's parts take it. */
export function clusterSettings(config: Kubernetes): ClusterSettings {
  const { pod_name: name, pod_uid: uid, pod_namespace: namespace } = config;
  return {
    configmap: config.configmap,
    configmapDir: config.configmap_dir,
    secretsDir: config.secrets_dir,
    namespace: ownNamespace(config),
    events: config.events,
    nodeCondition: config.node_condition,
    pod: name === null || uid === null || namespace === null ? null : { name, uid, namespace },
  };
}

/** A client for the API server; null when it is not to be asked. */
function kubeClient(config: Kubernetes, clock: Clock): KubeClient | null {
  const from = apiAccess(config);
  return from === null ? null : createKubeClient(() => loadCredentials(from), clock);
}

/** Whether there is a cluster to work in, or a ConfigMap that one mounts. */
function isInCluster(config: Kubernetes): boolean {
  return apiAccess(config) !== null || config.configmap_dir !== null;
}

/** Reads the text of a ConfigMap; files that it names only below the directory for secrets. */
export function configMapReader(
  config: Kubernetes,
): (text: string, key: string) => Promise<Parsed<PolicyDocument>> {
  const parse = documentParser(secretReader(config.secrets_dir));
  return async (text, key) => {
    try {
      return parse(await parseConfigText(text, key));
    } catch (cause) {
      const known = cause instanceof AgentError ? cause.faults : [];
      const faults = known.length > 0 ? known : [{ path: key, message: errorText(cause) }];
      return { ok: false, faults };
    }
  };
}

/** Rules, channels and facts from the cluster, and Events to it; null outside of one. */
export function createKubernetesLink(deps: KubernetesLinkDeps): Cluster | null {
  const { settings, node, inForce, nodeFacts, storage, redactor } = deps;
  const config = settings.config.kubernetes;
  if (!isInCluster(config)) return null;
  const fileOf = (kind: string): string => fileName(`kubernetes-${kind}`, nodeId(node));
  return new Cluster({
    ...deps,
    settings: clusterSettings(config),
    client: kubeClient(config, deps.clock),
    keep: {
      load: (kind) => storage.local.read(fileOf(kind)),
      save: (kind, json) => storage.local.write(fileOf(kind), json),
    },
    redact: (text) => redactor.redact(text),
    read: configMapReader(config),
    publish: (document, revision) =>
      inForce.book.set("configmap", document === null ? null : { document, revision }),
    onFacts: (facts) => nodeFacts.set(facts),
  });
}
