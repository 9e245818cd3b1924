import path from "node:path";
import { loop } from "../../base/every.ts";
import { errorText } from "../../core/errors.ts";
import type { Clock, Running } from "../../core/ports.ts";
import type { Backend } from "../contract.ts";
import { type DirectoryReport, ensureDirectory } from "../directory.ts";
import { createJsonReader } from "../garbled.ts";
import { createMemoryMeter } from "../memory/meter.ts";
import type { BackendDeps, BackendPlugin } from "../plugin.ts";
import { hourMs } from "../slots.ts";
import { createFileDays } from "./days.ts";
import { createGate } from "./gate.ts";
import { createFileAcknowledgements, createFileKeys } from "./links.ts";
import type { RecordLog } from "./log.ts";
import { createFileReceipts } from "./receipts.ts";
import { createShelf } from "./shelf.ts";
import { createFileHistory } from "./history.ts";
import { createFileSilences } from "./silences.ts";
import { createFileSmall, type SmallDeps } from "./small.ts";

export interface FileSettings {
  /** `storage.dir`; the files are in a directory of their own below. */
  readonly dir: string;
  /** Who tells that it cannot be written. */
  readonly report: DirectoryReport;
}

/** Opens the store, and takes away each hour what has expired. */
function startSweeping({
  clock,
  open,
  sweep,
  onError,
}: {
  readonly clock: Clock;
  readonly open: () => Promise<void>;
  readonly sweep: () => Promise<void>;
  readonly onError: (cause: unknown) => void;
}): Running {
  const opened = open();
  const work = async (): Promise<number> => {
    await opened;
    await sweep();
    return hourMs;
  };
  return loop(clock, work, (cause) => {
    onError(cause);
    return hourMs;
  });
}

/** What is a port of its own; only the outbox and the meter are not kept in files. */
function createPorts(
  deps: SmallDeps & { readonly clock: Clock },
): Pick<
  Backend,
  "receipts" | "silences" | "history" | "acknowledgements" | "signingKeys" | "outbox" | "meter"
> {
  return {
    receipts: createFileReceipts(deps),
    silences: createFileSilences(deps),
    history: createFileHistory(deps),
    acknowledgements: createFileAcknowledgements(deps),
    signingKeys: createFileKeys(deps),
    outbox: null,
    meter: createMemoryMeter(deps.clock),
  };
}

/**
 * A backend in files below `storage.dir`: a log of blocks and columns and one of the tier for each node and day, and one
 * of everything else. Agents that follow one another may overlap: each sees what the other writes.
 */
export function createFileBackend(
  { dir, report }: FileSettings,
  { clock, log, retentionDays }: BackendDeps,
): Backend {
  const root = path.join(dir, "store");
  const gate = createGate(clock, report);
  const shelf = createShelf(log, () => {
    log.warn("stored files are gone; writing them again", { dir: root });
    gate.renew();
  });
  const place = { dir: root, name: "small" };
  const use = <T>(work: (small: RecordLog) => Promise<T>): Promise<T> => shelf.use(place, work);
  const deps = { root, clock, gate, shelf, use, retentionDays, readJson: createJsonReader(log) };
  const { days, sweep } = createFileDays(deps);
  const small = createFileSmall(deps);
  const note = (event: string) => (cause: unknown) => log.debug(event, { cause: errorText(cause) });
  const opening = (): Promise<unknown> =>
    ensureDirectory(root).then(() => use((small) => small.keys()));
  const open = (): Promise<void> =>
    gate.write("small", async () => void (await opening())).catch(note("store not opened"));
  let sweeping: Running | null = null;
  let synced: Promise<void> = Promise.resolve();
  return {
    name: "file",
    start: () => {
      sweeping = startSweeping({ clock, open, sweep, onError: note("expired files not removed") });
    },
    stop: async () => {
      const close = async (): Promise<void> => {
        await sweeping?.stop();
        await synced;
        await shelf.close();
      };
      const closed = gate.read(close).catch(note("store not closed"));
      gate.close();
      await closed;
    },
    status: () => gate.status,
    epoch: () => gate.epoch,
    ...days,
    ...small,
    heartbeat: async (info) => {
      await small.heartbeat(info);
      // Not waited for: a disk may take seconds for it.
      synced = synced.then(() => shelf.sync()).catch(note("store not synced"));
    },
    ...createPorts(deps),
  };
}

export const file = {
  name: "file",
  doc: "In files below `storage.dir` of a single server, without Redis: history survives restarts",
  create: ({ file: settings }, deps) => createFileBackend(settings, deps),
} as const satisfies BackendPlugin;
