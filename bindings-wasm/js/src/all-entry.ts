/**
 * Everything of `regauth`: layers a, b and c, and the importers of configuration files.
 *
 * A module of its own: its agents and configurations cannot be mixed with those of another entry.
 *
 * @module
 */
export * from "./importer.js";
export * from "./tls-entry.js";
