//! skopeo accepts a right layout and refuses a wrong one: what makes it a judge of `pull -o`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]
#![allow(clippy::disallowed_methods, reason = "a layout is files")]

use std::fs;

use regauth_servers::{Program, Seed, TempDir, have, skopeo};

#[test]
fn skopeo_judges_layouts() {
    if !have(&[Program::Skopeo]) {
        return;
    }
    let (seed, directory) = (Seed::default(), TempDir::new("layout").unwrap());
    let layout = directory.join("layout");
    seed.image.layout(&layout).unwrap();
    let said = skopeo::inspect(&layout).unwrap();
    assert_eq!(said["Digest"], seed.image.manifest.digest);
    assert_eq!(said["Architecture"], "amd64");
    let layers: Vec<_> = seed.image.layers.iter().map(|layer| layer.digest.as_str()).collect();
    assert_eq!(said["Layers"], serde_json::json!(layers));
    assert_eq!(skopeo::manifest(&layout).unwrap(), seed.image.manifest.bytes);
    assert_eq!(skopeo::config(&layout).unwrap()["os"], "linux");

    let copy = directory.join("copy");
    skopeo::copy(&layout, &copy).unwrap();
    for blob in seed.image.blobs() {
        assert!(fs::read(copy.join(blob.hex())).unwrap() == blob.bytes, "{}", blob.digest);
    }
    let layer = layout.join("blobs/sha256").join(seed.image.layers[1].hex());
    let mut bytes = fs::read(&layer).unwrap();
    bytes[1000] ^= 1;
    fs::write(&layer, bytes).unwrap();
    let error = skopeo::copy(&layout, &directory.join("again")).unwrap_err().to_string();
    assert!(error.contains("igest"), "{error}");
}
