//! A real sshd lets in whom a visit's certificate names, at this device, while it is valid, and ends the shell with the visit.
//!
//! It runs as the user of the test, on a port of its own. Where there is no sshd the tests say so, unless `WARDEIN_SSHD=required`.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use wardein_crypto::P256SigningKey;
use wardein_device::ServiceAccess;
use wardein_pki::ssh::{SshCa, SshCertificateOrder, SshKey, revocation_list};
use wardein_testkit::{has_openssh, is_revoked, shown_certificate};

const PRINCIPAL: &str = "dev:klinik/pump-1";

struct Sshd {
    directory: tempfile::TempDir,
    signer: P256SigningKey,
    port: u16,
    daemon: Child,
    /// One of its own: what ends a visit ends all of it on the machine.
    visit: [u8; 8],
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "a test's own clock")]
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn succeeds(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn keygen(path: &Path, kind: &str) {
    succeeds(Command::new("ssh-keygen").args(["-q", "-t", kind, "-N", "", "-C", "", "-f"]).arg(path));
}

/// What differs from a good certificate.
struct Given {
    key: &'static str,
    key_id: Option<&'static str>,
    principal: &'static str,
    valid: (u64, u64),
    until: u64,
    sources: Vec<String>,
}

impl Given {
    fn good() -> Self {
        let until = now() + 600;
        Self {
            key: "eva",
            key_id: None,
            principal: PRINCIPAL,
            valid: (now() - 60, until),
            until,
            sources: Vec::new(),
        }
    }
}

impl Sshd {
    /// None where there is no sshd.
    fn start() -> Option<Self> {
        if !has_openssh() {
            return None;
        }
        // Where it runs as root it wants its directory, which a service would make.
        let _ = fs::create_dir_all("/run/sshd");
        let directory = tempfile::tempdir().unwrap();
        for key in ["host", "eva", "other"] {
            keygen(&directory.path().join(key), "ed25519");
        }
        let signer = P256SigningKey::from_pkcs8(&P256SigningKey::generate_pkcs8().unwrap()).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let at = |name: &str| directory.path().join(name).display().to_string();
        let programs = Path::new(env!("CARGO_BIN_EXE_wardein-device")).parent().unwrap().display();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nPidFile none\nUsePAM no\nStrictModes no\n\
             AuthenticationMethods publickey\nAuthorizedKeysFile none\nTrustedUserCAKeys {}\nRevokedKeys {}\n\
             AuthorizedPrincipalsFile {}\nLogLevel VERBOSE\n\
             SetEnv WARDEIN_SERVICE_DIR={} PATH={programs}:/usr/bin:/bin\n",
            at("host"),
            at("ca.pub"),
            at("revoked"),
            at("principals"),
            directory.path().display(),
        );
        fs::write(directory.path().join("sshd_config"), config).unwrap();
        let log = fs::File::create(directory.path().join("log")).unwrap();
        let daemon = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f", &at("sshd_config")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let visit = ((u64::from(std::process::id()) << 16) | u64::from(port)).to_be_bytes();
        let sshd = Self { directory, signer, port, daemon, visit };
        sshd.sync(&[]);
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < Duration::from_secs(10), "{}", sshd.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(sshd)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }

    fn ca(&self) -> SshCa {
        SshCa::new(self.signer.verifying_key())
    }

    /// As `wardein-device service sync` does with what the authority answers.
    fn sync(&self, ended: &[[u8; 8]]) {
        let ids: Vec<_> =
            ended.iter().map(|id| format!("visit:klinik/{}", wardein_crypto::hex::encode(id))).collect();
        let list = revocation_list(&self.ca(), 7, now(), ids.iter().map(String::as_str));
        let mut body = vec![1];
        for part in [self.ca().line().as_bytes(), &list, &ended.concat()] {
            body.extend((part.len() as u32).to_be_bytes());
            body.extend(part);
        }
        let device =
            wardein_ddkg::DeviceName { tenant: "klinik".parse().unwrap(), device: "pump-1".parse().unwrap() };
        ServiceAccess::decode(&body).unwrap().write(&device, self.directory.path()).unwrap();
    }

    fn certify(&self, given: &Given) {
        let key: SshKey =
            fs::read_to_string(self.path(&format!("{}.pub", given.key))).unwrap().trim().parse().unwrap();
        let id = wardein_crypto::hex::encode(&self.visit);
        let key_id = given.key_id.map_or_else(|| format!("visit:klinik/{id}"), str::to_owned);
        let command = format!(
            "wardein-device service session --visit={id} --scope=view --work-order=WO-1 --technician=eva --until={}",
            given.until
        );
        let order = SshCertificateOrder {
            key: &key,
            serial: 42,
            key_id: &key_id,
            principal: given.principal,
            valid_after: given.valid.0,
            valid_before: given.valid.1,
            force_command: &command,
            sources: &given.sources,
            verify_required: false,
        };
        let line = self.ca().certify(&self.signer, &[9; 32], &order).unwrap();
        fs::write(self.path("eva-cert.pub"), line + "\n").unwrap();
    }

    fn ssh(&self, asked: &str) -> Command {
        let mut ssh = Command::new("ssh");
        let user = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
        ssh.args(["-F", "none", "-n", "-T", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes"])
            .args(["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"])
            .arg("-i")
            .arg(self.path("eva"))
            .arg("-o")
            .arg(format!("CertificateFile={}", self.path("eva-cert.pub").display()))
            .args(["-p", &self.port.to_string(), &format!("{}@127.0.0.1", user.trim()), asked])
            .env_remove("SSH_AUTH_SOCK");
        ssh
    }

    fn tries(&self, given: &Given) -> Output {
        self.certify(given);
        self.ssh("echo in as $WARDEIN_TECHNICIAN for $WARDEIN_WORK_ORDER").output().unwrap()
    }

    fn lets_in(&self, given: &Given) -> bool {
        let output = self.tries(given);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let is_in = said == "in as eva for WO-1\n";
        assert!(is_in || !output.status.success(), "{said}");
        assert!(is_in || said.is_empty(), "{said}");
        is_in
    }
}

#[test]
fn sshd_lets_in_whom_the_certificate_names_here_and_now_and_nobody_else() {
    let Some(mut sshd) = Sshd::start() else { return };
    assert!(sshd.lets_in(&Given::good()), "{}", sshd.log());
    let (now, good) = (now(), Given::good);
    for (what, given) in [
        ("before its time", Given { valid: (now + 300, now + 900), ..good() }),
        ("after it", Given { valid: (now - 900, now - 1), ..good() }),
        ("of another device", Given { principal: "dev:klinik/pump-2", ..good() }),
        ("of another tenant's", Given { principal: "dev:other/pump-1", ..good() }),
        ("with another key", Given { key: "other", ..good() }),
        ("from elsewhere", Given { sources: vec!["192.0.2.0/24".into()], ..good() }),
        ("of a visit that is over", Given { until: now - 1, ..good() }),
    ] {
        assert!(!sshd.lets_in(&given), "{what}: {}", sshd.log());
    }
    let here = Given { sources: vec!["192.0.2.0/24".into(), "127.0.0.0/8".into()], ..good() };
    assert!(sshd.lets_in(&here), "{}", sshd.log());
    // By its bare key nobody comes in, nor by a certificate of another CA.
    fs::remove_file(sshd.path("eva-cert.pub")).unwrap();
    assert!(!sshd.ssh("true").output().unwrap().status.success());
    sshd.signer = P256SigningKey::from_pkcs8(&P256SigningKey::generate_pkcs8().unwrap()).unwrap();
    assert!(!sshd.lets_in(&good()), "{}", sshd.log());
}

#[test]
fn sshd_refuses_a_visit_that_was_ended_and_its_open_shell_ends() {
    let Some(sshd) = Sshd::start() else { return };
    sshd.certify(&Given::good());
    let marker = sshd.path("marker").display().to_string();
    // What it leaves in the background in a session of its own ends as well.
    let asked = format!("setsid sleep 99.5 & echo on > {marker}; sleep 99.4");
    let mut open = sshd.ssh(&asked).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    while !Path::new(&marker).exists() {
        assert!(began.elapsed() < Duration::from_secs(10), "{}", sshd.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    sshd.sync(&[sshd.visit]);
    let began = Instant::now();
    open.wait().unwrap();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(!is_running("99.5") && !is_running("99.4"));
    assert!(!sshd.lets_in(&Given::good()), "{}", sshd.log());
    assert!(sshd.log().contains("revoked"), "{}", sshd.log());
    // Another visit is as it was; and ssh-keygen says the same of both.
    let list = fs::read(sshd.path("revoked")).unwrap();
    let judged = || is_revoked(&list, &fs::read_to_string(sshd.path("eva-cert.pub")).unwrap());
    sshd.certify(&Given::good());
    assert!(judged());
    sshd.certify(&Given { key_id: Some("visit:klinik/ffffffffffffffff"), ..Given::good() });
    assert!(!judged());
    // Its command names the visit that was ended: by itself that is enough.
    assert!(!sshd.lets_in(&Given { key_id: Some("visit:klinik/ffffffffffffffff"), ..Given::good() }));
}

#[test]
fn an_open_shell_ends_with_the_window_of_its_visit() {
    let Some(sshd) = Sshd::start() else { return };
    let until = now() + 3;
    sshd.certify(&Given { until, valid: (now() - 60, now() + 600), ..Given::good() });
    // It does not end for being asked.
    let output = sshd.ssh("trap '' HUP TERM; while :; do sleep 0.97; done").output().unwrap();
    assert!(!output.status.success());
    assert!((until..until + 4).contains(&now()), "{} {until}", now());
    assert!(String::from_utf8_lossy(&output.stderr).contains("the visit is over"), "{output:?}");
}

#[test]
fn a_device_with_programs_for_scopes_runs_those_alone() {
    let Some(sshd) = Sshd::start() else { return };
    fs::create_dir(sshd.path("scopes")).unwrap();
    assert!(!sshd.lets_in(&Given::good()));
    let program = sshd.path("scopes/view");
    fs::write(&program, "#!/bin/sh\necho \"viewing, asked for $1\"\n").unwrap();
    succeeds(Command::new("chmod").arg("755").arg(&program));
    let output = sshd.tries(&Given::good());
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.starts_with("viewing, asked for echo in as"), "{said}");
}

#[test]
fn ssh_keygen_reads_the_certificate_as_it_was_ordered() {
    let Some(sshd) = Sshd::start() else { return };
    sshd.certify(&Given { sources: vec!["192.0.2.0/24".into()], ..Given::good() });
    let said = shown_certificate(&fs::read_to_string(sshd.path("eva-cert.pub")).unwrap());
    for part in [
        "Type: ssh-ed25519-cert-v01@openssh.com user certificate",
        "Key ID: \"visit:klinik/",
        "Serial: 42",
        PRINCIPAL,
        "force-command wardein-device service session --visit=",
        "source-address 192.0.2.0/24",
        "permit-pty",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    for never in
        ["permit-port-forwarding", "permit-agent-forwarding", "permit-X11-forwarding", "permit-user-rc"]
    {
        assert!(!said.contains(never), "{said}");
    }
}

fn is_running(argument: &str) -> bool {
    let output = Command::new("pgrep").args(["-f", &format!("sleep {argument}")]).output().unwrap();
    !output.stdout.is_empty()
}
