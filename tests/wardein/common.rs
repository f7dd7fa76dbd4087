//! The real binary, serving an authority of its own.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;
use wardein_client::{Connection, Identity, Settings, connect, number, time, v1};
use wardein_crypto::{P256SigningKey, SecretBytes};
use wardein_device::Remote;
use wardein_pki::{Csr, pem};

/// The real binary, with an authority of its own.
pub(crate) struct Served {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) home: PathBuf,
    pub(crate) endpoint: String,
    pub(crate) http: String,
    pub(crate) identity_key: [u8; 65],
    /// A variable of its processes.
    env: Option<(&'static str, PathBuf)>,
    child: Option<Child>,
}

impl Served {
    pub(crate) async fn found() -> Self {
        Self::found_with(&[]).await
    }

    /// With more options for `wardein init`.
    pub(crate) async fn found_with(options: &[&str]) -> Self {
        Self::found_in(options, None).await
    }

    /// The same with a variable in the environment of its processes.
    pub(crate) async fn found_in(options: &[&str], env: Option<(&'static str, PathBuf)>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let [listen, http] = [free_port(), free_port()].map(|port| format!("127.0.0.1:{port}"));
        let home = directory.path().join("authority");
        let status = Command::new(env!("CARGO_BIN_EXE_wardein"))
            .args(["init", "--trust-domain", "wardein.test", "--listen", &listen, "--http", &http])
            .arg("--dir")
            .arg(&home)
            .arg("--key-file")
            .arg(directory.path().join("root.key"))
            .args(options)
            .envs(env.clone())
            .stdout(Stdio::null())
            .status();
        assert!(status.unwrap().success());
        let identity_key = pem::read_public_key(&read(&home.join("identity.pub"))).unwrap().verifying_key().0;
        let endpoint = format!("https://{listen}");
        let mut served = Self { directory, home, endpoint, http, identity_key, env, child: None };
        served.start().await;
        let tenant = v1::CreateTenantRequest { tenant: "klinik".into() };
        served.admin().await.admin().create_tenant(tenant).await.unwrap();
        served
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.home.clone()
    }

    pub(crate) async fn start(&mut self) {
        self.start_with(Stdio::null()).await;
    }

    /// The same with another place for the log.
    pub(crate) async fn start_with(&mut self, stderr: Stdio) {
        self.start_by(Command::new(env!("CARGO_BIN_EXE_wardein")), stderr).await;
    }

    /// The same by `command`, which runs the binary with what is added here.
    pub(crate) async fn start_by(&mut self, mut command: Command, stderr: Stdio) {
        let child = command
            .arg("serve")
            .arg("--config")
            .arg(self.home().join("wardein.toml"))
            .envs(self.env.clone())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn();
        self.child = Some(child.unwrap());
        for _ in 0..600 {
            if connect(&self.settings()).await.is_ok() {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
        unreachable!("the server did not come up in half a minute");
    }

    /// What it logs, where that was piped.
    pub(crate) fn stderr(&mut self) -> ChildStderr {
        self.child.as_mut().and_then(|child| child.stderr.take()).unwrap()
    }

    /// The body of `path` on the HTTP port.
    pub(crate) async fn http_get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.http).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: wardein\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    /// The process that serves.
    pub(crate) fn id(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Ends it in order, by SIGTERM.
    pub(crate) fn terminate(&mut self) {
        let mut child = self.child.take().unwrap();
        let id = child.id().to_string();
        assert!(Command::new("sh").args(["-c", "kill -TERM $1", "sh", &id]).status().unwrap().success());
        assert!(child.wait().unwrap().success());
    }

    pub(crate) fn roots(&self) -> String {
        read(&self.home().join("infrastructure.pem"))
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings::new(self.endpoint.clone(), self.roots().into_bytes())
    }

    pub(crate) fn remote(&self) -> Remote {
        Remote::new(&self.endpoint, &self.roots())
    }

    pub(crate) async fn admin(&self) -> Connection {
        connect(&Settings { identity: Some(self.admin_identity()), ..self.settings() }).await.unwrap()
    }

    pub(crate) fn admin_identity(&self) -> Identity {
        let (certificates, key) =
            (read(&self.home().join("admin.pem")), read(&self.home().join("admin.key")));
        Identity { certificates: certificates.into_bytes(), key: SecretBytes::from_vec(key.into()) }
    }

    pub(crate) async fn issue(&self, role: &str, quota: u64) -> Identity {
        self.issue_one("klinik", role, quota).await
    }

    /// An identity of a role in a tenant.
    pub(crate) async fn issue_in(&self, tenant: &str, role: &str) -> Identity {
        self.issue_one(tenant, role, 0).await
    }

    async fn issue_one(&self, tenant: &str, role: &str, quota: u64) -> Identity {
        let pkcs8 = P256SigningKey::generate_pkcs8().unwrap();
        let csr = Csr::create(&P256SigningKey::from_pkcs8(&pkcs8).unwrap()).unwrap();
        let (role, tenant, name) = (number::<v1::Role>(role), tenant.to_owned(), "line-1".to_owned());
        let validity = time::span(86_400);
        let order = v1::IssueOperatorRequest { role, tenant, name, csr, validity, quota };
        let issued = self.admin().await.admin().issue_operator(order).await.unwrap().into_inner();
        let key = pem::encode_private_key(pkcs8.expose()).unwrap();
        Identity { certificates: issued.certificate_pem.into_bytes(), key }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.kill();
        }
    }
}

pub(crate) fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "a test's own clock")]
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// `wardein` with `args`, run to its end.
pub(crate) fn wardein(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wardein")).args(args).stdin(Stdio::null()).output().unwrap()
}

