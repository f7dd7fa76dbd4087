//! The one action that a client finds: where it is, and what it says (hawkBit DDI v1).

use crate::update::catalog::Listed;
use crate::update::progress::Installed;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use wardein_crypto::hex;
use wardein_ddkg::DeviceName;
use wardein_tuf::{Plaintext, RoleName, TargetFile, TargetPath};

/// What a client may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// `GET /TENANT/controller/v1/DEVICE`: whether there is something to do.
    Poll,
    /// `GET …/deploymentBase/ID`: what.
    Deployment,
    /// `POST …/deploymentBase/ID/feedback`
    Feedback,
    /// `GET …/softwaremodules/ID/artifacts/VERSION.swu`
    Artifact,
}

/// The action.
pub(super) struct Action {
    /// Tenant and device, as both names are in device.toml.
    root: String,
    /// Of the artifact's digest, so that what is said of another one is not taken for this. SWUpdate has 31 bits for it.
    id: u32,
    /// What is to be installed; `None` where that was done, and only its end is awaited.
    artifact: Option<(String, Artifact)>,
}

/// What is to be installed.
pub(super) struct Artifact {
    version: u64,
    label: String,
    sha1: [u8; 20],
    /// The artifact's digest, also where it is sealed: what an installation goes by.
    digest: [u8; 32],
    /// What it is judged by once more while it is handed out.
    pub(super) target: (TargetPath, TargetFile),
    pub(super) path: PathBuf,
}

impl Artifact {
    pub(super) fn of(listed: &Listed, path: &Path, sha1: [u8; 20]) -> Self {
        let (version, label) = (listed.release.version, listed.release.label.clone());
        let file = match listed.release.plaintext {
            None => listed.file.clone(),
            Some(Plaintext { length, sha256 }) => TargetFile { length, sha256, custom: None },
        };
        Self {
            version,
            label,
            sha1,
            digest: listed.file.sha256.0,
            target: (listed.path.clone(), file),
            path: path.to_owned(),
        }
    }
}

impl Action {
    pub(super) fn offering(device: &DeviceName, line: &RoleName, artifact: Artifact) -> Self {
        let id = id(&artifact.digest);
        Self { root: root(device), id, artifact: Some((line.as_str().to_owned(), artifact)) }
    }

    /// Of something that is installed already. `None` where its digest is not one.
    pub(super) fn closing(device: &DeviceName, installed: &Installed) -> Option<Self> {
        let digest: [u8; 32] = hex::decode_array(&installed.sha256)?;
        Some(Self { root: root(device), id: id(&digest), artifact: None })
    }

    /// What is to be installed.
    pub(super) fn artifact(&self) -> Option<&Artifact> {
        self.artifact.as_ref().map(|(_, artifact)| artifact)
    }

    /// What a path asks for. `None` where nothing is there: of another device or action, or something that this server does not
    /// have.
    pub(super) fn place(&self, path: &str) -> Option<Place> {
        let rest = path.strip_prefix(&self.root)?;
        if rest.is_empty() {
            return Some(Place::Poll);
        }
        let deployment = format!("/deploymentBase/{}", self.id);
        match rest.strip_prefix(&deployment) {
            Some("") => return Some(Place::Deployment),
            Some("/feedback") => return Some(Place::Feedback),
            _ => {}
        }
        let file = self.artifact().map(|artifact| self.file(artifact))?;
        (rest == file).then_some(Place::Artifact)
    }

    /// The answer to a poll.
    pub(super) fn poll(&self, base: &str) -> Value {
        let href = format!("{base}{}/deploymentBase/{}", self.root, self.id);
        json!({ "config": { "polling": { "sleep": POLLING } }, "_links": { "deploymentBase": { "href": href } } })
    }

    /// The deployment. Without chunks a client finds nothing to install, which it must not do a second time, and can still close
    /// the action.
    pub(super) fn deployment(&self, base: &str) -> Value {
        let mut deployment = json!({ "download": "forced", "update": "forced" });
        if let (Some((line, artifact)), Some(fields)) = (&self.artifact, deployment.as_object_mut()) {
            let (_, file) = &artifact.target;
            let hashes =
                json!({ "sha1": hex::encode(&artifact.sha1), "sha256": hex::encode(&file.sha256.0) });
            let href = format!("{base}{}{}", self.root, self.file(artifact));
            let listed = json!({
                "filename": format!("{}.swu", artifact.version),
                "hashes": hashes,
                "size": file.length,
                "_links": { "download-http": { "href": href } },
            });
            let chunk =
                json!({ "part": "os", "name": line, "version": artifact.label, "artifacts": [listed] });
            fields.insert("chunks".to_owned(), json!([chunk]));
        }
        json!({ "id": self.id.to_string(), "deployment": deployment })
    }

    fn file(&self, artifact: &Artifact) -> String {
        format!("/softwaremodules/{}/artifacts/{}.swu", self.id, artifact.version)
    }
}

fn root(device: &DeviceName) -> String {
    format!("/{}/controller/v1/{}", device.tenant, device.device)
}

fn id(digest: &[u8; 32]) -> u32 {
    let [first, second, third, fourth, ..] = *digest;
    u32::from_be_bytes([first, second, third, fourth]) >> 1
}

/// How long a client waits between two polls, HH:MM:SS. It is on the same device, and is asked for something whenever this serves.
const POLLING: &str = "00:00:05";
