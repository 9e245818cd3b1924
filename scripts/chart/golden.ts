/** Rewrites what is rendered from the chart: test/chart/golden and manifests. */
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { helms, objectsOf, template, yamlOf } from "./helm.ts";
import { manifestFiles, overlays, release, type Overlay } from "./manifests.ts";

const root = path.join(import.meta.dirname, "../..");

/** Where the sets of values are, and what they are rendered as. */
export const valueSets = path.join(root, "test/chart/values");
/** Where their renders are. */
export const goldens = path.join(root, "test/chart/golden");
/** Where the kustomizations are. */
export const manifests = path.join(root, "manifests");

/** Names of the sets of values. */
export function setNames(): readonly string[] {
  return readdirSync(valueSets).map((file) => path.basename(file, ".yaml"));
}

/** A set's render as its golden file has it. */
export async function renderSet(helm: string, name: string): Promise<string> {
  const values = [path.join(valueSets, `${name}.yaml`)];
  return yamlOf(
    objectsOf(await template(helm, { values, release: "tv", namespace: "monitoring" })),
  );
}

/** What helm makes of an overlay's values. */
export async function renderOverlay(
  helm: string,
  overlay: Overlay,
): Promise<ReturnType<typeof objectsOf>> {
  const values = [path.join(manifests, "overlays", overlay, "values.yaml")];
  return objectsOf(await template(helm, { values, ...release, args: ["--skip-tests"] }));
}

/** The files of `manifests` as they should be. */
export async function renderManifests(helm: string): Promise<Readonly<Record<string, string>>> {
  const [plain, withRedis, restricted] = await Promise.all(
    overlays.map((overlay) => renderOverlay(helm, overlay)),
  );
  return manifestFiles({ plain: plain!, "with-redis": withRedis!, restricted: restricted! });
}

if (process.argv[1] === import.meta.filename) {
  const [helm = "helm"] = helms();
  mkdirSync(goldens, { recursive: true });
  for (const name of setNames())
    writeFileSync(path.join(goldens, `${name}.yaml`), await renderSet(helm, name));
  for (const [name, text] of Object.entries(await renderManifests(helm))) {
    const file = path.join(manifests, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
}
