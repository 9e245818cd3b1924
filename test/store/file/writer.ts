import { recordLog } from "../../support/log.ts";
import { RecordLog } from "../../../src/store/file/log.ts";

/** Writes numbers under changing keys until it is killed, and says what was acknowledged: `<key> <number>`. */
const [dir = "", name = "", first = "0"] = process.argv.slice(2);
const log = new RecordLog({ dir, name, log: recordLog().log, minGarbageBytes: 20_000 });
for (let n = Number(first); ; n++) {
  const keys = [`k${n % 20}`, `own${first}-${n % 7}`];
  const value = Buffer.from(`${n} `.repeat(1 + (n % 50) * 10));
  await log.write(new Map(keys.map((key) => [key, value])));
  process.stdout.write(keys.map((key) => `${key} ${n}\n`).join(""));
}
