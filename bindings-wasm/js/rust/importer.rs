//! Importers of configuration files: names and bytes in.

use regauth::Secret;
use regauth::config::{Directory as CoreDirectory, Entry, File, Files, Importer as Core, helper};
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};

use crate::config::{Config, roots};
use crate::error::Failed;
use crate::flow::{millis, time};

/// A directory.
#[wasm_bindgen]
pub struct Directory {
    core: CoreDirectory,
}

#[wasm_bindgen]
impl Directory {
    /// An empty one, or one that could not be read: why.
    #[wasm_bindgen(constructor)]
    pub fn new(name: String, unreadable: Option<String>) -> Self {
        let core = match unreadable {
            Some(why) => CoreDirectory::unreadable(name, why),
            None => CoreDirectory::new(name),
        };
        Self { core }
    }

    /// Adds a file.
    pub fn add(&mut self, path: &str, contents: &[u8]) {
        self.core.put(path, Entry::File(Secret::from(contents)));
    }

    /// Adds something that could not be read: why.
    pub fn unreadable(&mut self, path: &str, why: String) {
        self.core.put(path, Entry::Unreadable(why));
    }
}

/// An importer.
#[wasm_bindgen]
pub struct Importer {
    core: Option<Core>,
    files: Option<Files>,
    directories: Vec<CoreDirectory>,
}

#[wasm_bindgen]
impl Importer {
    /// One without files; without a time no certificate has expired.
    #[wasm_bindgen(constructor)]
    pub fn new(now: Option<f64>) -> Self {
        let core = Core::new();
        let core = Some(match now {
            Some(now) => core.now(time(now)),
            None => core,
        });
        Self { core, files: Some(Files::new()), directories: Vec::new() }
    }

    /// A file that configuration files name; without contents: why it could not be read.
    pub fn file(&mut self, name: String, contents: Option<Vec<u8>>, why: String) {
        if let Some(files) = &mut self.files {
            files.put(name, entry(contents, why));
        }
    }

    /// The same for a directory, which is taken.
    pub fn file_directory(&mut self, name: String, directory: Directory) {
        if let Some(files) = &mut self.files {
            files.put(name, Entry::Directory(directory.core));
        }
    }

    /// One more directory for `import_directories`; it is taken.
    pub fn directory(&mut self, directory: Directory) {
        self.directories.push(directory.core);
    }

    /// Imports those directories, in their order.
    pub fn import_directories(&mut self, format: &str) -> Result<(), Failed> {
        let all = std::mem::take(&mut self.directories);
        let importer = self.ready()?;
        match (format, all.as_slice()) {
            ("docker-certs", [one]) => importer.docker_certs(one),
            ("containers-certs", all) => importer.containers_certs(all),
            ("hosts", all) => importer.hosts(all),
            _ => return Err(unknown()),
        }
        Ok(())
    }

    /// Imports a file; without contents: why it could not be read.
    pub fn import(&mut self, format: &str, name: String, contents: Option<Vec<u8>>, why: String) -> Result<(), Failed> {
        let file = File { name, entry: entry(contents, why) };
        let importer = self.ready()?;
        match format {
            "buildkitd" => importer.buildkitd(&file),
            "registries" => importer.registries(&file),
            "regauth" => importer.regauth(&file),
            "docker-config" => importer.docker_config(&file),
            "docker-auth-config" => importer.docker_auth_config(&file),
            "auth-json" => importer.auth_json(&file),
            "kubernetes" => importer.kubernetes(&file),
            _ => return Err(unknown()),
        }
        Ok(())
    }

    /// Files that were named and not given.
    pub fn wanted(&self) -> Vec<String> {
        self.core.iter().flat_map(Core::wanted).map(str::to_string).collect()
    }

    /// The configuration, then for each diagnostic: severity, code, file, key, line or undefined, what, remedy.
    pub fn finish(&mut self, webpki: bool, pem: Vec<String>) -> Result<Vec<JsValue>, Failed> {
        let mut model = self.core.take().ok_or_else(over)?.finish();
        model.roots = roots(webpki, pem);
        let (config, found) = model.into_config();
        let mut flat = vec![JsValue::from(Config { core: config })];
        for one in found {
            flat.extend([
                one.severity.as_str().into(),
                one.code.as_str().into(),
                one.place.file.into(),
                one.place.key.into(),
                one.place.line.into(),
                one.what.into(),
                one.remedy.into(),
            ]);
        }
        Ok(flat)
    }
}

impl Importer {
    /// The importer, with the files that were given for it.
    fn ready(&mut self) -> Result<&mut Core, Failed> {
        if let Some(files) = self.files.take() {
            self.core = self.core.take().map(|core| core.files(files));
        }
        self.core.as_mut().ok_or_else(over)
    }
}

fn entry(contents: Option<Vec<u8>>, why: String) -> Entry {
    contents.map_or_else(|| Entry::Unreadable(why), |contents| Entry::File(Secret::from(contents)))
}

fn unknown() -> Failed {
    Failed::input("unknown format", "Give one of the words of the type Format.")
}

fn over() -> Failed {
    Failed::input("the import is finished", "Make a new importer.")
}

/// Reads what a credential helper printed: `none`; or kind, user, secret, until when or undefined; or `failed` and why.
#[wasm_bindgen]
pub fn helper_output(success: bool, stdout: &[u8]) -> Vec<JsValue> {
    use regauth::Credentials;
    match helper::read(success, &Secret::from(stdout)) {
        Ok(None) => vec!["none".into()],
        Err(why) => vec!["failed".into(), why.0.into()],
        Ok(Some(found)) => {
            let text = |secret: &Secret| String::from_utf8_lossy(secret.expose()).into_owned();
            let (kind, user, secret) = match &found.credentials {
                Credentials::Basic { user, password } => ("basic", user.as_str(), text(password)),
                Credentials::Refresh(secret) => ("refresh", "", text(secret)),
                Credentials::Bearer(secret) => ("bearer", "", text(secret)),
                _ => return vec!["failed".into(), "it printed credentials of an unknown kind".into()],
            };
            vec![kind.into(), user.into(), secret.into(), found.valid_until.map(millis).into()]
        }
    }
}

/// Whether a helper's name can be part of a program's name.
#[wasm_bindgen]
pub fn is_helper_name(name: &str) -> bool {
    helper::is_name(name)
}
