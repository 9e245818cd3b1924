import type { FileHandle } from "node:fs/promises";
import { findRecord, type RecordFound } from "./record.ts";

/** Bytes read at once; more only for a record that is longer. */
const chunkBytes = 256 * 1024;

/** Reads a part of a file; shorter where the file ends. */
export async function readPart(handle: FileHandle, from: number, bytes: number): Promise<Buffer> {
  const part = Buffer.alloc(bytes);
  let filled = 0;
  while (filled < bytes) {
    const { bytesRead } = await handle.read(part, filled, bytes - filled, from + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return part.subarray(0, filled);
}

/** Writes at a place of a file that is not only appended to. */
export async function writePart(handle: FileHandle, part: Uint8Array, at: number): Promise<void> {
  let written = 0;
  while (written < part.length)
    written += (await handle.write(part, written, part.length - written, at + written))
      .bytesWritten;
}

/** Takes a record in a buffer that begins at `base` in the file; the buffer is the taker's only meanwhile. */
export type Take = (bytes: Buffer, record: RecordFound, base: number) => void;

/**
 * Gives the good records of a part of a file to `take`. What lies between two of them is passed over and counted; what
 * comes after the last one may still be on its way.
 */
export async function scan(
  handle: FileHandle,
  { from, to }: { readonly from: number; readonly to: number },
  take: Take,
): Promise<{ readonly goodEnd: number; readonly skippedBytes: number }> {
  let base = from;
  let bytes: Buffer = Buffer.alloc(0);
  let position = 0;
  let goodEnd = from;
  let skippedBytes = 0;
  for (;;) {
    const readTo = base + bytes.length;
    const search = findRecord(bytes, position, to - readTo);
    if (search.found !== null) {
      take(bytes, search.found, base);
      skippedBytes += base + search.found.from - goodEnd;
      position = search.found.to;
      goodEnd = base + position;
      continue;
    }
    const { keepFrom, needs } = search;
    const wanted = Math.min(to - readTo, Math.max(needs - bytes.length, chunkBytes));
    const more = await readPart(handle, readTo, Math.max(wanted, 0));
    if (more.length === 0) return { goodEnd, skippedBytes };
    bytes = Buffer.concat([bytes.subarray(keepFrom), more]);
    base += keepFrom;
    position = 0;
  }
}
