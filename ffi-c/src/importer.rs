//! Importers of configuration files that people have. No file is opened here: the host gives names and bytes.

use std::ffi::c_char;

use regauth::config::{Diagnostic, Directory, Entry, File, Files, Importer, Severity};
use regauth::tls::Roots;
use regauth::{Secret, Time};

use crate::config::{self, regauth_config, roots};
use crate::data::{Out, Struct, bytes, list, regauth_bytes, regauth_status, text, write};
use crate::guard::{Exclusive, Outcome, consume, exclusive, free, give, guard, guard_free};
use crate::numbers::*;

/// Reads configuration files of several formats into one configuration. Each import is one source; what an earlier one says
/// holds before a later one's. Exclusive: one thread at a time.
pub struct regauth_importer(Exclusive<State>);
exclusive!(regauth_importer, State, |_state, said| drop(said));

/// A directory of configuration files: names and contents. Exclusive: one thread at a time.
pub struct regauth_directory(Exclusive<Directory>);
exclusive!(regauth_directory, Directory, |_state, said| drop(said));

#[derive(Default)]
pub(crate) struct State {
    /// `None` once it is finished.
    importer: Option<Importer>,
    /// `None` once an import has begun.
    files: Option<Files>,
    roots: Option<Roots>,
    found: Vec<Diagnostic>,
}

/// Docker's certs.d: one directory.
pub const REGAUTH_FORMAT_DOCKER_CERTS: u32 = 1;
/// The certs.d directories of podman, buildah, skopeo and CRI-O, in their search order.
pub const REGAUTH_FORMAT_CONTAINERS_CERTS: u32 = 2;
/// containerd's host directories in the order of config_path: hosts.toml.
pub const REGAUTH_FORMAT_HOSTS: u32 = 3;
/// BuildKit's buildkitd.toml.
pub const REGAUTH_FORMAT_BUILDKITD: u32 = 4;
/// k3s's and RKE2's registries.yaml.
pub const REGAUTH_FORMAT_REGISTRIES: u32 = 5;
/// regauth.toml: pairs and everything that the other formats cannot say.
pub const REGAUTH_FORMAT_REGAUTH: u32 = 6;
/// Docker's config.json.
pub const REGAUTH_FORMAT_DOCKER_CONFIG: u32 = 7;
/// The value of DOCKER_AUTH_CONFIG, under the variable's name; before config.json.
pub const REGAUTH_FORMAT_DOCKER_AUTH_CONFIG: u32 = 8;
/// podman's auth.json.
pub const REGAUTH_FORMAT_AUTH_JSON: u32 = 9;
/// A Kubernetes image pull secret.
pub const REGAUTH_FORMAT_KUBERNETES: u32 = 10;

/// Worth knowing.
pub const REGAUTH_SEVERITY_INFO: u32 = 1;
/// Other readers of this file do something else, or something is not used.
pub const REGAUTH_SEVERITY_WARNING: u32 = 2;
/// Something that is configured cannot be used.
pub const REGAUTH_SEVERITY_ERROR: u32 = 3;

/// Something that is wrong with a configuration, or would surprise. All bytes are text without secrets, lent by the
/// importer.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct regauth_diagnostic {
    /// sizeof(regauth_diagnostic), set by the caller.
    pub struct_size: usize,
    /// REGAUTH_SEVERITY_*.
    pub severity: u32,
    /// The line, from 1; 0 where the format gives none.
    pub line: u32,
    /// The file.
    pub file: regauth_bytes,
    /// The key in it, dotted; empty for the file as a whole.
    pub key: regauth_bytes,
    /// What kind: a stable name in words with hyphens, such as "missing-file".
    pub code: regauth_bytes,
    /// One sentence: what is so.
    pub what: regauth_bytes,
    /// One sentence: what to do.
    pub remedy: regauth_bytes,
}

// SAFETY: numbers and pointers, the first is the size.
unsafe impl Struct for regauth_diagnostic {}

impl State {
    /// The importer, with the files that were given for it.
    fn importer(&mut self) -> Result<&mut Importer, regauth_status> {
        if let Some(files) = self.files.take() {
            self.importer = self.importer.take().map(|importer| importer.files(files));
        }
        self.importer.as_mut().ok_or(REGAUTH_MISUSE)
    }

    fn import(&mut self, format: u32, file: &File) -> Outcome {
        let importer = self.importer()?;
        match format {
            REGAUTH_FORMAT_BUILDKITD => importer.buildkitd(file),
            REGAUTH_FORMAT_REGISTRIES => importer.registries(file),
            REGAUTH_FORMAT_REGAUTH => importer.regauth(file),
            REGAUTH_FORMAT_DOCKER_CONFIG => importer.docker_config(file),
            REGAUTH_FORMAT_DOCKER_AUTH_CONFIG => importer.docker_auth_config(file),
            REGAUTH_FORMAT_AUTH_JSON => importer.auth_json(file),
            REGAUTH_FORMAT_KUBERNETES => importer.kubernetes(file),
            _ => return Err(REGAUTH_INPUT.into()),
        }
        Ok(())
    }

