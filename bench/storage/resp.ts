type Command = readonly (string | number | Uint8Array)[];

/** A command as Redis reads it; bytes stand among text as they are. */
function encodeMixed(parts: Command): Buffer {
  const pieces: Uint8Array[] = [Buffer.from(`*${parts.length}\r\n`)];
  for (const part of parts) {
    const bytes = part instanceof Uint8Array ? part : Buffer.from(String(part));
    pieces.push(Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from("\r\n"));
  }
  return Buffer.concat(pieces);
}

/** The same of a command of text only, which is quicker. */
function encodeText(parts: Command): string {
  const texts = parts.map((part) => {
    const text = String(part);
    return `$${Buffer.byteLength(text)}\r\n${text}\r\n`;
  });
  return `*${parts.length}\r\n${texts.join("")}`;
}

/** What the agents of a fleet send each tick: bytes, and how many replies they ask for. */
export interface Message {
  readonly bytes: Buffer;
  readonly replies: number;
}

export function messageOf(commands: readonly Command[]): Message {
  const isText = commands.every((parts) => parts.every((part) => !(part instanceof Uint8Array)));
  const bytes = isText
    ? Buffer.from(commands.map(encodeText).join(""))
    : Buffer.concat(commands.map(encodeMixed));
  return { bytes, replies: commands.length };
}
