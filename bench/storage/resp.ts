/** A command as Redis reads it. */
export function encodeCommand(parts: readonly (string | number | Uint8Array)[]): Buffer {
  const pieces: Uint8Array[] = [Buffer.from(`*${parts.length}\r\n`)];
  for (const part of parts) {
    const bytes = part instanceof Uint8Array ? part : Buffer.from(String(part));
    pieces.push(Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from("\r\n"));
  }
  return Buffer.concat(pieces);
}

/** What the agents of a fleet send each tick: bytes, and how many replies they ask for. */
export interface Message {
  readonly bytes: Buffer;
  readonly replies: number;
}

export function messageOf(
  commands: readonly (readonly (string | number | Uint8Array)[])[],
): Message {
  return { bytes: Buffer.concat(commands.map(encodeCommand)), replies: commands.length };
}
