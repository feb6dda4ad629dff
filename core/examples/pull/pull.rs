//! A pull: manifest, perhaps out of an index, then config and layers in parallel.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use regauth::{Origin, Reference};

use crate::blob::{self, mismatch};
use crate::digest::Digest;
use crate::failure::Failure;
use crate::fetch;
use crate::host::Host;
use crate::layout::Layout;
use crate::manifest::{self, ACCEPT, Descriptor, Document, MAX_MANIFEST};
use crate::platform::Platform;
use crate::progress::Progress;

/// Blobs at one time; containerd's and Docker's default.
const PARALLEL: usize = 3;

/// What is pulled, and from where.
pub(crate) struct Image<'a> {
    pub(crate) origin: &'a Origin,
    pub(crate) name: &'a Reference,
    pub(crate) platform: Platform,
}

/// What was pulled.
#[derive(Debug)]
pub(crate) struct Pulled {
    pub(crate) manifest: Descriptor,
    pub(crate) blobs: usize,
    pub(crate) bytes: u64,
}

impl Image<'_> {
    /// A URL of the image's repository.
    pub(crate) fn url(&self, rest: &str) -> String {
        format!("{}/v2/{}/{rest}", self.origin, self.name.repository())
    }
}

/// Pulls an image, into a layout if there is one. `pull` is the number of the pull, for the table.
pub(crate) fn pull(
    host: &Host,
    pull: u32,
    image: &Image<'_>,
    layout: Option<&Layout>,
    progress: &Progress,
) -> Result<Pulled, Failure> {
    let digest = image.name.digest().and_then(Digest::parse);
    let (bytes, mut found, document) = document(host, pull, image, image.name.reference(), digest.as_ref())?;
    let (bytes, blobs) = match document {
        Document::Image(blobs) => (bytes, blobs),
        Document::Index(list) => {
            let chosen = manifest::choose(&list, &image.platform).map_err(|failure| Failure {
                what: format!("{} (registry at {})", failure.what, image.origin),
                ..failure
            })?;
            let reference = chosen.digest.to_string();
            let (bytes, manifest, document) = self::document(host, pull, image, &reference, Some(&chosen.digest))?;
            found = Descriptor { platform: chosen.platform, ..manifest };
            match document {
                Document::Image(blobs) => (bytes, blobs),
                Document::Index(_) => {
                    let what = "the index names another index for this platform";
                    return Err(Failure::new(crate::failure::Exit::Refused, what, "Name the image by its digest."));
                }
            }
        }
    };
    if let Some(layout) = layout {
        layout.put(&found.digest, &bytes)?;
    }
    pull_blobs(host, pull, image, &blobs, layout, progress)?;
    Ok(Pulled { manifest: found, blobs: blobs.len(), bytes: blobs.iter().map(|blob| blob.size).sum() })
}

/// A manifest or an index, checked by the digest that it was asked for by, or by the one that the registry says it has.
fn document(
    host: &Host,
    pull: u32,
    image: &Image<'_>,
    reference: &str,
    digest: Option<&Digest>,
) -> Result<(Vec<u8>, Descriptor, Document), Failure> {
    let url = image.url(&format!("manifests/{reference}"));
    let flow = host.agent.request("GET", &url).map_err(|error| Failure::of(&error, None))?;
    let what = format!("the manifest of {}", image.name);
    let answer = fetch::document(host, pull, flow, ACCEPT, &what, MAX_MANIFEST)?;
    let said = answer.digest.as_deref().and_then(Digest::parse);
    let place = format!(" (registry at {})", image.origin);
    for want in [digest, said.as_ref()].into_iter().flatten() {
        if !want.is_of(&answer.bytes) {
            return Err(mismatch(format!("the manifest is not what the digest {} says{place}", want.short())));
        }
    }
    let (media_type, document) = manifest::read(&answer.bytes, &answer.content_type)
        .map_err(|failure| Failure { what: format!("{}{place}", failure.what), ..failure })?;
    let own = digest.cloned().or(said).unwrap_or_else(|| Digest::of(&answer.bytes));
    let size = answer.bytes.len() as u64;
    let found = Descriptor { media_type, digest: own, size, urls: Vec::new(), platform: None };
    Ok((answer.bytes, found, document))
}

fn pull_blobs(
    host: &Host,
    pull: u32,
    image: &Image<'_>,
    blobs: &[Descriptor],
    layout: Option<&Layout>,
    progress: &Progress,
) -> Result<(), Failure> {
    let (next, stop, failed) = (AtomicUsize::new(0), AtomicBool::new(false), Mutex::new(None));
    let work = || {
        while let Some(blob) = blobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let bar = progress.bar(&blob.digest.short(), blob.size);
            if let Err(failure) = blob::fetch(host, pull, image, blob, layout, &bar, &stop) {
                let mut first = failed.lock().unwrap_or_else(PoisonError::into_inner);
                // The others fail because of this one.
                if !stop.swap(true, Ordering::Relaxed) {
                    *first = Some(failure);
                }
                return;
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..PARALLEL.min(blobs.len()) {
            scope.spawn(work);
        }
    });
    failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}