    /// The files, as long as no import has begun.
    fn files(&mut self) -> Result<&mut Files, regauth_status> {
        self.files.as_mut().ok_or(REGAUTH_MISUSE)
    }
}

/// An importer without files. `now` is Unix milliseconds, at which certificates are looked at; 0: none has expired then.
/// On REGAUTH_OK `*out` is the caller's to free. Any thread. Errors: NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_importer_new(now: u64, out: *mut *mut regauth_importer) -> regauth_status {
    guard_free(std::ptr::null_mut(), || {
        let out = Out::new(out)?;
        let importer = if now == 0 { Importer::new() } else { Importer::new().now(Time(now)) };
        out.put(give(State { importer: Some(importer), files: Some(Files::new()), ..State::default() }));
        Ok(())
    })
}

/// Sets the certificate authorities that those of the files are added to: `mode` is one of REGAUTH_ROOTS_*, `pem` are
/// copied. Errors: NULL, INPUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_importer_roots(
    importer: *mut regauth_importer,
    mode: u32,
    pem: *const regauth_bytes,
    pem_len: usize,
) -> regauth_status {
    guard(importer, |state| {
        state.roots = roots(mode, pem, pem_len)?;
        Ok(())
    })
}

/// Gives a file that configuration files name, exactly as it was wanted, before the first import; it is copied. Errors:
/// NULL, INPUT, MISUSE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_importer_file(
    importer: *mut regauth_importer,
    name: *const c_char,
    name_len: usize,
    contents: *const c_char,
    contents_len: usize,
) -> regauth_status {
    guard(importer, |state| {
        let contents = Secret::from(bytes(contents.cast(), contents_len)?);
        state.files()?.put(text(name, name_len)?, Entry::File(contents));
        Ok(())
    })
}

/// The same for a directory, which is taken, also on an error. Errors: NULL, INPUT, MISUSE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_importer_file_directory(
    importer: *mut regauth_importer,
    name: *const c_char,
    name_len: usize,
    directory: *mut regauth_directory,
) -> regauth_status {
    let taken = consume(directory);
    guard(importer, |state| {
        state.files()?.put(text(name, name_len)?, Entry::Directory(taken?));
        Ok(())
    })
}

/// The same for one that could not be read: `why` in the words of the system. Errors: NULL, INPUT, MISUSE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_importer_file_unreadable(
    importer: *mut regauth_importer,
    name: *const c_char,
    name_len: usize,
    why: *const c_char,
    why_len: usize,
) -> regauth_status {
    guard(importer, |state| {
        let why = text(why, why_len)?.into();
        state.files()?.put(text(name, name_len)?, Entry::Unreadable(why));
        Ok(())
    })
}

/// Imports a file: `format` is one of REGAUTH_FORMAT_BUILDKITD to _KUBERNETES; `name` is its path, as people are to read it
/// and as the names in it are relative to. What is wrong with it becomes a diagnostic. Errors: NULL, INPUT, and MISUSE after
/// the end.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_importer_import(
    importer: *mut regauth_importer,
    format: u32,
    name: *const c_char,
    name_len: usize,
    contents: *const c_char,
    contents_len: usize,
) -> regauth_status {
    guard(importer, |state| {
        let contents = Secret::from(bytes(contents.cast(), contents_len)?);
        state.import(format, &File { name: text(name, name_len)?.into(), entry: Entry::File(contents) })
    })
}

/// The same for a file that is there and could not be read, which is never the same as none: `why` in the words of the
/// system. Errors: NULL, INPUT, MISUSE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_importer_import_unreadable(
    importer: *mut regauth_importer,
    format: u32,
    name: *const c_char,
    name_len: usize,
    why: *const c_char,
    why_len: usize,
) -> regauth_status {
    guard(importer, |state| state.import(format, &File::unreadable(text(name, name_len)?, text(why, why_len)?)))
}

/// Imports directories in their search order: `format` is one of REGAUTH_FORMAT_DOCKER_CERTS (exactly one), _CONTAINERS_CERTS
/// and _HOSTS. They are taken, also on an error. Errors: NULL, INPUT, MISUSE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_importer_import_directories(
    importer: *mut regauth_importer,
    format: u32,
    directories: *const *mut regauth_directory,
    directories_len: usize,
) -> regauth_status {
    let taken: Result<Vec<Result<Directory, regauth_status>>, regauth_status> =
        list(directories, directories_len).map(|all| all.iter().map(|one| consume(*one)).collect());
    guard(importer, |state| {
        let all = taken?.into_iter().collect::<Result<Vec<Directory>, _>>()?;
        let importer = state.importer()?;
        match (format, all.as_slice()) {
            (REGAUTH_FORMAT_DOCKER_CERTS, [one]) => importer.docker_certs(one),
            (REGAUTH_FORMAT_CONTAINERS_CERTS, all) => importer.containers_certs(all),
            (REGAUTH_FORMAT_HOSTS, all) => importer.hosts(all),
            _ => return Err(REGAUTH_INPUT.into()),
        }
        Ok(())
    })
}

