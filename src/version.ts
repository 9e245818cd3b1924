import manifest from "../package.json" with { type: "json" };

/** The agent's version, as in package.json. */
export const version: string = manifest.version;
