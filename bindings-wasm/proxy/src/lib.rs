//! A proxy-wasm plugin (ABI 0.2.1) that answers the challenges of registries in a proxy: its clients need neither
//! credentials nor a certificate.
//!
//! What a request may carry, which token it needs and when that is renewed is decided by `regauth`; here host calls are
//! converted to its calls and back. From the bottom: `abi`, the host's functions; `json` and `settings`, the configuration;
//! `slots`, what all workers share; `calls`, requests of the plugin's own, one for all workers; `root`, the state of one
//! configuration; `stream`, the phases of one request; `plugin`, which root an event is for.
#![deny(unsafe_code)]

mod abi;
mod calls;
mod ids;
mod json;
mod plugin;
mod reply;
mod root;
mod settings;
mod slots;
mod stats;
mod stream;
