//! Importers of configuration files, by tables: one row for each statement about a format, tagged with what it is about.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_literal,
    clippy::type_complexity
)] // tests: they run openssl, print their tables, and their tables have long types

mod bad_files;
mod buildkitd_toml;
mod certs_d;
mod credentials;
mod equal;
mod explain;
mod hard_credentials;
mod hard_hosts;
mod hard_keys;
mod helper;
mod hosts_toml;
mod look_up;
mod mutated;
mod regauth_toml;
mod registries_yaml;
mod world;
mod wrong_types;
