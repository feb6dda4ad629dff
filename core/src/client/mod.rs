//! Layer a: HTTP messages. No socket, no TLS.

pub mod hop;
