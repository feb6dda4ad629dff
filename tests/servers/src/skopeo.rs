//! skopeo: a judge of OCI image layouts (OCI image specification, image-layout), and a client that is not ours.

use std::io::{Error, Result};
use std::path::Path;

use serde_json::Value;

use crate::process::Program;

/// What `skopeo inspect` says about the one image of the layout in `layout`: `Digest`, `Layers`, `Architecture` and so
/// on.
pub fn inspect(layout: &Path) -> Result<Value> {
    let text = run(&["inspect", "--no-tags"], &[&oci(layout)])?;
    serde_json::from_slice(&text).map_err(Error::other)
}

/// The manifest or the index of the layout, byte for byte.
pub fn manifest(layout: &Path) -> Result<Vec<u8>> {
    run(&["inspect", "--raw"], &[&oci(layout)])
}

/// The config of the image.
pub fn config(layout: &Path) -> Result<Value> {
    let text = run(&["inspect", "--config"], &[&oci(layout)])?;
    serde_json::from_slice(&text).map_err(Error::other)
}

/// Copies the image to `to`, a directory that need not exist: every blob is read and its digest checked. The files are
/// named by the hexadecimal digits of the digests, beside `manifest.json`.
pub fn copy(layout: &Path, to: &Path) -> Result<()> {
    run(&["--insecure-policy", "copy", "--quiet"], &[&oci(layout), &format!("dir:{}", to.display())]).map(|_| ())
}

/// Pushes the image of a layout to `image` (`host:port/name:tag`), without credentials, with the certificates of
/// `certs` (`ca.crt`, `client.cert`, `client.key`).
pub fn push(layout: &Path, image: &str, certs: &Path) -> Result<()> {
    let certs = certs.display().to_string();
    // Without the first of these it would compress the layers.
    let options = ["--preserve-digests", "--dest-no-creds", "--dest-cert-dir", &certs];
    let options = [&["--insecure-policy", "copy", "--quiet"][..], &options].concat();
    run(&options, &[&oci(layout), &format!("docker://{image}")]).map(|_| ())
}

/// Pulls `image` into the directory `to`, as [`push`] pushes and as [`copy`] writes.
pub fn pull(image: &str, to: &Path, certs: &Path) -> Result<()> {
    let certs = certs.display().to_string();
    let options = ["--insecure-policy", "copy", "--quiet", "--src-no-creds", "--src-cert-dir", &certs];
    run(&options, &[&format!("docker://{image}"), &format!("dir:{}", to.display())]).map(|_| ())
}

fn oci(layout: &Path) -> String {
    format!("oci:{}", layout.display())
}

fn run(arguments: &[&str], more: &[&str]) -> Result<Vec<u8>> {
    let output = Program::Skopeo.command()?.args(arguments).args(more).output()?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let text = String::from_utf8_lossy(&output.stderr);
    Err(Error::other(format!("skopeo {}: {text}", arguments.join(" "))))
}
