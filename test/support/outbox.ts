import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import type { ReceiptPort, SharedOutbox } from "../../src/core/delivery.ts";
import type { Clock, Log } from "../../src/core/ports.ts";
import { createLocalFiles } from "../../src/store/local.ts";
import { createAgentOutbox, type AgentOutbox } from "../../src/store/outbox.ts";

const dirs: string[] = [];

/** A directory that is gone after the tests of the file. */
export function outboxDir(): string {
  const dir = mkdtempSync(path.join(os.tmpdir(), "outbox-"));
  dirs.push(dir);
  return dir;
}

/** The outbox of one agent; those with the same directory are of one agent after another. */
export function openOutbox(deps: {
  readonly clock: Clock;
  readonly log: Log;
  readonly receipts: ReceiptPort;
  readonly shared?: SharedOutbox | null;
  readonly dir?: string;
}): AgentOutbox {
  const { clock, log, dir = outboxDir() } = deps;
  return createAgentOutbox({
    ...deps,
    shared: deps.shared ?? null,
    local: createLocalFiles(dir, { log, clock }),
    file: "outbox.json",
  });
}

process.on("exit", () => {
  for (const dir of dirs) rmSync(dir, { recursive: true, force: true });
});