/// A file or directory, by its index, that was named and not given; lent until the next import. Run the imports once with
/// a first importer, read what it wants, and run them again with a second one that is given all of that. Errors: NULL, and
/// NONE for an index that is too large.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_importer_wanted(
    importer: *const regauth_importer,
    index: usize,
    out: *mut regauth_bytes,
) -> regauth_status {
    guard(importer, |state| {
        let out = Out::new(out)?;
        let importer = state.importer.as_ref().ok_or(REGAUTH_MISUSE)?;
        out.put(regauth_bytes::lend(importer.wanted().nth(index).ok_or(REGAUTH_NONE)?.as_bytes()));
        Ok(())
    })
}

/// Makes the configuration, to which more may be added; the diagnostics stay here. It is made whatever they say: where an
/// identity or credentials cannot be used, requests to that host fail, and never go out without. On REGAUTH_OK `*out` is
/// the caller's to free. Errors: NULL, and MISUSE the second time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_importer_finish(
    importer: *mut regauth_importer,
    out: *mut *mut regauth_config,
) -> regauth_status {
    guard(importer, |state| {
        let out = Out::new(out)?;
        let mut model = state.importer.take().ok_or(REGAUTH_MISUSE)?.finish();
        if let Some(roots) = state.roots.take() {
            model.roots = roots;
        }
        let (config, found) = model.into_config();
        (state.found, state.files) = (found, None);
        out.put(give(config::State { config, ..config::State::default() }));
        Ok(())
    })
}

/// A diagnostic by its index, after regauth_importer_finish. Errors: NULL, INPUT, and NONE for an index that is too large.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_importer_diagnostic(
    importer: *const regauth_importer,
    index: usize,
    out: *mut regauth_diagnostic,
) -> regauth_status {
    guard(importer, |state| {
        let one = state.found.get(index).ok_or(REGAUTH_NONE)?;
        let lend = |text: &str| regauth_bytes::lend(text.as_bytes());
        let diagnostic = regauth_diagnostic {
            struct_size: 0,
            severity: match one.severity {
                Severity::Error => REGAUTH_SEVERITY_ERROR,
                Severity::Warning => REGAUTH_SEVERITY_WARNING,
                _ => REGAUTH_SEVERITY_INFO,
            },
            line: one.place.line.unwrap_or(0),
            file: lend(&one.place.file),
            key: lend(&one.place.key),
            code: lend(one.code.as_str()),
            what: lend(&one.what),
            remedy: lend(&one.remedy),
        };
        Ok(write(out, &diagnostic)?)
    })
}

/// Frees an importer; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_importer_free(importer: *mut regauth_importer) {
    free(importer);
}

/// An empty directory; `name` is its path, as people are to read it. On REGAUTH_OK `*out` is the caller's to free, or to
/// give to an importer. Any thread. Errors: NULL, INPUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_directory_new(
    name: *const c_char,
    name_len: usize,
    out: *mut *mut regauth_directory,
) -> regauth_status {
    guard_free(std::ptr::null_mut(), || {
        let out = Out::new(out)?;
        out.put(give(Directory::new(text(name, name_len)?)));
        Ok(())
    })
}

/// Adds a file, which is copied; a `/` in its path makes the directories between. Errors: NULL, INPUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_directory_add(
    directory: *mut regauth_directory,
    path: *const c_char,
    path_len: usize,
    contents: *const c_char,
    contents_len: usize,
) -> regauth_status {
    guard(directory, |directory| {
        let contents = Secret::from(bytes(contents.cast(), contents_len)?);
        directory.put(text(path, path_len)?, Entry::File(contents));
        Ok(())
    })
}

/// Says that something in it could not be read, or, with an empty path, the directory itself: `why` in the words of the
/// system. Errors: NULL, INPUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_directory_unreadable(
    directory: *mut regauth_directory,
    path: *const c_char,
    path_len: usize,
    why: *const c_char,
    why_len: usize,
) -> regauth_status {
    guard(directory, |directory| {
        let (path, why) = (text(path, path_len)?, text(why, why_len)?.to_string());
        if path.is_empty() {
            *directory = Directory::unreadable(std::mem::take(&mut directory.name), why);
        } else {
            directory.put(path, Entry::Unreadable(why));
        }
        Ok(())
    })
}

/// Frees a directory; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_directory_free(directory: *mut regauth_directory) {
    free(directory);
}
