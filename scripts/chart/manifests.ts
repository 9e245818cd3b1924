import { isDeepStrictEqual } from "node:util";
import { idOf, yamlOf, type KubernetesObject } from "./helm.ts";

/** The overlays, by the values they are rendered with: manifests/overlays/<name>/values.yaml. */
export const overlays = ["plain", "with-redis", "restricted"] as const;
export type Overlay = (typeof overlays)[number];

/** The release they are rendered as. */
export const release = { release: "targetvpc", namespace: "targetvpc" };

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What turns one map into another, as a merge patch. */
function mergePatch(
  from: Record<string, unknown>,
  to: Record<string, unknown>,
): Record<string, unknown> {
  const patch: Record<string, unknown> = {};
  for (const key of new Set([...Object.keys(from), ...Object.keys(to)])) {
    const [a, b] = [from[key], to[key]];
    if (isDeepStrictEqual(a, b)) continue;
    if (isMap(a) && isMap(b)) patch[key] = mergePatch(a, b);
    else if (Array.isArray(a)) throw new Error(`no patch for the list ${key}`);
    else patch[key] = b ?? null;
  }
  return patch;
}

const note = "# Rendered from the chart by npm run golden; edit overlays/*/values.yaml instead.\n";

function kustomization(resources: readonly string[], more: Record<string, unknown>): string {
  return (
    note +
    yamlOf([
      { apiVersion: "kustomize.config.k8s.io/v1beta1", kind: "Kustomization", resources, ...more },
    ])
  );
}

/** An overlay: what it has of its own, and what it changes of the base. */
function overlayFiles(
  base: ReadonlyMap<string, KubernetesObject>,
  objects: readonly KubernetesObject[],
): Record<string, string> {
  const own = objects.filter((object) => !base.has(idOf(object)));
  const patches = objects.flatMap((object) => {
    const before = base.get(idOf(object));
    if (before === undefined || isDeepStrictEqual(before, object)) return [];
    const { apiVersion, kind, metadata } = object;
    const { name, namespace } = metadata;
    const patch = mergePatch(before as never, object as never); // proof: objects are maps
    return [{ apiVersion, kind, metadata: { name, namespace }, ...patch }];
  });
  const files: Record<string, string> = {};
  if (own.length > 0) files["objects.yaml"] = note + yamlOf(own);
  if (patches.length > 0) files["patches.yaml"] = note + yamlOf(patches);
  files["kustomization.yaml"] = kustomization(
    ["../../base", ...(own.length > 0 ? ["objects.yaml"] : [])],
    {
      ...(patches.length > 0 ? { patches: [{ path: "patches.yaml" }] } : {}),
      // Without the file nothing is made: copy secrets.env.example, and fill it in.
      secretGenerator: [
        { name: "targetvpc-secrets", namespace: release.namespace, envs: ["secrets.env"] },
      ],
      generatorOptions: { disableNameSuffixHash: true },
    },
  );
  return files;
}

/** manifests/ by file name: what all overlays share is the base, as the first of them has it. */
export function manifestFiles(
  rendered: Readonly<Record<Overlay, readonly KubernetesObject[]>>,
): Readonly<Record<string, string>> {
  const inAll = rendered[overlays[0]].filter((object) =>
    overlays.every((overlay) => rendered[overlay].some((other) => idOf(other) === idOf(object))),
  );
  const base = new Map(inAll.map((object) => [idOf(object), object]));
  const files: Record<string, string> = {
    "base/objects.yaml": note + yamlOf(inAll),
    "base/kustomization.yaml": kustomization(["objects.yaml"], {}),
  };
  for (const overlay of overlays)
    for (const [name, text] of Object.entries(overlayFiles(base, rendered[overlay])))
      files[`overlays/${overlay}/${name}`] = text;
  return files;
}
