import { promisify } from "node:util";
import { brotliCompress, brotliDecompressSync, constants } from "node:zlib";
import { AgentError, errorText } from "../../core/errors.ts";

const compress = promisify(brotliCompress);

/** The window is as big as the input, within these: beyond 8 kB it makes columns no smaller, and only costs memory. */
const windowBits = { min: constants.BROTLI_MIN_WINDOW_BITS, max: 13 };

/** Compresses in the thread pool; quality 0–11. */
export function pack(bytes: Uint8Array, quality: number): Promise<Uint8Array> {
  const bits = Math.ceil(Math.log2(bytes.length + 16));
  return compress(bytes, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: quality,
      [constants.BROTLI_PARAM_LGWIN]: Math.min(windowBits.max, Math.max(windowBits.min, bits)),
      [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
    },
  });
}

/** Throws BLOCK_INVALID on what is no such stream, is followed by more, or would be longer than `maxLength`. */
export function unpack(packed: Uint8Array, maxLength: number): Uint8Array {
  try {
    // With `info` the result has this form, which the types of Node leave out.
    const { buffer, engine } = brotliDecompressSync(packed, {
      // Zero would be no limit.
      maxOutputLength: Math.max(1, maxLength),
      info: true,
    }) as unknown as { buffer: Buffer; engine: { bytesWritten: number } };
    if (engine.bytesWritten === packed.length) return buffer;
  } catch (cause) {
    throw new AgentError("BLOCK_INVALID", `cannot be unpacked: ${errorText(cause)}`, { cause });
  }
  throw new AgentError("BLOCK_INVALID", "has bytes after its end");
}
