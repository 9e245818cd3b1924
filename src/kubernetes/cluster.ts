import type { Incident } from "../core/alert.ts";
import { errorText } from "../core/errors.ts";
import { nodeId, type NodeFacts, type NodeIdentity } from "../core/node.ts";
import type { PolicyDocument } from "../core/policy.ts";
import type { Clock, ComponentStatus, Log, Running } from "../core/ports.ts";
import { fingerprint, followFiles } from "../base/follow.ts";
import type { Parsed } from "../base/parse.ts";
import { AlertEvents, type AlertNews } from "./alerts.ts";
import type { KubeClient } from "./client.ts";
import { NodeCondition } from "./condition.ts";
import { ConfigMapSource, type Rejected } from "./configmap.ts";
import { Keepsakes, type Keep } from "./keepsakes.ts";
import { readMounted } from "./mounted.ts";
import { OwnNode } from "./node.ts";
import type { KubeNode } from "./objects.ts";
import { EventRecorder, type EventCounters } from "./recorder.ts";
import { worstOf } from "./state.ts";
import { watchConfigMap, type Sight } from "./watch.ts";

/** What is to be done in the cluster; the `kubernetes` part of the configuration. */
export interface ClusterSettings {
  readonly configmap: string;
  /** Where the same ConfigMap is mounted; null: nowhere. */
  readonly configmapDir: string | null;
  readonly secretsDir: string | null;
  readonly namespace: string;
  readonly events: boolean;
  readonly nodeCondition: boolean;
  readonly pod: { readonly name: string; readonly uid: string; readonly namespace: string } | null;
}

export interface ClusterDeps {
  readonly settings: ClusterSettings;
  /** Null: without API rights, or outside of a cluster. */
  readonly client: KubeClient | null;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
  readonly node: NodeIdentity;
  readonly keep: Keep;
  /** Masks secrets in texts that leave the agent. */
  readonly redact: (text: string) => string;
  readonly read: (text: string, key: string) => Promise<Parsed<PolicyDocument>>;
  readonly publish: (document: PolicyDocument | null, revision: string) => void;
  readonly onFacts: (facts: NodeFacts) => void;
  /** Every alert that fires. */
  readonly firing: () => readonly Incident[];
  /** How the other parts of the agent are doing. */
  readonly parts: () => Readonly<Record<string, ComponentStatus>>;
}

/** The kubelet brings a Secret's files up to about a minute and a half after the ConfigMap that names them. */
const secretsComeMs = 120_000;

function factsOf({ metadata, spec }: KubeNode): NodeFacts {
  return { labels: metadata.labels ?? {}, taints: spec.taints ?? [] };
}

/** The parts that need the API server. */
interface ApiParts {
  readonly node: OwnNode;
  readonly recorder: EventRecorder;
  readonly alerts: AlertEvents;
  readonly condition: NodeCondition | null;
}

/** Everything the agent does in its cluster. */
export class Cluster {
  readonly source: ConfigMapSource;
  readonly #deps: ClusterDeps;
  readonly #keepsakes: Keepsakes;
  readonly #api: ApiParts | null;
  readonly #stopped = new AbortController();
  #knowsFacts = false;
  /** What was mounted when it was first read. */
  #mountedAtFirst: string | null = null;

  constructor(deps: ClusterDeps) {
    const { settings, clock, log, read, publish, client } = deps;
    this.#deps = deps;
    this.#keepsakes = new Keepsakes(deps.keep);
    this.source = new ConfigMapSource({
      title: `${settings.namespace}/${settings.configmap}`,
      clock,
      log,
      isWatched: client !== null,
      read,
      publish,
      rejected: (rejected) => void this.#rejected(rejected),
      keep: (content) => this.#keepsakes.saveConfig(content),
    });
    this.#api = client === null ? null : this.#apiParts(client);
  }

  get counters(): EventCounters | null {
    return this.#api?.recorder.counters ?? null;
  }

  get status(): ComponentStatus {
    const api = this.#api;
    const ofApi: Readonly<Record<string, ComponentStatus>> = {
      ...(api === null ? {} : { node: api.node.status, events: api.recorder.status }),
      ...(api?.condition ? { condition: api.condition.status } : {}),
    };
    const states = Object.entries(ofApi).map(([name, { status }]) => [name, status] as const);
    return {
      ...worstOf([this.source.status, ...Object.values(ofApi)]),
      details: { configmap: this.source.way, ...Object.fromEntries(states) },
    };
  }

