import type { ComponentStatus } from "./core/ports.ts";
import type { AdminSync } from "./admin/sync.ts";
import type { Notifier } from "./notify/notifier.ts";
import type { Collecting } from "./collecting.ts";
import type { Storage } from "./storage.ts";

/** The parts of the agent that can be well or not, but for its link to the cluster. */
export interface HealthParts {
  readonly storage: Storage;
  readonly collecting: Collecting;
  readonly admin: AdminSync | null;
  readonly notifier: Notifier;
}

/** A part that nobody has switched on. */
export function switchedOff(sinceMs: number): ComponentStatus {
  return { status: "disabled", sinceMs, lastError: null };
}

/** The store, where it can be away; `file` is the file of the configuration. */
function storeStatus({ backend }: Storage): Readonly<Record<string, ComponentStatus>> {
  if (backend.name === "redis") return { redis: backend.status() };
  return backend.name === "file" ? { storage: backend.status() } : {};
}

/** How each part is doing; a part that is not there is missing. */
export function partsStatus({
  storage,
  collecting,
  admin,
  notifier,
}: HealthParts): Readonly<Record<string, ComponentStatus>> {
  return {
    collect: collecting.status(),
    ...storeStatus(storage),
    ...(admin === null ? {} : { admin: admin.status() }),
    channels: notifier.health(),
  };
}
