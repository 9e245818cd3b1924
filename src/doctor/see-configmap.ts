import * as v from "valibot";
import { errorText, type Fault } from "../core/errors.ts";
import type { PolicyDocument } from "../core/policy.ts";
import type { Config } from "../config/settings.ts";
import { clusterSettings, configMapReader } from "../kubernetes-link.ts";
import { findConfig, readMounted } from "../kubernetes/mounted.ts";
import { configMap, refusalOf } from "../kubernetes/objects.ts";
import type { ApiServer, ApiSight } from "./see-api.ts";
import type { Waits } from "./waits.ts";

/** One way to the ConfigMap, and what came by it. */
export type Content =
  | { readonly kind: "off"; readonly why: string }
  | { readonly kind: "absent" }
  | { readonly kind: "unreadable"; readonly reason: string }
  | { readonly kind: "refused"; readonly faults: readonly Fault[] }
  | { readonly kind: "good"; readonly document: PolicyDocument };

export interface ConfigMapSight {
  /** `namespace/name`. */
  readonly title: string;
  readonly api: Content;
  readonly mounted: Content;
}

export interface ReadConfigMapDeps {
  readonly config: Config["kubernetes"];
  readonly cluster: ApiServer | null;
  readonly waits: Waits;
  readonly api: () => Promise<ApiSight>;
}

const readMs = 3_000;

async function contentOf(
  config: Config["kubernetes"],
  data: Readonly<Record<string, string>>,
): Promise<Content> {
  const found = findConfig(data);
  if (found.kind === "wrong")
    return { kind: "refused", faults: [{ path: "data", message: found.fault }] };
  const parsed = await configMapReader(config)(found.text, found.key);
  return parsed.ok
    ? { kind: "good", document: parsed.value }
    : { kind: "refused", faults: parsed.faults };
}

async function fromApi({ config, cluster, waits, api }: ReadConfigMapDeps): Promise<Content> {
  if (cluster === null || (await api()).kind !== "up")
    return { kind: "off", why: "the API server was not reached" };
  const { namespace, configmap } = clusterSettings(config);
  const path = `/api/v1/namespaces/${namespace}/configmaps/${configmap}`;
  try {
    const reply = await waits.within(readMs, (signal) =>
      cluster.client.request({ method: "GET", path, signal }),
    );
    if (reply.status === 404) return { kind: "absent" };
    if (reply.status === 403)
      return {
        kind: "off",
        why: "may not be read: kubernetes.right.configmap says what is missing",
      };
    if (reply.status !== 200)
      return { kind: "unreadable", reason: refusalOf(reply.status, reply.body).message };
    const parsed = v.safeParse(configMap, reply.body);
    if (!parsed.success) return { kind: "unreadable", reason: "the answer is no ConfigMap" };
    return await contentOf(config, parsed.output.data ?? {});
  } catch (cause) {
    return { kind: "unreadable", reason: errorText(cause) };
  }
}

async function fromMount(config: Config["kubernetes"]): Promise<Content> {
  const { configmap_dir: dir } = config;
  if (dir === null) return { kind: "off", why: "none is mounted (kubernetes.configmap_dir)" };
  try {
    const mounted = readMounted(dir);
    if (mounted.kind === "no-mount") return { kind: "unreadable", reason: `there is no ${dir}` };
    return mounted.kind === "absent" ? { kind: "absent" } : await contentOf(config, mounted.data);
  } catch (cause) {
    return { kind: "unreadable", reason: errorText(cause) };
  }
}

/** The ConfigMap by both ways the agent has. */
export async function readConfigMap(deps: ReadConfigMapDeps): Promise<ConfigMapSight> {
  const { namespace, configmap } = clusterSettings(deps.config);
  const [api, mounted] = await Promise.all([fromApi(deps), fromMount(deps.config)]);
  return { title: `${namespace}/${configmap}`, api, mounted };
}
