//! The server half: fifty attacks on registries and token services, each a test named after it, the findings of a public
//! review, and what a real registry asks for each route.
#![cfg(all(feature = "server", feature = "mint"))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "tests"
)]

mod attacks_on_requests;
mod attacks_on_the_issuer;
mod attacks_on_tokens;
mod certificates;
mod edges;
mod elsewhere;
mod readers;
mod review;
mod routes;
mod sentences;
mod setups;
mod support;
mod works;
