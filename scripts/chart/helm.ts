import { execFile, type ExecFileException } from "node:child_process";
import { promisify } from "node:util";
import { parseAllDocuments, stringify } from "yaml";
import { chart } from "../chart.ts";

const run = promisify(execFile);

/** A Kubernetes object as far as it is looked at. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly data?: Readonly<Record<string, string>>;
  readonly rules?: readonly Readonly<Record<string, readonly string[]>>[];
  readonly spec?: Record<string, unknown>;
}

/** What to do about a program that is not there. */
const howToGet: Readonly<Record<string, string>> = {
  helm: "helm is not there: install helm 3.18 or newer, or helm 4 (https://helm.sh/docs/intro/install), or set HELM to its path",
  kubectl:
    "kubectl is not there: install it (https://kubernetes.io/docs/tasks/tools), or set KUBECTL to its path",
};

/** The programs that render the chart: helm, and a second one when HELM3 names it. */
export function helms(): readonly string[] {
  const { HELM = "helm", HELM3 } = process.env;
  return HELM3 === undefined || HELM3 === "" ? [HELM] : [HELM, HELM3];
}

/** Runs a program; throws with what it said. */
export async function output(program: string, args: readonly string[]): Promise<string> {
  try {
    const { stdout } = await run(program, args, { maxBuffer: 1 << 26 });
    return stdout;
  } catch (cause) {
    const { code, stdout = "", stderr = "", message } = cause as ExecFileException; // proof: of execFile
    const name = /kubectl/.test(program) ? "kubectl" : "helm";
    if (code === "ENOENT") throw new Error(howToGet[name], { cause });
    throw new Error(`${stdout}${stderr}` || message, { cause });
  }
}

/** A render: which values, as which release. */
export interface Render {
  readonly values: readonly string[];
  readonly release: string;
  readonly namespace: string;
  readonly args?: readonly string[];
}

/** What is rendered for without a cluster: helm's own default depends on how it was built. */
export const kubeVersion = "1.30.0";

/** What `helm template` makes of the chart. */
export function template(
  helm: string,
  { values, release, namespace, args = [] }: Render,
): Promise<string> {
  const files = values.flatMap((file) => ["--values", file]);
  const target = ["--namespace", namespace, "--kube-version", kubeVersion];
  return output(helm, ["template", release, chart, ...target, ...files, ...args]);
}

/** Kind, namespace and name of an object in one word. */
export function idOf({ kind, metadata: { namespace = "", name } }: KubernetesObject): string {
  return `${kind}/${namespace}/${name}`;
}

/** The objects of a stream of YAML documents, sorted. */
export function objectsOf(text: string): KubernetesObject[] {
  const documents = parseAllDocuments(text);
  const objects = (Array.isArray(documents) ? documents : []).map((document) => {
    if (document.errors.length > 0) throw document.errors[0];
    return document.toJS() as KubernetesObject | null; // proof: what helm and kubectl print
  });
  return objects.filter((object) => object !== null).sort((a, b) => (idOf(a) < idOf(b) ? -1 : 1));
}

/** Objects as one text that does not depend on the program which printed them. */
export function yamlOf(objects: readonly unknown[]): string {
  return objects
    .map((object) => `---\n${stringify(object, { lineWidth: 0, aliasDuplicateObjects: false })}`)
    .join("");
}
