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

/** Redis, which also is not well when it lacks something or clocks are apart. */
function redisStatus({ backend, drift }: Storage): ComponentStatus {
  const status = backend.status();
  const details = {
    ...status.details,
    ...(drift.problem === null ? {} : { clock: drift.problem }),
  };
  const [first] = Object.values(details);
  if (status.status !== "ok" || first === undefined) return status;
  return { ...status, status: "degraded", lastError: first, details };
}

/** The store, where it can be away; `file` is the file of the configuration. */
function storeStatus(storage: Storage): Readonly<Record<string, ComponentStatus>> {
  const { backend } = storage;
  if (backend.name === "redis") return { redis: redisStatus(storage) };
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
