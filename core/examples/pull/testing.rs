//! What the tests of this program share.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory that is removed with all that is in it.
pub(crate) struct Directory(PathBuf);

pub(crate) fn directory(name: &str) -> Directory {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("regauth-pull-{name}-{}-{count}", std::process::id()));
    std::fs::create_dir(&path).unwrap();
    Directory(path)
}

impl Directory {
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.0);
    }
}
