/**
 * Layer a of `regauth` and the importers of configuration files: Docker, containerd, BuildKit, k3s, podman, Kubernetes.
 *
 * A module of its own: its agents and configurations cannot be mixed with those of another entry.
 *
 * @module
 */
export * from "./importer.js";
export * from "./index.js";
