//! The image that the demonstration pulls: a manifest, a config and three layers, the same bytes each time.

use serde_json::{Value, json};

use crate::digest::Digest;

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// The sizes of the files in the layers.
const SIZES: [usize; 3] = [64 << 10, 1 << 20, 4 << 20];

/// All of it.
pub(crate) struct Image {
    pub(crate) manifest: Vec<u8>,
    pub(crate) digest: Digest,
    /// Config and layers.
    pub(crate) blobs: Vec<(Digest, Vec<u8>)>,
}

impl Image {
    pub(crate) fn new() -> Self {
        let layers: Vec<_> = (1..).zip(SIZES).map(|(number, size)| tar(&format!("layer-{number}"), size)).collect();
        let layers: Vec<_> = layers.into_iter().map(|bytes| (Digest::of(&bytes), bytes)).collect();
        let ids: Vec<_> = layers.iter().map(|(digest, _)| digest.to_string()).collect();
        let config = json!({
            "architecture": "amd64", "os": "linux", "created": "2026-01-01T00:00:00Z",
            "config": {"Cmd": ["/bin/true"]}, "rootfs": {"type": "layers", "diff_ids": ids},
        });
        let config = config.to_string().into_bytes();
        let config = (Digest::of(&config), config);
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor(CONFIG, &config),
            "layers": layers.iter().map(|layer| descriptor(LAYER, layer)).collect::<Vec<_>>(),
        });
        let manifest = manifest.to_string().into_bytes();
        let mut blobs = vec![config];
        blobs.extend(layers);
        Self { digest: Digest::of(&manifest), manifest, blobs }
    }

    pub(crate) fn blob(&self, digest: &str) -> Option<&[u8]> {
        self.blobs.iter().find(|(known, _)| known.to_string() == digest).map(|(_, bytes)| bytes.as_slice())
    }
}

fn descriptor(media_type: &str, (digest, bytes): &(Digest, Vec<u8>)) -> Value {
    json!({"mediaType": media_type, "digest": digest.to_string(), "size": bytes.len()})
}

/// A tar archive (POSIX ustar) of one file that does not compress.
fn tar(name: &str, size: usize) -> Vec<u8> {
    let header = |checksum: &str| {
        let mut block = Vec::with_capacity(512);
        let fields = [
            (name, 100),
            ("0000644", 8),
            ("0000000", 8),
            ("0000000", 8),
            (&format!("{size:011o}"), 12),
            ("00000000000", 12),
            (checksum, 8),
            ("0", 101),
            ("ustar", 6),
            ("00", 2),
        ];
        for (field, width) in fields {
            let end = block.len() + width;
            block.extend_from_slice(field.as_bytes());
            block.resize(end, 0);
        }
        block.resize(512, 0);
        block
    };
    // The checksum is that of the block with spaces in its place.
    let sum: u32 = header("        ").iter().map(|byte| u32::from(*byte)).sum();
    let mut out = header(&format!("{sum:06o}\0 "));
    let mut state = 0x9e37_79b9_7f4a_7c15u64 ^ size as u64;
    while out.len() < 512 + size {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend_from_slice(&state.to_le_bytes());
    }
    out.truncate(512 + size);
    // The file is padded to a block, and two blocks of zeros end the archive.
    out.resize(out.len().next_multiple_of(512) + 1024, 0);
    out
}
