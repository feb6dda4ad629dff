//! TLS against a rustls server in memory: no socket, no clock, no sleep.

mod matrix;
mod split;
mod world;
