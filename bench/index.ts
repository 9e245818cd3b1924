/** Runs a benchmark by its name, or all of them: `npm run bench -- agent`. Each prints its figures and its rival's. */
import { agent } from "./agent.ts";
import { delivery } from "./delivery.ts";
import { storage } from "./storage.ts";

const benches: Readonly<Record<string, () => Promise<void>>> = { agent, delivery, storage };

const wanted = process.argv.slice(2);
for (const name of wanted.length > 0 ? wanted : Object.keys(benches)) {
  const run = benches[name];
  if (run === undefined)
    throw new Error(`no benchmark "${name}"; known: ${Object.keys(benches).join(", ")}`);
  console.log(`# ${name}`);
  await run();
}
