/**
 * Ends the process even while calls hang in libuv's thread pool: a normal exit waits for its threads, for ever when
 * one is stuck in a dead mount (libuv's `uv_library_shutdown` joins them). Becoming another program does not wait.
 */
export function exitNow(code: number, stuckCalls: number): never {
  if (stuckCalls > 0 && typeof process.execve === "function")
    process.execve(process.execPath, [process.execPath, "-e", `process.exit(${code})`], {});
  if (stuckCalls > 0) process.kill(process.pid, "SIGKILL");
  process.exit(code);
}
