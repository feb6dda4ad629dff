//! Layer a: HTTP messages. No socket, no TLS.

mod agent;
mod cache;
#[cfg(feature = "config")]
pub(crate) mod config;
#[cfg(not(feature = "config"))]
pub mod config;
pub mod credentials;
mod endpoints;
pub mod flow;
pub mod hop;
mod members;
mod quick;
mod rules;
mod shelf;
mod slot;
pub mod token;
mod trace;

pub use agent::{Agent, Referrer};
#[cfg(feature = "config")]
pub(crate) use config::is_header;
pub use config::{Config, Host, Mode, Pair, PairKind};
#[cfg(feature = "tls")]
pub(crate) use config::{FRAMING, is_one_of, is_token, is_value};
pub use credentials::{Credentials, Found, Helper, HelperFailure, HelperUrl, Query};
pub use endpoints::{Capability, Endpoint, Rewrite, Route};
pub use flow::{Answer, Body, Dial, Flow, Headers, Outgoing, Redirects, Step, Waiting, Want};
pub use hop::Hop;
pub use rules::{Origins, Rule};
