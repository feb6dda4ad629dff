//! Layer a: HTTP messages. No socket, no TLS.

mod agent;
mod cache;
pub mod config;
pub mod credentials;
pub mod flow;
pub mod hop;
mod quick;
mod shelf;
mod slot;
pub mod token;
mod trace;

pub use agent::{Agent, Referrer};
pub use config::{Config, Host, Mode, Pair, PairKind};
pub use credentials::{Credentials, Found, HelperFailure, Query};
pub use flow::{Answer, Body, Dial, Flow, Headers, Outgoing, Redirects, Step, Waiting, Want};
pub use hop::Hop;
