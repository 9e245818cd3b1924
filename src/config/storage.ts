import * as f from "./formats.ts";
import { setting } from "./setting.ts";

/** Where samples and states are kept; the names of the backends come from their list. */
export function storage(backends: readonly string[]) {
  return {
    backend: setting(
      "STORAGE_BACKEND",
      f.oneOf(backends),
      "redis",
      "`file` and `memory` never talk to Redis",
    ),
    dir: setting(
      "STORAGE_DIR",
      f.nullable(f.directory),
      null,
      "What must survive a restart without Redis; `$STATE_DIRECTORY`, else `$XDG_STATE_HOME/targetvpc`, else `~/.local/state/targetvpc`",
    ),
    backlog_max_bytes: setting(
      "STORAGE_BACKLOG_MAX_BYTES",
      f.integer(1_048_576, 1_099_511_627_776),
      67_108_864,
      "Bytes of samples kept on disk while Redis is away; then the oldest go. A week of 50 series takes 3 MB",
    ),
  };
}
