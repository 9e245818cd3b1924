/** Builds dist/targetvpc.mjs: one bundle that runs without node_modules; what is loaded late stands beside it. */
import { build, type Plugin } from "esbuild";
import { rm } from "node:fs/promises";

/**
 * Koa brings the whole registry of media types, 200 kB of JSON that stays in memory for good (7 MB resident, both
 * copies). The API answers with six of them.
 */
const mediaTypes = {
  "application/json": { extensions: ["json"], charset: "UTF-8", compressible: true },
  "application/problem+json": { compressible: true },
  "text/plain": { extensions: ["txt"], charset: "UTF-8", compressible: true },
  "text/html": { extensions: ["html"], charset: "UTF-8", compressible: true },
  "text/csv": { extensions: ["csv"], charset: "UTF-8", compressible: true },
  "application/octet-stream": { extensions: ["bin"] },
};

const fewMediaTypes: Plugin = {
  name: "few-media-types",
  setup(builder) {
    builder.onLoad({ filter: /mime-db[/\\]db\.json$/ }, () => ({
      contents: JSON.stringify(mediaTypes),
      loader: "json",
    }));
  },
};

/** Where to: `dist`, or the directory given. */
const outdir = process.argv[2] ?? "dist";
await rm(outdir, { recursive: true, force: true });
await build({
  entryPoints: { targetvpc: "src/main.ts" },
  outdir,
  outExtension: { ".js": ".mjs" },
  chunkNames: "parts/[name]-[hash]",
  bundle: true,
  splitting: true,
  minify: true,
  keepNames: true,
  sourcemap: false,
  platform: "node",
  target: "node22.19",
  format: "esm",
  legalComments: "none",
  // Its main file is a UMD wrapper that a bundler cannot follow.
  alias: { "jsonc-parser": "jsonc-parser/lib/esm/main.js" },
  plugins: [fewMediaTypes],
  // CommonJS packages inside an ES module still say require().
  banner: {
    js: 'import{createRequire as __createRequire}from"node:module";const require=__createRequire(import.meta.url);',
  },
});
