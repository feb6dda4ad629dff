//! podman's `auth.json`, which buildah, skopeo and CRI-O read too: Docker's format with credentials for paths.

use super::directory::File;
use super::docker_config::Reader;
use super::load::Importer;

impl Importer {
    /// podman's `auth.json`. A helper of `credHelpers` comes before the file, and then the longest key holds, by whole
    /// segments: `host/team/app` before `host/team` before `host`. Import several files in podman's order.
    pub fn auth_json(&mut self, file: &File) {
        self.auths(file, Reader::Podman);
    }
}
