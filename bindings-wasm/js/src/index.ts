/**
 * Registry authentication without I/O: one mTLS identity on every hop between a builder and an OCI registry.
 *
 * This entry is layer a: HTTP messages, for hosts with an HTTP client of their own.
 *
 * @module
 */
export * from "./agent.js";
export { Configuration, type AgentConfig, type Credentials, type HostConfig, type Identity, type Pair, type Roots } from "./config.js";
export { CapabilityError, ClosedError, RegauthError, type Capability, type Failure, type Fault, type Hop } from "./errors.js";
export {
  authFetch,
  type AuthFetch,
  type AuthFetchOptions,
  type AuthRequestInit,
  type Presented,
  type Presenter,
} from "./fetch.js";
export { Flow, Referrer, type Answer, type Found, type Query, type Send, type Step } from "./flow.js";
export { PanicError, memoryPages } from "./module.js";
/** @internal */
export { panicForTest } from "./module.js";
export * from "./words.js";
