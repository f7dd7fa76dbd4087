//! An identity's directory, and going over to what renews it while it is in use.

use crate::connect::{Connection, connect};
use crate::encrypted::opened;
use crate::error::ConnectError;
use crate::private;
use crate::tls::Identity;
use crate::way::Settings;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::Mutex;
use wardein_crypto::{Digest, SecretBytes, Sha256};

/// The operator's certificate, then its CA's: PEM.
pub const CERTIFICATE: &str = "operator.pem";
/// The operator's key: PKCS#8 in PEM.
pub const KEY: &str = "operator.key";
/// Root and infrastructure CA, which the authority's server is verified with: PEM.
pub const INFRASTRUCTURE: &str = "infrastructure.pem";

/// Where a connection's identity is from.
pub(crate) struct Source {
    directory: PathBuf,
    /// Of the key in it.
    passphrase: Option<SecretBytes>,
    endpoint: String,
    connect_timeout: Duration,
    request_timeout: Duration,
    /// The digest of the files that it was made of. Held while others are tried, so that two never go over at a time.
    of: Mutex<Digest>,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("directory", &self.directory).finish_non_exhaustive()
    }
}

struct Files {
    certificates: Vec<u8>,
    /// As the file has it.
    key: SecretBytes,
    roots: Vec<u8>,
    digest: Digest,
}

/// Reaches the authority at `endpoint` as the operator whose identity is in `directory`, as `wardein operator` makes it; its key is not
/// under a passphrase ([`ConnectError::KeyEncrypted`]). [`Connection::reload`] and [`Connection::follow`] go over to what is there later.
pub async fn connect_as(directory: &Path, endpoint: &str) -> Result<Connection, ConnectError> {
    connected(directory, endpoint, None).await
}

/// The same with a key that is under `passphrase`: 1 to 1024 bytes from a file or a descriptor of the caller's, of which one newline at the
/// end does not count. It is kept in memory, and wiped with the connection, since later keys are under it too; a key that is under none
/// is taken as well. Opening a key takes a tenth of a second of the thread that connects.
#[cfg(feature = "encrypted-keys")]
pub async fn connect_as_under(
    directory: &Path,
    endpoint: &str,
    passphrase: SecretBytes,
) -> Result<Connection, ConnectError> {
    connected(directory, endpoint, Some(passphrase)).await
}

async fn connected(
    directory: &Path,
    endpoint: &str,
    passphrase: Option<SecretBytes>,
) -> Result<Connection, ConnectError> {
    let files = Files::read(directory)?;
    let digest = files.digest;
    let settings = files.settings(directory, endpoint, passphrase.as_ref())?;
    let source = Source {
        directory: directory.to_owned(),
        passphrase,
        endpoint: endpoint.to_owned(),
        connect_timeout: settings.connect_timeout,
        request_timeout: settings.request_timeout,
        of: Mutex::new(digest),
    };
    Ok(connect(&settings).await?.with_source(source))
}

impl Connection {
    /// Goes over to the identity that is in the directory of [`connect_as`] by now, if it is another. Whether it is.
    ///
    /// Calls that began before end on the former connection; those that begin later go over one that was reached with the new
    /// identity. If that fails, as it does while files are being replaced, all goes on with the former.
    pub async fn reload(&self) -> Result<bool, ConnectError> {
        let Some(source) = self.source() else { return Ok(false) };
        let mut of = source.of.lock().await;
        let files = Files::read(&source.directory)?;
        if files.digest == *of {
            return Ok(false);
        }
        let digest = files.digest;
        let mut settings = files.settings(&source.directory, &source.endpoint, source.passphrase.as_ref())?;
        (settings.connect_timeout, settings.request_timeout) =
            (source.connect_timeout, source.request_timeout);
        self.replace(&connect(&settings).await?);
        *of = digest;
        Ok(true)
    }

    /// Looks every so often whether the directory has another identity, and goes over to it. `heard` hears of each that was taken, and of
    /// each failure. It never ends: a task of its own does it.
    pub async fn follow(self, every: Duration, mut heard: impl FnMut(Result<(), ConnectError>)) {
        loop {
            tokio::time::sleep(every).await;
            match self.reload().await {
                Ok(false) => {}
                Ok(true) => heard(Ok(())),
                Err(error) => heard(Err(error)),
            }
        }
    }
}

impl Files {
    fn read(directory: &Path) -> Result<Self, ConnectError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| ConnectError::Directory { path, source }
        };
        let read = |name: &str| {
            let path = directory.join(name);
            std::fs::read(&path).map_err(failed(&path))
        };
        let (certificates, roots) = (read(CERTIFICATE)?, read(INFRASTRUCTURE)?);
        let path = directory.join(KEY);
        let key = private::read(&path, MAX_KEY).map_err(failed(&path))?;
        let mut hash = Sha256::new();
        for part in [&certificates[..], &roots, key.expose()] {
            hash.update(&(part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Ok(Self { certificates, key, roots, digest: hash.finish() })
    }

    fn settings(
        self,
        directory: &Path,
        endpoint: &str,
        passphrase: Option<&SecretBytes>,
    ) -> Result<Settings, ConnectError> {
        let key = opened(&directory.join(KEY), self.key, passphrase)?;
        let mut settings = Settings::new(endpoint, self.roots);
        settings.identity = Some(Identity { certificates: self.certificates, key });
        Ok(settings)
    }
}

/// Many times that of a P-256 key in PEM.
const MAX_KEY: usize = 16 * 1024;
