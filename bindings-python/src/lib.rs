//! `regauth._core`: the library for Python. It converts, calls and converts; it decides nothing. Everything that reads
//! files, opens sockets or waits is Python, in `python/regauth`.
//!
//! Every class is frozen: what changes is behind a lock that is never waited for. Two threads in one flow are a mistake of
//! the program, and are told so.
#![forbid(unsafe_code)]
#![allow(missing_docs, reason = "the documentation is in python/regauth/_core.pyi, where Python looks for it")]
#![allow(unreachable_pub, unnameable_types, reason = "what is public here is so for Python")]

mod agent;
mod answer;
mod convert;
mod errors;
mod evidence;
mod exchange;
mod flow;
mod guard;
mod identity;
mod importer;
mod mint;
mod parts;
mod profile;
mod settings;
mod step;
mod tls;
mod vocabulary;
mod wake;

use pyo3::prelude::*;

/// The library for Python.
#[pymodule(gil_used = false)]
mod _core {
    #[pymodule_export]
    use crate::agent::{Agent, Endpoint, Referrer};
    #[pymodule_export]
    use crate::answer::{Head, Sent, diagnose};
    #[pymodule_export]
    use crate::evidence::{Diagnosis, Evidence};
    #[pymodule_export]
    use crate::exchange::Exchange;
    #[pymodule_export]
    use crate::flow::Flow;
    #[pymodule_export]
    use crate::guard::{Guard, Pass, Reply};
    #[pymodule_export]
    use crate::identity::Identity;
    #[pymodule_export]
    use crate::importer::{Diagnostic, Imported, import_files, is_helper_name};
    #[pymodule_export]
    use crate::mint::mint_buildkitd;
    #[pymodule_export]
    use crate::parts::{Body, Close, Connect, Link, Read, WantBody, Write};
    #[pymodule_export]
    use crate::profile::{Choice, Profile};
    #[pymodule_export]
    use crate::settings::Settings;
    #[pymodule_export]
    use crate::step::{Credentials, Done, Send, Wait};
    #[pymodule_export]
    use crate::tls::TlsClient;
    #[pymodule_export]
    use crate::vocabulary::{
        Challenge, Challenges, Flaw, Reference, Scope, covers, decide, merge_scopes, needed_scopes, origin,
        parse_challenges, read_token_answer,
    };
}
