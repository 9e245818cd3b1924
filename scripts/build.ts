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

/**
 * Of the Kubernetes client only the reading of kubeconfigs and service accounts is used; requests are the agent's own.
 * The 700 models, and the libraries for what is not done with it, would be 15 MB resident. What is replaced is never
 * called; if it is after all, it says so.
 */
const credentialsOnly: Plugin = {
  name: "credentials-only",
  setup(builder) {
    const replaced: readonly (readonly [RegExp, readonly string[]])[] = [
      [
        /client-node[/\\]dist[/\\]gen[/\\]index\.js$/,
        ["createConfiguration", "ServerConfiguration"],
      ],
      [/node_modules[/\\]undici[/\\]index\.js$/, ["Agent", "ProxyAgent"]],
      [/node_modules[/\\]socks-proxy-agent[/\\]/, ["SocksProxyAgent"]],
      [/node_modules[/\\]socks[/\\]/, ["SocksClient"]],
      [/node_modules[/\\]hpagent[/\\]/, ["HttpProxyAgent", "HttpsProxyAgent"]],
      [/node_modules[/\\]openid-client[/\\]/, ["customFetch", "discovery", "refreshTokenGrant"]],
    ];
    for (const [filter, names] of replaced)
      builder.onLoad({ filter }, () => ({
        contents: names
          .map(
            (name) =>
              `export function ${name}() { throw new Error("${name} is not in this bundle"); }`,
          )
          .join("\n"),
        loader: "js",
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
  plugins: [fewMediaTypes, credentialsOnly],
  // CommonJS packages inside an ES module still say require().
  banner: {
    js: 'import{createRequire as __createRequire}from"node:module";const require=__createRequire(import.meta.url);',
  },
});
