import { admin } from "./admin.ts";
import { channels } from "./channels.ts";
import { clock } from "./clock.ts";
import { collectors } from "./collectors.ts";
import type { Check } from "./contract.ts";
import { hostProc } from "./host-proc.ts";
import { hostLogs, hostRoot, hostSys, propagation } from "./host-root.ts";
import { api, node, secrets } from "./kubernetes-api.ts";
import { configMap } from "./kubernetes-configmap.ts";
import { rights } from "./kubernetes-rights.ts";
import { token } from "./kubernetes-token.ts";
import { redis } from "./redis.ts";
import { server } from "./server.ts";
import { storageDir } from "./storage-dir.ts";

/** THE LIST of checks, in the order they are told. */
export const checks: readonly Check[] = [
  hostProc,
  hostSys,
  hostRoot,
  propagation,
  hostLogs,
  collectors,
  storageDir,
  server,
  redis,
  admin,
  channels,
  token,
  api,
  rights,
  configMap,
  secrets,
  node,
  clock,
];
