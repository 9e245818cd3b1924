import { readFile } from "node:fs/promises";
import path from "node:path";
import { goldens } from "../../scripts/chart/golden.ts";
import { idOf, objectsOf, type KubernetesObject } from "../../scripts/chart/helm.ts";

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Dotted keys of everything that is no section. */
export function leafKeys(tree: Record<string, unknown>, prefix = ""): string[] {
  return Object.entries(tree).flatMap(([name, value]) =>
    isRecord(value) && Object.keys(value).length > 0
      ? leafKeys(value, `${prefix}${name}.`)
      : [`${prefix}${name}`],
  );
}

/** The objects of a golden render; golden.test.ts says that every helm renders the same. */
export async function golden(name: string): Promise<KubernetesObject[]> {
  return objectsOf(await readFile(path.join(goldens, `${name}.yaml`), "utf8"));
}

/** The one object of a name; throws with the names there are. */
export function the(objects: readonly KubernetesObject[], id: string): KubernetesObject {
  const found = objects.filter((object) => idOf(object) === id);
  const [one] = found;
  if (one === undefined || found.length > 1)
    throw new Error(`expected one ${id} among ${objects.map(idOf).join(", ")}`);
  return one;
}

export interface Container {
  readonly name: string;
  readonly env?: readonly { readonly name: string; readonly value?: string }[];
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[];
  readonly ports?: readonly { readonly hostPort?: number }[];
  readonly securityContext?: Record<string, unknown>;
  readonly [key: string]: unknown;
}

export interface PodSpec {
  readonly containers: readonly Container[];
  readonly initContainers?: readonly Container[];
  readonly volumes?: readonly Record<string, unknown>[];
  readonly securityContext?: Record<string, unknown>;
  readonly automountServiceAccountToken?: boolean;
  readonly [key: string]: unknown;
}

/** The spec of the pods that an object makes; null when it makes none. */
export function podSpec({ kind, spec }: KubernetesObject): PodSpec | null {
  if (spec === undefined) return null;
  if (kind === "Pod") return spec as unknown as PodSpec;
  const { template } = spec;
  return isRecord(template) && isRecord(template["spec"])
    ? (template["spec"] as unknown as PodSpec)
    : null;
}
