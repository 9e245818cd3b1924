/** A bundler gives a lazily imported CommonJS package only a default export; through a module of ours the names stay. */
export { parseDocument } from "yaml";
