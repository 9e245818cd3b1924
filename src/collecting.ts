import { existsSync } from "node:fs";
import path from "node:path";
import type { Clock, ComponentStatus, Log } from "./core/ports.ts";
import { createStatus } from "./base/status.ts";
import { createHost, type LocalHost } from "./collect/host.ts";
import { collectors } from "./collect/index.ts";
import { chooseSource, portableCollectors } from "./collect/portable.ts";
import { createCollection, type Collection } from "./collect/runner.ts";
import type { StatfsLanes } from "./collect/statfs.ts";
import type { Config } from "./config/settings.ts";

/** The host and the collectors at work on it. */
export interface Collecting {
  readonly host: LocalHost;
  readonly collection: Collection;
  /** How the collectors fare as a whole; to be asked after every tick. */
  check(): ComponentStatus;
  status(): ComponentStatus;
}

export interface CollectingDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly lanes?: StatfsLanes;
}

/** Chooses between /proc and the portable collectors, and puts them to work. */
export function createCollecting(config: Config, deps: CollectingDeps): Collecting {
  const { proc, sys, root, source } = config.host;
  const host = createHost({ roots: { proc, sys, root }, ...deps });
  const chosen = chooseSource(source, process.platform, existsSync(path.join(proc, "stat")));
  if (chosen === "portable" && source === "auto" && process.platform === "linux")
    deps.log.warn("no /proc there; asking the operating system instead", { "host.proc": proc });
  const collection = createCollection({
    host,
    collectors: chosen === "proc" ? collectors : portableCollectors,
    ...deps,
  });
  const status = createStatus(deps.clock, "starting");
  return {
    host,
    collection,
    status: () => status.current,
    check: () => {
      const all = collection.status();
      const failing = all.filter(({ success }) => !success);
      const why = failing
        .map(({ name, lastError }) => `${name}: ${lastError ?? "failed"}`)
        .join("; ");
      if (failing.length === 0) status.set("ok");
      else status.set(failing.length === all.length ? "down" : "degraded", why);
      return status.current;
    },
  };
}
