//! Envoy with the plugin in front of nginx and distribution v3, which want a certificate and a token.
#![allow(clippy::unwrap_used, clippy::panic)]

mod clients;
mod containerd;
mod down;
mod example;
mod faults;
mod generated;
mod pulls;
mod support;
mod validate;
