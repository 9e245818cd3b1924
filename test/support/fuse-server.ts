/**
 * A filesystem of nothing but its sizes, which speaks the protocol of /dev/fuse on the open file it inherits as its
 * fourth descriptor. It runs as its own process, so that a test can stop it with SIGSTOP as a dead server would be.
 */
import { readSync, writeSync } from "node:fs";

/** From <linux/fuse.h>, protocol 7.31. */
const operation = {
  forget: 2,
  getattr: 3,
  statfs: 17,
  init: 26,
  interrupt: 36,
  destroy: 38,
  batchForget: 42,
};
const ENOSYS = 38;
const device = 3;

/** 1,000,000 blocks of 4 KiB: 600,000 free, 500,000 of them to ordinary users; 1,000 inodes, 750 free. */
const sizes = {
  blocks: 1_000_000,
  bfree: 600_000,
  bavail: 500_000,
  files: 1_000,
  ffree: 750,
  bsize: 4_096,
};

function initReply(): Buffer {
  const reply = Buffer.alloc(64);
  reply.writeUInt32LE(7, 0);
  reply.writeUInt32LE(31, 4);
  reply.writeUInt32LE(65_536, 20);
  return reply;
}

/** Attributes of the root directory, which is all there is. */
function attributes(): Buffer {
  const reply = Buffer.alloc(104);
  reply.writeBigUInt64LE(1n, 16);
  reply.writeUInt32LE(0o040755, 16 + 60);
  reply.writeUInt32LE(2, 16 + 64);
  return reply;
}

function statfs(): Buffer {
  const reply = Buffer.alloc(80);
  const { blocks, bfree, bavail, files, ffree, bsize } = sizes;
  [blocks, bfree, bavail, files, ffree].forEach((value, i) =>
    reply.writeBigUInt64LE(BigInt(value), i * 8),
  );
  reply.writeUInt32LE(bsize, 40);
  reply.writeUInt32LE(255, 44);
  reply.writeUInt32LE(bsize, 48);
  return reply;
}

function answer(opcode: number): Buffer | number {
  switch (opcode) {
    case operation.init:
      return initReply();
    case operation.getattr:
      return attributes();
    case operation.statfs:
      return statfs();
    default:
      return -ENOSYS;
  }
}

const unanswered = new Set([
  operation.forget,
  operation.batchForget,
  operation.interrupt,
  operation.destroy,
]);

function serve(): void {
  const request = Buffer.alloc(256 * 1024);
  for (;;) {
    try {
      readSync(device, request);
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      if (code === "ENODEV") return; // unmounted
      if (code === "ENOENT" || code === "EINTR" || code === "EAGAIN") continue; // the asker has gone
      throw cause;
    }
    const opcode = request.readUInt32LE(4);
    if (unanswered.has(opcode)) continue;
    const body = answer(opcode);
    const payload = typeof body === "number" ? Buffer.alloc(0) : body;
    const head = Buffer.alloc(16);
    head.writeUInt32LE(16 + payload.length, 0);
    head.writeInt32LE(typeof body === "number" ? body : 0, 4);
    head.writeBigUInt64LE(request.readBigUInt64LE(8), 8);
    try {
      writeSync(device, Buffer.concat([head, payload]));
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== "ENOENT") throw cause; // interrupted meanwhile
    }
  }
}

serve();