/// The answer to a platform that asks about a device that is not there: its identity is good.
pub(crate) fn answered(output: &Output) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(5) && said.contains("the verdict is unknown"), "{said}");
}

/// The binary `wardein-device`, which is another package's; it is built where it is not there or not current.
///
/// As cargo builds it for that package's own tests, beside all others: where those ran too it is there, and where it is not, what they were
/// built with stays.
///
/// Cargo is asked once: it takes a second, and waits where another one builds.
pub(crate) fn wardein_device() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(build_wardein_device).clone()
}

fn build_wardein_device() -> PathBuf {
    let ours = Path::new(env!("CARGO_BIN_EXE_wardein"));
    let mut build = Command::new(env!("CARGO"));
    // What cargo says of this package: build scripts, ring's among them, run again where it changes, and all that rests on them is built
    // again, here and after the tests.
    for (name, _) in std::env::vars_os() {
        let bytes = name.as_encoded_bytes();
        if bytes.starts_with(b"CARGO_MANIFEST_") || bytes.starts_with(b"CARGO_PKG_") {
            build.env_remove(name);
        }
    }
    build.args(["test", "--locked", "--offline", "--quiet", "--workspace", "--test", "device", "--no-run"]);
    if cfg!(feature = "tpm") {
        build.arg("--all-features");
    }
    build.arg("--target-dir").arg(ours.ancestors().nth(2).unwrap());
    // The folder is named after the profile, but for that of tests.
    let profile = ours.parent().and_then(Path::file_name).unwrap();
    if profile != "debug" {
        build.arg("--profile").arg(profile);
    }
    assert!(build.status().unwrap().success());
    ours.with_file_name("wardein-device")
}

/// A file system of its own, where that may be had.
pub(crate) struct Mount(PathBuf);

impl Mount {
    pub(crate) fn tmpfs(at: &Path, size: &str) -> Option<Self> {
        let size = format!("size={size}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).output();
        let is_mounted = mounted.is_ok_and(|mounted| mounted.status.success());
        if !is_mounted {
            eprintln!("SKIPPED: it needs to mount a tmpfs, which is refused here");
        }
        is_mounted.then(|| Self(at.to_owned()))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: a service of a failed test may still have it open.
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}