  /** What is known without the API server: the mounted ConfigMap, and what was kept of an earlier run. */
  async prepare(): Promise<void> {
    this.#mountedAtFirst = fingerprint(this.#mounts);
    const facts = await this.#keepsakes.loadFacts();
    if (facts !== null) this.#tellFacts(facts);
    await this.source.recall(await this.#keepsakes.loadConfig());
    await this.#lookMounted();
  }

  start(): Running {
    const running = [...this.#followMounts(), ...this.#startApi()];
    if (this.#mountedAtFirst !== fingerprint(this.#mounts)) void this.#readAgain();
    return {
      stop: async () => {
        this.#stopped.abort();
        await Promise.all(running.map((one) => one.stop()));
        this.#deps.client?.close();
      },
    };
  }

  /** An alert fired, escalated or recovered. Never waits. */
  tell(news: AlertNews): void {
    if (this.#deps.settings.events) this.#api?.alerts.tell(news);
  }

  #apiParts(client: KubeClient): ApiParts {
    const { settings, clock, log, random, node: own, firing, parts, redact } = this.#deps;
    const common = { client, clock, log, random };
    const node = new OwnNode({
      ...common,
      name: own.name,
      onChange: (seen) => {
        this.#tellFacts(factsOf(seen));
        void this.#keepsakes.saveFacts(factsOf(seen));
      },
      onRefused: () => {
        // Nothing will ever be known: rules that ask for labels do not stand, and nobody waits for them.
        if (!this.#knowsFacts) this.#tellFacts({ labels: {}, taints: [] });
      },
    });
    const recorder = new EventRecorder({ ...common, redact, instance: own.name });
    const alerts = new AlertEvents({
      recorder,
      clock,
      node: own,
      nodeUid: () => node.current?.metadata.uid ?? null,
      pod: settings.pod,
      firing,
      parts,
    });
    const isOwn = ({ subject }: Incident): boolean => nodeId(subject.node) === nodeId(own);
    const condition = settings.nodeCondition
      ? new NodeCondition({
          ...common,
          node: own.name,
          seen: () => node.current,
          firing: () => firing().filter(isOwn),
        })
      : null;
    return { node, recorder, alerts, condition };
  }

  #tellFacts(facts: NodeFacts): void {
    this.#knowsFacts = true;
    this.#deps.onFacts(facts);
  }

  #startApi(): Running[] {
    const { client, settings, clock, random } = this.#deps;
    const api = this.#api;
    if (client === null || api === null) return [];
    const see = (sight: Sight): void => void this.source.see(sight);
    const { configmap: name, namespace } = settings;
    return [
      watchConfigMap({ client, clock, random, namespace, name, see }),
      api.node.start(),
      ...(settings.events ? [api.recorder.start(), api.alerts.start()] : []),
      ...(api.condition === null ? [] : [api.condition.start()]),
    ];
  }

  get #mounts(): string[] {
    const { configmapDir, secretsDir } = this.#deps.settings;
    return [configmapDir, secretsDir].filter((dir) => dir !== null);
  }

  /** They have changed between the first look and the followers' start. */
  async #readAgain(): Promise<void> {
    await this.#lookMounted();
    await this.source.refresh();
  }

  #followMounts(): Running[] {
    const { configmapDir, secretsDir } = this.#deps.settings;
    return [
      ...this.#follow(configmapDir, () => this.#lookMounted()),
      ...this.#follow(secretsDir, () => this.source.refresh()),
    ];
  }

  #follow(dir: string | null, onChange: () => Promise<void>): Running[] {
    const { clock, log } = this.#deps;
    const onError = (cause: unknown): void =>
      log.error("mount not read", { dir, cause: errorText(cause) });
    return dir === null ? [] : [followFiles(clock, [dir], onChange, onError)];
  }

  async #lookMounted(): Promise<void> {
    const { configmapDir: dir } = this.#deps.settings;
    try {
      await this.source.mounted(dir === null ? { kind: "no-mount" } : readMounted(dir));
    } catch (cause) {
      await this.source.unreadable(cause);
    }
  }

  async #rejected({ object, reason, mayComeRight }: Rejected): Promise<void> {
    const { clock, settings, random } = this.#deps;
    // A fleet tells it once: whoever comes first makes the Event, so not all at the same moment.
    await clock.sleep(mayComeRight ? secretsComeMs : 1_000 * random(), this.#stopped.signal);
    if (this.#stopped.signal.aborted) return;
    if (settings.events && this.source.refuses(object)) this.#api?.alerts.refused(object, reason);
  }
}
