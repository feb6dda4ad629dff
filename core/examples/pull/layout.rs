//! An OCI image layout on disk. Blobs come first, each under another name until it is whole; `index.json`, without which
//! a directory is no layout, comes last. A failed pull takes away what it wrote.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::digest::Digest;
use crate::failure::{Exit, Failure};
use crate::manifest::Descriptor;

/// A layout that is being written.
#[derive(Debug)]
pub(crate) struct Layout {
    root: PathBuf,
    /// The directory was made here.
    made: bool,
    finished: bool,
}

/// A blob that is being written.
#[derive(Debug)]
pub(crate) struct Part {
    file: File,
    here: PathBuf,
    whole: PathBuf,
}

impl Layout {
    /// Begins one in a directory that is new or empty.
    pub(crate) fn create(root: &Path) -> Result<Self, Failure> {
        let unwritable = |error| Failure::unwritable(root, &error);
        let made = match fs::read_dir(root).map(|mut entries| entries.next().is_none()) {
            Ok(true) => false,
            Ok(false) => {
                let what = format!("{} is there and not empty", root.display());
                return Err(Failure::new(Exit::Input, what, "Name a new directory, or an empty one (-o)."));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir(root).map_err(unwritable)?;
                true
            }
            Err(error) => return Err(unwritable(error)),
        };
        let layout = Self { root: root.into(), made, finished: false };
        fs::create_dir(layout.root.join("blobs")).map_err(unwritable)?;
        Ok(layout)
    }

    /// Begins a blob.
    pub(crate) fn blob(&self, digest: &Digest) -> Result<Part, Failure> {
        let directory = self.root.join("blobs").join(digest.algorithm());
        let whole = directory.join(digest.hex());
        let here = directory.join(format!(".{}.partial", digest.hex()));
        let open = || {
            fs::create_dir_all(&directory)?;
            OpenOptions::new().write(true).create(true).truncate(true).open(&here)
        };
        let file = open().map_err(|error| Failure::unwritable(&here, &error))?;
        Ok(Part { file, here, whole })
    }

    /// Writes a whole blob.
    pub(crate) fn put(&self, digest: &Digest, content: &[u8]) -> Result<(), Failure> {
        let mut part = self.blob(digest)?;
        part.write(content)?;
        part.finish()
    }

    /// Ends it: now it is a layout, of this one image.
    pub(crate) fn finish(mut self, manifest: &Descriptor, name: Option<&str>) -> Result<(), Failure> {
        let mut entry = json!({
            "mediaType": manifest.media_type, "digest": manifest.digest.to_string(), "size": manifest.size,
        });
        if let Some(object) = entry.as_object_mut() {
            if let Some(platform) = &manifest.platform {
                let mut value = json!({"os": platform.os, "architecture": platform.architecture});
                if let (Some(variant), Some(object)) = (&platform.variant, value.as_object_mut()) {
                    object.insert("variant".into(), variant.as_str().into());
                }
                object.insert("platform".into(), value);
            }
            if let Some(name) = name {
                object.insert("annotations".into(), json!({"org.opencontainers.image.ref.name": name}));
            }
        }
        let index = json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [entry],
        });
        for (name, text) in
            [("oci-layout", json!({"imageLayoutVersion": "1.0.0"}).to_string()), ("index.json", index.to_string())]
        {
            let (here, whole) = (self.root.join(format!(".{name}.partial")), self.root.join(name));
            let file = File::create(&here).map_err(|error| Failure::unwritable(&here, &error))?;
            let mut part = Part { file, here, whole };
            part.write(text.as_bytes())?;
            part.finish()?;
        }
        self.finished = true;
        Ok(())
    }
}

impl Drop for Layout {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        for name in ["index.json", "oci-layout", ".index.json.partial", ".oci-layout.partial"] {
            _ = fs::remove_file(self.root.join(name));
        }
        _ = fs::remove_dir_all(self.root.join("blobs"));
        if self.made {
            _ = fs::remove_dir(&self.root);
        }
    }
}

impl Part {
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.file.write_all(bytes).map_err(|error| Failure::unwritable(&self.here, &error))
    }

    /// Begins again.
    pub(crate) fn restart(&mut self) -> Result<(), Failure> {
        let result = self.file.set_len(0).and_then(|()| self.file.rewind());
        result.map_err(|error| Failure::unwritable(&self.here, &error))
    }

    /// It is whole: on the disk, and under its name.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        let result = self.file.sync_all().and_then(|()| fs::rename(&self.here, &self.whole));
        result.map_err(|error| Failure::unwritable(&self.here, &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::directory;

    fn manifest(content: &[u8]) -> Descriptor {
        Descriptor {
            media_type: "application/vnd.oci.image.manifest.v1+json".into(),
            digest: Digest::of(content),
            size: content.len() as u64,
            urls: Vec::new(),
            platform: Some("linux/arm/v7".parse().unwrap()),
        }
    }

    #[test]
    fn it_is_a_layout_only_at_the_end() {
        let directory = directory("layout");
        let root = directory.join("out");
        let layout = Layout::create(&root).unwrap();
        layout.put(&Digest::of(b"{}"), b"{}").unwrap();
        assert!(!root.join("index.json").exists() && !root.join("oci-layout").exists());
        layout.finish(&manifest(b"{}"), Some("one")).unwrap();
        let index: serde_json::Value = serde_json::from_slice(&fs::read(root.join("index.json")).unwrap()).unwrap();
        assert_eq!(index["manifests"][0]["platform"]["variant"], "v7");
        assert_eq!(index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"], "one");
        assert_eq!(fs::read(root.join("blobs/sha256").join(Digest::of(b"{}").hex())).unwrap(), b"{}");
        assert_eq!(fs::read_dir(&root).unwrap().count(), 3, "nothing else is left");
    }

    #[test]
    fn a_failed_pull_leaves_nothing() {
        let directory = directory("failed");
        let root = directory.join("out");
        let layout = Layout::create(&root).unwrap();
        layout.put(&Digest::of(b"{}"), b"{}").unwrap();
        layout.blob(&Digest::of(b"half")).unwrap().write(b"ha").unwrap();
        drop(layout);
        assert!(!root.exists());

        let empty = directory.join("empty");
        fs::create_dir(&empty).unwrap();
        drop(Layout::create(&empty).unwrap());
        assert_eq!(fs::read_dir(&empty).unwrap().count(), 0, "the directory was there before");

        fs::write(empty.join("mine"), "").unwrap();
        assert_eq!(Layout::create(&empty).unwrap_err().exit, Exit::Input);
        assert!(empty.join("mine").exists());
        assert_eq!(Layout::create(&directory.join("no/such")).unwrap_err().exit, Exit::Files);
    }

    #[test]
    fn a_blob_can_begin_again() {
        let directory = directory("part");
        let layout = Layout::create(&directory.join("out")).unwrap();
        let digest = Digest::of(b"new");
        let mut part = layout.blob(&digest).unwrap();
        part.write(b"old and long").unwrap();
        part.restart().unwrap();
        part.write(b"new").unwrap();
        part.finish().unwrap();
        assert_eq!(fs::read(directory.join("out/blobs/sha256").join(digest.hex())).unwrap(), b"new");
    }
}
