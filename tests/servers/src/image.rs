//! The image that every registry here holds: real manifests, configs and tar layers, the same bytes each time.

use std::fs;
use std::io::{Error, Result};
use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::http;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// A blob or a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// Its media type.
    pub media_type: &'static str,
    /// `sha256:` and 64 hexadecimal digits.
    pub digest: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Blob {
    fn new(media_type: &'static str, bytes: Vec<u8>) -> Self {
        let hex: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        Self { media_type, digest: format!("sha256:{hex}"), bytes }
    }

    /// The digits of its digest.
    pub fn hex(&self) -> &str {
        self.digest.strip_prefix("sha256:").unwrap_or_default()
    }

    fn json(media_type: &'static str, value: &Value) -> Self {
        Self::new(media_type, value.to_string().into_bytes())
    }

    fn descriptor(&self) -> Value {
        json!({"mediaType": self.media_type, "digest": self.digest, "size": self.bytes.len()})
    }
}

/// One image of one platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The manifest.
    pub manifest: Blob,
    /// The config.
    pub config: Blob,
    /// The layers, lowest first.
    pub layers: Vec<Blob>,
}

impl Image {
    /// An image of `architecture` whose layers hold one file each, of these sizes in bytes.
    fn new(architecture: &str, sizes: &[usize]) -> Self {
        let layers: Vec<_> =
            sizes.iter().enumerate().map(|(at, size)| Blob::new(LAYER, tar(&format!("layer-{at}"), *size))).collect();
        let diff_ids: Vec<_> = layers.iter().map(|layer| layer.digest.as_str()).collect();
        let config = Blob::json(
            CONFIG,
            &json!({
                "architecture": architecture, "os": "linux", "created": "2026-01-01T00:00:00Z",
                "config": {"Cmd": ["/bin/true"]}, "rootfs": {"type": "layers", "diff_ids": diff_ids},
            }),
        );
        let manifest = Blob::json(
            MANIFEST,
            &json!({
                "schemaVersion": 2, "mediaType": MANIFEST, "config": config.descriptor(),
                "layers": layers.iter().map(Blob::descriptor).collect::<Vec<_>>(),
            }),
        );
        Self { manifest, config, layers }
    }

    /// Writes it as an OCI image layout (OCI image specification, image-layout).
    pub fn layout(&self, to: &Path) -> Result<()> {
        let blobs = to.join("blobs/sha256");
        fs::create_dir_all(&blobs)?;
        for blob in self.blobs().chain([&self.manifest]) {
            fs::write(blobs.join(blob.hex()), &blob.bytes)?;
        }
        fs::write(to.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
        let index = json!({"schemaVersion": 2, "manifests": [self.manifest.descriptor()]});
        fs::write(to.join("index.json"), index.to_string())
    }

    /// Config and layers.
    pub fn blobs(&self) -> impl Iterator<Item = &Blob> {
        [&self.config].into_iter().chain(&self.layers)
    }
}

/// What a registry is seeded with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seed {
    /// The repository of all of it: `demo/app`.
    pub repository: &'static str,
    /// Tag `one`: linux/amd64, with three layers of about 4 KiB, 256 KiB and 3 MiB.
    pub image: Image,
    /// linux/arm64, with one layer: only in the index.
    pub other: Image,
    /// Tag `multi`: the index of both.
    pub index: Blob,
}

impl Default for Seed {
    fn default() -> Self {
        let image = Image::new("amd64", &[4 << 10, 256 << 10, 3 << 20]);
        let other = Image::new("arm64", &[8 << 10]);
        let entry = |image: &Image, architecture: &str| {
            let mut descriptor = image.manifest.descriptor();
            if let Some(object) = descriptor.as_object_mut() {
                object.insert("platform".into(), json!({"architecture": architecture, "os": "linux"}));
            }
            descriptor
        };
        let manifests = [entry(&image, "amd64"), entry(&other, "arm64")];
        let index = Blob::json(INDEX, &json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}));
        Self { repository: "demo/app", image, other, index }
    }
}

