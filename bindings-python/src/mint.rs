//! Short-lived certificates.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use regauth::mint;

use crate::convert::time;
use crate::errors;

/// The files by name, until when they hold, and the commands that use them, each with what it is.
type Minted<'py> = (Bound<'py, PyDict>, u64, Vec<(&'static str, String)>);

/// Makes a CA, and server, client and health-check certificates of it: the files by name, until when they hold, and the
/// commands that use them.
#[pyfunction]
#[pyo3(signature = (names, uri, ttl, entropy, directory, port, /, *, now=None))]
#[allow(clippy::too_many_arguments, reason = "they are a command's options")]
pub fn mint_buildkitd<'py>(
    py: Python<'py>,
    names: Vec<String>,
    uri: Option<&str>,
    ttl: u64,
    entropy: [u8; 32],
    directory: &str,
    port: u16,
    now: Option<u64>,
) -> PyResult<Minted<'py>> {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let bundle = mint::buildkitd(&names, uri, time(now), ttl, &entropy)
        .map_err(|error| errors::config(py, &error.to_string(), "See regauth mint --help."))?;
    let files = PyDict::new(py);
    for (name, contents) in &bundle.files {
        files.set_item(name, PyBytes::new(py, contents.expose()))?;
    }
    Ok((files, bundle.not_after.0, bundle.commands(directory, port)))
}
