/** An installation of the chart, and its agents. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { apply, chart, getJson, getUrl, helm, image, kubectl, soon, type Pod } from "./cluster.ts";

export interface Health {
  readonly status: string;
  readonly node: string;
  readonly version: string;
  readonly components: Readonly<
    Record<
      string,
      {
        readonly status: string;
        readonly last_error: string | null;
        readonly details?: Readonly<Record<string, string>>;
      }
    >
  >;
}

export type Rows = readonly {
  readonly timestamp: number;
  readonly metrics: Readonly<Record<string, number | null>>;
}[];

export interface RuleShown {
  readonly name: string;
  readonly levels: Readonly<Record<string, number>>;
  readonly source: string;
  readonly revision: string;
}

export class Release {
  readonly name: string;
  readonly namespace: string;

  constructor(namespace: string, name = "targetvpc") {
    this.namespace = namespace;
    this.name = name;
  }

  /** The image under test, in the words of the values. */
  static imageValues(): Record<string, unknown> {
    const [repository, tag] = image.split(/:(?=[^/]+$)/);
    return { repository, tag, pullPolicy: "Never" };
  }

  async install(values: Record<string, unknown> = {}, chartDir = chart): Promise<void> {
    await this.#helm("install", values, chartDir, ["--create-namespace"]);
  }

  async upgrade(values: Record<string, unknown> = {}, chartDir = chart): Promise<void> {
    // Helm 4 applies on the server's side and does not take back what somebody changed by kubectl, unless it is told to.
    const isThree = (await helm("version", "--short")).startsWith("v3");
    await this.#helm("upgrade", values, chartDir, isThree ? [] : ["--force-conflicts"]);
  }

  async uninstall(): Promise<void> {
    await helm("uninstall", this.name, "-n", this.namespace, "--ignore-not-found", "--wait");
    await kubectl("delete", "namespace", this.namespace, "--ignore-not-found", "--wait=true");
  }

  async #helm(
    verb: string,
    values: Record<string, unknown>,
    chartDir: string,
    more: string[],
  ): Promise<void> {
    const dir = await mkdtemp(path.join(os.tmpdir(), "targetvpc-values-"));
    const file = path.join(dir, "values.json");
    await writeFile(file, JSON.stringify({ image: Release.imageValues(), ...values }));
    try {
      await helm(
        verb,
        this.name,
        chartDir,
        "-n",
        this.namespace,
        "-f",
        file,
        "--wait",
        "--timeout",
        "120s",
        ...more,
      );
    } finally {
      await rm(dir, { recursive: true });
    }
  }

  get selector(): string {
    return `app.kubernetes.io/instance=${this.name},app.kubernetes.io/component=agent`;
  }

  /** The agent's pod that runs; the cluster under test may have one node only. */
  async pod(): Promise<Pod> {
    const { items } = await getJson<{ items: Pod[] }>(
      "-n",
      this.namespace,
      "pods",
      "-l",
      this.selector,
    );
    const found = items.find(
      ({ metadata, status }) =>
        !("deletionTimestamp" in metadata) && status.containerStatuses?.[0]?.ready === true,
    );
    if (found === undefined) throw new Error("no agent is ready");
    return found;
  }

  async ready(): Promise<Pod> {
    await soon("an agent is ready", () =>
      this.pod().then(
        () => true,
        () => false,
      ),
    );
    return this.pod();
  }

  async url(): Promise<string> {
    return `http://${(await this.pod()).status.podIP}:8001`;
  }

  async get<T>(at: string): Promise<T> {
    const { status, text } = await getUrl((await this.url()) + at);
    if (status !== 200) throw new Error(`${at}: ${status} ${text}`);
    return JSON.parse(text) as T; // the API's own documents
  }

  health(): Promise<Health> {
    return this.get("/health");
  }

  async rule(name: string): Promise<RuleShown | undefined> {
    const { items } = await this.get<{ items: RuleShown[] }>("/api/rules");
    return items.find((rule) => rule.name === name);
  }

  async firing(): Promise<readonly { id: string; rule: string; started_at: number }[]> {
    const { items } = await this.get<{
      items: { id: string; rule: string; status: string; started_at: number }[];
    }>("/api/alerts");
    return items.filter(({ status }) => status === "firing");
  }

  logs(...more: string[]): Promise<string> {
    return kubectl("-n", this.namespace, "logs", "-l", this.selector, "--tail=-1", ...more);
  }

  /** Replaces the watched ConfigMap, as `kubectl apply` of a changed one does. */
  async setPolicy(policy: unknown): Promise<void> {
    await apply({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: this.name, namespace: this.namespace },
      data: { "config.yaml": typeof policy === "string" ? policy : JSON.stringify(policy) },
    });
  }
}

/** Busy loops on the node: as many as it has cores, unless told. */
export async function stress(namespace: string, cpus = os.cpus().length): Promise<void> {
  await apply({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "stress-pod", namespace },
    spec: {
      terminationGracePeriodSeconds: 0,
      containers: Array.from({ length: cpus }, (_, at) => ({
        name: `stress-${at}`,
        image,
        imagePullPolicy: "Never",
        command: ["node", "-e", "for(;;);"],
      })),
    },
  });
  await kubectl(
    "-n",
    namespace,
    "wait",
    "pod/stress-pod",
    "--for=condition=Ready",
    "--timeout=60s",
  );
}

export async function calm(namespace: string): Promise<void> {
  await kubectl("-n", namespace, "delete", "pod", "stress-pod", "--ignore-not-found", "--now");
}