impl Seed {
    /// Pushes all of it with this token.
    pub(crate) fn push(&self, registry: SocketAddr, token: &str) -> Result<()> {
        let bearer = format!("Bearer {token}");
        for blob in self.image.blobs().chain(self.other.blobs()) {
            self.push_blob(registry, &bearer, blob)?;
        }
        self.push_manifest(registry, &bearer, &self.image.manifest, "one")?;
        self.push_manifest(registry, &bearer, &self.other.manifest, &self.other.manifest.digest)?;
        self.push_manifest(registry, &bearer, &self.index, "multi")
    }

    fn push_blob(&self, registry: SocketAddr, bearer: &str, blob: &Blob) -> Result<()> {
        let target = format!("/v2/{}/blobs/uploads/", self.repository);
        let begun = expect(202, http::send(registry, "POST", &target, &[("Authorization", bearer)], b"")?)?;
        let location = begun.field("location").ok_or_else(|| Error::other("an upload without a Location"))?;
        let separator = if location.contains('?') { '&' } else { '?' };
        let target = format!("{location}{separator}digest={}", blob.digest);
        let fields = [("Authorization", bearer), ("Content-Type", "application/octet-stream")];
        expect(201, http::send(registry, "PUT", &target, &fields, &blob.bytes)?).map(|_| ())
    }

    fn push_manifest(&self, registry: SocketAddr, bearer: &str, manifest: &Blob, reference: &str) -> Result<()> {
        let target = format!("/v2/{}/manifests/{reference}", self.repository);
        let fields = [("Authorization", bearer), ("Content-Type", manifest.media_type)];
        expect(201, http::send(registry, "PUT", &target, &fields, &manifest.bytes)?).map(|_| ())
    }
}

fn expect(status: u16, answer: http::Message) -> Result<http::Message> {
    if answer.status() == status {
        return Ok(answer);
    }
    Err(Error::other(format!("{} and not {status}: {}", answer.first, String::from_utf8_lossy(&answer.body))))
}

/// A tar archive (POSIX ustar) of one file with `size` bytes that do not compress.
fn tar(name: &str, size: usize) -> Vec<u8> {
    let mut out = header(name, size);
    // xorshift64: the same bytes on every machine.
    let mut state = 0x9e37_79b9_7f4a_7c15u64 ^ size as u64;
    while out.len() < 512 + size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend_from_slice(&state.to_le_bytes());
    }
    out.truncate(512 + size);
    // The file is padded to a block of 512, and two blocks of zeros end the archive.
    out.resize(out.len().next_multiple_of(512) + 1024, 0);
    out
}

/// The block of 512 bytes before a file.
fn header(name: &str, size: usize) -> Vec<u8> {
    let text = |checksum: &str| {
        let mut block = Vec::with_capacity(512);
        for (field, width) in [
            (name, 100),
            ("0000644", 8),
            ("0000000", 8),
            ("0000000", 8),
            (&format!("{size:011o}"), 12),
            ("00000000000", 12),
            (checksum, 8),
            ("0", 1),
            ("", 100),
            ("ustar", 6),
            ("00", 2),
        ] {
            let end = block.len() + width;
            block.extend_from_slice(field.as_bytes());
            block.resize(end, 0);
        }
        block.resize(512, 0);
        block
    };
    // The checksum is that of the block with spaces in its place.
    let sum: u32 = text("        ").iter().map(|byte| u32::from(*byte)).sum();
    text(&format!("{sum:06o}\0 "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_is_the_same_each_time() {
        let seed = Seed::default();
        assert_eq!(seed, Seed::default());
        assert_eq!(seed.image.layers.len(), 3);
        assert_eq!(seed.image.blobs().count(), 4);
        assert!(seed.image.layers[2].bytes.len() > 3 << 20);
    }

    #[test]
    fn layers_are_archives_that_tar_reads() {
        use std::io::Write as _;
        use std::process::{Command, Stdio};
        let mut tar = Command::new("tar").arg("-tvf-").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        tar.stdin.take().unwrap().write_all(&super::tar("layer-0", 1000)).unwrap();
        let output = tar.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && text.contains(" 1000 ") && text.contains("layer-0"), "{text}");
    }
}
