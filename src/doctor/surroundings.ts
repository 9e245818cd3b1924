import type { NodeIdentity } from "../core/node.ts";
import type { Clock, Log } from "../core/ports.ts";
import { createHttpClient, type HttpClient } from "../base/http.ts";
import { createRedactor, type Redactor } from "../base/secret.ts";
import { createCollecting, type Collecting } from "../collecting.ts";
import type { Config } from "../config/settings.ts";
import { identify } from "../identity.ts";
import { apiAccess } from "../kubernetes-link.ts";
import type { Settings } from "../settings.ts";
import { askAdmin, type AdminSight } from "./see-admin.ts";
import { readConfigMap, type ConfigMapSight } from "./see-configmap.ts";
import { createApiServer, type ApiServer, type ApiSight } from "./see-api.ts";
import { createRedisProbe, type RedisSight } from "./see-redis.ts";
import { Waits } from "./waits.ts";

export interface SurroundingsDeps {
  readonly settings: Settings;
  readonly clock: Clock;
  readonly stateDir: string;
  /** Real test messages are to be sent. */
  readonly send: boolean;
}

/** What several checks look at is asked once, by whoever comes first. */
export interface Surroundings extends SurroundingsDeps {
  readonly config: Config;
  readonly node: NodeIdentity;
  readonly waits: Waits;
  readonly http: HttpClient;
  readonly collecting: Collecting;
  readonly redactor: Redactor;
  /** Null: there is no cluster, or the API server is not to be asked. */
  readonly cluster: ApiServer | null;
  readonly redis: () => Promise<RedisSight>;
  readonly admin: () => Promise<AdminSight>;
  readonly api: () => Promise<ApiSight>;
  readonly configMap: () => Promise<ConfigMapSight>;
  /** Calls that may hold up a normal exit. */
  stuckCalls(): number;
  close(): Promise<void>;
}

/** The checks speak for themselves. */
const silent: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** How long one question to a server may take; a check may have to ask two, one after the other. */
export const askMs = 5_000;

function once<T>(work: () => Promise<T>): () => Promise<T> {
  let asked: Promise<T> | null = null;
  return () => (asked ??= work());
}

/** What the checks look at; nothing is asked before somebody does. */
export function createSurroundings(deps: SurroundingsDeps): Surroundings {
  const { settings, clock } = deps;
  const { config } = settings;
  const waits = new Waits(clock);
  const http = createHttpClient();
  const redactor = createRedactor();
  redactor.learn([config, settings.document]);
  const collecting = createCollecting(config, { clock, log: silent });
  const node = identify(config, collecting.host);
  const access = apiAccess(config.kubernetes);
  const cluster = access === null ? null : createApiServer(access, clock);
  const probe = createRedisProbe(config, { clock, log: silent });
  const api = once(async (): Promise<ApiSight> => (await cluster?.look(waits)) ?? { kind: "off" });
  const configMap = once(() => readConfigMap({ config: config.kubernetes, cluster, waits, api }));
  return {
    ...deps,
    config,
    node,
    waits,
    http,
    collecting,
    redactor,
    cluster,
    redis: once(() => probe.look()),
    admin: once(() => askAdmin({ config, node, http, clock })),
    api,
    configMap,
    stuckCalls: () => waits.leftBehind + collecting.host.stuckCalls(),
    close: async () => {
      await probe.close();
      cluster?.client.close();
      http.close();
    },
  };
}
