import { unreachable } from "../core/errors.ts";
import type { Backend } from "./contract.ts";
import { file } from "./file/index.ts";
import { memory } from "./memory/index.ts";
import type { BackendDeps, BackendPlugin, StoreSettings } from "./plugin.ts";
import { redis } from "./redis/index.ts";

/** THE LIST of storage backends. */
export const backends = [memory, redis, file] as const satisfies readonly BackendPlugin[];

/** What `storage.backend` may be. */
export type BackendName = (typeof backends)[number]["name"];

/** Makes the backend of a name; it does nothing until it is started. */
export function createBackend(
  name: BackendName,
  settings: StoreSettings,
  deps: BackendDeps,
): Backend {
  const plugin = backends.find((one) => one.name === name);
  return plugin === undefined ? unreachable(name as never) : plugin.create(settings, deps);
}
