//! Manifests and indexes, OCI's and Docker's.

use serde_json::Value;

use crate::digest::Digest;
use crate::failure::{Exit, Failure};
use crate::platform::Platform;

/// What is asked for: an image, or an index of images.
pub(crate) const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json, \
    application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.docker.distribution.manifest.list.v2+json";
/// The longest manifest; the registry's own limit.
pub(crate) const MAX_MANIFEST: u64 = 4 << 20;

/// A reference to content.
#[derive(Clone, Debug)]
pub(crate) struct Descriptor {
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    /// Where a foreign layer can be had.
    pub(crate) urls: Vec<String>,
    pub(crate) platform: Option<Platform>,
}

/// A document of a registry.
#[derive(Debug)]
pub(crate) enum Document {
    /// Config and layers, in order and each one once.
    Image(Vec<Descriptor>),
    Index(Vec<Descriptor>),
}

/// Reads one. The media type in it counts, else that of the answer.
pub(crate) fn read(bytes: &[u8], content_type: &str) -> Result<(String, Document), Failure> {
    let value: Value = serde_json::from_slice(bytes).map_err(|_| malformed("it is no JSON"))?;
    let own = value.get("mediaType").and_then(Value::as_str);
    let media_type = own.unwrap_or(content_type).to_string();
    let document = if let Some(list) = value.get("manifests").and_then(Value::as_array) {
        Document::Index(list.iter().map(descriptor).collect::<Result<_, _>>()?)
    } else if let (Some(config), Some(layers)) = (value.get("config"), value.get("layers").and_then(Value::as_array)) {
        let mut blobs: Vec<Descriptor> = Vec::new();
        for blob in [config].into_iter().chain(layers) {
            let blob = descriptor(blob)?;
            if !blobs.iter().any(|other| other.digest == blob.digest) {
                blobs.push(blob);
            }
        }
        Document::Image(blobs)
    } else {
        return Err(malformed("it is neither an image nor an index (Docker's schema 1 is not read)"));
    };
    Ok((media_type, document))
}

/// The image for a platform.
pub(crate) fn choose(list: &[Descriptor], want: &Platform) -> Result<Descriptor, Failure> {
    let fits = |entry: &&Descriptor| entry.platform.as_ref().is_some_and(|have| want.takes(have));
    list.iter().find(fits).cloned().ok_or_else(|| {
        let have: Vec<_> = list.iter().filter_map(|entry| entry.platform.as_ref()).map(ToString::to_string).collect();
        let what = format!("the index has no image for {want}; it has {}", have.join(", "));
        Failure::new(Exit::Input, what, "Name one of those with --platform.")
    })
}

fn descriptor(value: &Value) -> Result<Descriptor, Failure> {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let digest = text("digest").and_then(Digest::parse).ok_or_else(|| malformed("a digest in it is none"))?;
    let size = value.get("size").and_then(Value::as_u64).ok_or_else(|| malformed("a size in it is none"))?;
    let platform = value.get("platform").and_then(|platform| {
        let text = |name: &str| platform.get(name).and_then(Value::as_str).map(str::to_string);
        Some(Platform { os: text("os")?, architecture: text("architecture")?, variant: text("variant") })
    });
    let urls = value.get("urls").and_then(Value::as_array).into_iter().flatten();
    Ok(Descriptor {
        media_type: text("mediaType").unwrap_or("application/octet-stream").into(),
        digest,
        size,
        urls: urls.filter_map(Value::as_str).map(str::to_string).collect(),
        platform,
    })
}

fn malformed(why: &str) -> Failure {
    Failure::new(
        Exit::Refused,
        format!("the registry's manifest cannot be used: {why}"),
        "Push the image again with a current tool.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_that_is_there_twice_is_pulled_once() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let one = |digest: &Digest| format!(r#"{{"mediaType":"x","digest":"{digest}","size":1}}"#);
        let text = format!(r#"{{"config":{},"layers":[{},{},{}]}}"#, one(&a), one(&b), one(&b), one(&a));
        let (media_type, document) = read(text.as_bytes(), "application/json").unwrap();
        assert_eq!(media_type, "application/json");
        let Document::Image(blobs) = document else { panic!("an image") };
        assert_eq!(blobs.iter().map(|blob| &blob.digest).collect::<Vec<_>>(), [&a, &b]);
    }

    #[test]
    fn what_cannot_be_used_is_said() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"schemaVersion":1,"fsLayers":[]}"#,
            r#"{"config":{"digest":"sha256:../x","size":1},"layers":[]}"#,
            r#"{"manifests":[{"digest":"sha256:0","size":1}]}"#,
        ] {
            assert_eq!(read(text.as_bytes(), "").unwrap_err().exit, Exit::Refused, "{text}");
        }
    }
}
