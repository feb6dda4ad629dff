//! Importers of configuration files. Python reads the files; see `regauth.config`.

use std::sync::Mutex;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use regauth::config::{self, Directory, Entry, Explanation, File, Files, Importer, Model};
use regauth::{Secret, Time};

use crate::convert::{self, bytes};
use crate::errors;
use crate::settings::{Settings, roots};
use crate::vocabulary::Reference;

/// A file is `bytes`, a directory a `dict`, and what cannot be read the reason as `str`.
fn entry(name: &str, given: &Bound<'_, PyAny>) -> PyResult<Entry> {
    if let Ok(why) = given.cast::<PyString>() {
        return Ok(Entry::Unreadable(why.to_string()));
    }
    if let Ok(inside) = given.cast::<PyDict>() {
        let mut directory = Directory::new(name);
        for (name, inner) in inside {
            let name: String = name.extract()?;
            let path = directory.path(&name);
            directory.put(&name, entry(&path, &inner)?);
        }
        return Ok(Entry::Directory(directory));
    }
    Ok(Entry::File(Secret::from(bytes(given)?)))
}

fn directory(name: String, given: &Bound<'_, PyAny>) -> PyResult<Directory> {
    Ok(match entry(&name, given)? {
        Entry::Directory(directory) => directory,
        Entry::Unreadable(why) => Directory::unreadable(name, why),
        _ => Directory::unreadable(name, "it is no directory"),
    })
}

/// A format, and the files or directories of one import, each with its name.
type Source<'py> = (String, Vec<(String, Bound<'py, PyAny>)>);

fn import(py: Python<'_>, importer: &mut Importer, (format, given): Source<'_>) -> PyResult<()> {
    match format.as_str() {
        "docker_certs" => {
            for (name, given) in given {
                importer.docker_certs(&directory(name, &given)?);
            }
        }
        "containers_certs" | "hosts" => {
            let all: Vec<_> =
                given.into_iter().map(|(name, given)| directory(name, &given)).collect::<PyResult<_>>()?;
            if format == "hosts" { importer.hosts(&all) } else { importer.containers_certs(&all) }
        }
        _ => {
            for (name, given) in given {
                let file = File { entry: entry(&name, &given)?, name };
                match format.as_str() {
                    "buildkitd" => importer.buildkitd(&file),
                    "registries" => importer.registries(&file),
                    "regauth" => importer.regauth(&file),
                    "docker_config" => importer.docker_config(&file),
                    "docker_auth_config" => importer.docker_auth_config(&file),
                    "auth_json" => importer.auth_json(&file),
                    "kubernetes" => importer.kubernetes(&file),
                    _ => return Err(errors::config(py, &format!("{format:?} is no format"), "See regauth.Config.")),
                }
            }
        }
    }
    Ok(())
}

/// Something that is wrong with a configuration, or would surprise: where, what, and what to do.
#[pyclass(frozen, get_all, module = "regauth")]
#[derive(Clone)]
pub struct Diagnostic {
    severity: &'static str,
    code: &'static str,
    file: String,
    key: String,
    line: Option<u32>,
    what: String,
    remedy: String,
    text: String,
}

#[pymethods]
impl Diagnostic {
    fn __str__(&self) -> &str {
        &self.text
    }

    fn __repr__(&self) -> String {
        format!("Diagnostic({:?})", self.text)
    }
}

impl From<&config::Diagnostic> for Diagnostic {
    fn from(one: &config::Diagnostic) -> Self {
        Self {
            severity: one.severity.as_str(),
            code: one.code.as_str(),
            file: one.place.file.clone(),
            key: one.place.key.clone(),
            line: one.place.line,
            what: one.what.clone(),
            remedy: one.remedy.clone(),
            text: one.to_string(),
        }
    }
}

/// What was imported.
#[pyclass(frozen, module = "regauth._core")]
pub struct Imported {
    model: Model,
    wanted: Vec<String>,
}

#[pymethods]
impl Imported {
    /// Files that were named and not given.
    #[getter]
    fn wanted(&self) -> Vec<String> {
        self.wanted.clone()
    }

    /// What is wrong with the files.
    #[getter]
    fn diagnostics(&self) -> Vec<Diagnostic> {
        self.model.clone().into_config().1.iter().map(Diagnostic::from).collect()
    }

    /// The configuration.
    fn settings(&self) -> Settings {
        Settings(Mutex::new(self.model.clone().into_config().0))
    }

    /// The text for people, and the JSON.
    #[pyo3(signature = (image, token_hosts, system, /))]
    fn explain(
        &self,
        py: Python<'_>,
        image: &Reference,
        token_hosts: Vec<String>,
        system: Option<String>,
    ) -> PyResult<(String, String)> {
        let hosts = token_hosts.iter().map(|host| convert::origin(py, host)).collect::<PyResult<Vec<_>>>()?;
        let explained = Explanation::new(self.model.clone(), &image.0, &hosts, system)
            .map_err(|error| errors::raise(py, &error))?;
        Ok((explained.text(), explained.json()))
    }

    fn __repr__(&self) -> &'static str {
        "Imported"
    }
}

/// Imports `sources` in their order. `files` are what configuration files name; what is missing of them is in `wanted`.
#[pyfunction]
#[pyo3(signature = (sources, files, ca, only_ca, now, /))]
pub fn import_files(
    py: Python<'_>,
    sources: Vec<Source<'_>>,
    files: &Bound<'_, PyDict>,
    ca: Vec<Bound<'_, PyAny>>,
    only_ca: bool,
    now: u64,
) -> PyResult<Imported> {
    let mut named = Files::new();
    for (name, given) in files {
        let name: String = name.extract()?;
        let entry = entry(&name, &given)?;
        named.put(name, entry);
    }
    let mut importer = Importer::new().now(Time(now)).files(named);
    for source in sources {
        import(py, &mut importer, source)?;
    }
    let wanted = importer.wanted().map(str::to_string).collect();
    let mut model = importer.finish();
    model.roots = roots(py, ca, only_ca)?.unwrap_or_default();
    Ok(Imported { model, wanted })
}

/// Whether a credential helper may have this name.
#[pyfunction]
#[pyo3(signature = (name, /))]
pub fn is_helper_name(name: &str) -> bool {
    config::helper::is_name(name)
}
