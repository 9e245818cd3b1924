import type { Clock, Log } from "./core/ports.ts";
import { nodeId, type NodeIdentity } from "./core/node.ts";
import type { AlertMessage } from "./core/delivery.ts";
import { createRecordsChannel } from "./admin/records.ts";
import type { AdminSettings } from "./admin/request.ts";
import { createAdminSync, type AdminSync } from "./admin/sync.ts";
import type { HttpClient } from "./base/http.ts";
import type { Config } from "./config/settings.ts";
import type { Notifier } from "./notify/notifier.ts";
import { renderMessage } from "./notify/render.ts";
import { createAnswerCache } from "./documents.ts";
import type { InForce } from "./in-force.ts";
import { parseForeignDocument } from "./settings.ts";
import { fileName, type Storage } from "./storage.ts";

export interface AdminLinkDeps {
  readonly config: Config;
  readonly node: NodeIdentity;
  readonly http: HttpClient;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
  readonly storage: Storage;
  readonly notifier: Notifier;
  readonly inForce: InForce;
}

/** The target of alert records; a configured channel of this name is refused by the notifier. */
export const recordsTarget = "admin-records";
/** Receipts of one incident that its record names. */
const recordedDeliveries = 100;

/** The `admin` part of the configuration, as its parts take it; null: there is no admin server. */
export function adminSettings(admin: Config["admin"]): AdminSettings | null {
  if (admin.base_url === null) return null;
  return {
    baseUrl: admin.base_url,
    configEndpoint: admin.config_endpoint,
    alertEndpoint: admin.alert_endpoint,
    token: admin.token,
    syncIntervalMs: admin.sync_interval * 1_000,
  };
}

/** Rules and channels from the admin server, and alert records to it; null: there is none. */
export function createAdminLink(deps: AdminLinkDeps): AdminSync | null {
  const { config, http, clock, log, random, storage, notifier, inForce } = deps;
  const { backend, local, receipts } = storage;
  const settings = adminSettings(config.admin);
  if (settings === null) return null;
  const node = (): NodeIdentity => deps.node;
  const id = nodeId(deps.node);
  const records = createRecordsChannel({
    settings,
    node,
    http,
    clock,
    describe: (message: AlertMessage) => renderMessage(message, inForce.runtime.language).title,
    deliveries: async (alert) => {
      const found = await receipts.list({ alert, limit: recordedDeliveries });
      return found.filter(({ channel }) => channel !== recordsTarget);
    },
  });
  notifier.attach(recordsTarget, "admin", records, []);
  return createAdminSync({
    settings,
    node,
    http,
    clock,
    log,
    random,
    parseDocument: parseForeignDocument,
    cache: createAnswerCache({ backend, local, file: fileName("admin", id), node: id, log }),
    onDocument: (document, revision) => inForce.book.set("admin", { document, revision }),
  });
}
