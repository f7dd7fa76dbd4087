//! A PostgreSQL server of the tests' own, as the machine's packages have it, or of the release in the directory that
//! `WARDEIN_POSTGRES_BIN` names.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// A running server, on a Unix socket and with trust in all of this machine. It ends, and its files go, when this is dropped or the
/// process ends, however it does.
pub struct Postgres {
    /// A shell, which ends the server when its input ends.
    keeper: Child,
    bin: PathBuf,
    /// Where `psql` and `pg_isready` are.
    clients: PathBuf,
    folder: PathBuf,
    port: u16,
}

impl Postgres {
    /// A new one; `None` if the Debian package `postgresql` is not here.
    ///
    /// # Panics
    ///
    /// If it does not start; and if it is not here although the environment says `WARDEIN_POSTGRES=required`, or names its
    /// directory.
    pub fn start() -> Option<Self> {
        let Some((bin, clients)) = binaries() else {
            let is_required = std::env::var_os("WARDEIN_POSTGRES").is_some_and(|value| value == "required");
            assert!(!is_required, "PostgreSQL is not installed: apt-get install postgresql");
            eprintln!("SKIPPED: PostgreSQL is not installed");
            return None;
        };
        let made = as_postgres(Path::new("mktemp")).args(["-d", "-t", "wardein-pg.XXXXXX"]).output().unwrap();
        let folder = PathBuf::from(String::from_utf8(made.stdout).unwrap().trim_end());
        let data = folder.join("data");
        let made = as_postgres(&bin.join("initdb"))
            .args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync", "-D"])
            .arg(&data)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let keeper = keep(&bin, &folder, &[]);
        let mut server = Self { keeper, bin, clients, folder, port: PORT };
        assert!(server.is_up(), "PostgreSQL does not start: {}", server.log());
        Some(server)
    }

    /// One for all tests of this process.
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Postgres>> = OnceLock::new();
        SHARED.get_or_init(Self::start).as_ref()
    }

    /// A new database in it, empty; the URL under which its owner reaches it.
    ///
    /// # Panics
    ///
    /// If it cannot be made.
    pub fn database(&self) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        self.url("postgres", &name)
    }

    /// The URL of a database for a role.
    pub fn url(&self, role: &str, database: &str) -> String {
        let folder = self.folder.display().to_string().replace('/', "%2F");
        format!("postgresql://{role}@{folder}:{}/{database}", self.port)
    }

    /// Runs statements as the superuser; what they give, a line a record.
    ///
    /// # Panics
    ///
    /// If they fail.
    pub fn sql(&self, database: &str, statements: &str) -> String {
        let mut psql = Command::new(self.clients.join("psql"));
        psql.arg("-h").arg(&self.folder).arg("-p").arg(self.port.to_string()).args([
            "-U",
            "postgres",
            "-d",
            database,
            "-v",
            "ON_ERROR_STOP=1",
            "-qAt",
        ]);
        let mut running =
            psql.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        running.stdin.take().unwrap().write_all(statements.as_bytes()).unwrap();
        let done = running.wait_with_output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }

    /// From now on it also takes TLS on a port of this machine, by a certificate for `localhost`; the port, and the CA of that certificate,
    /// PEM.
    ///
    /// # Panics
    ///
    /// If openssl does not make the certificate, or it does not start.
    pub fn over_tls(&mut self) -> (u16, Vec<u8>) {
        let config = self.folder.join("req.conf");
        fs::write(&config, "[req]\ndistinguished_name=dn\n[dn]\n").unwrap();
        let made = |name: &str, more: &[&str]| {
            let file = |kind: &str| self.folder.join(format!("{name}.{kind}")).display().to_string();
            let mut openssl = as_postgres(Path::new("openssl"));
            openssl.args(["req", "-x509", "-config"]).arg(&config).args(["-newkey", "ec", "-pkeyopt"]);
            openssl
                .args(["ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj"])
                .arg(format!("/CN={name}"));
            let done =
                openssl.args(["-keyout", &file("key"), "-out", &file("pem")]).args(more).output().unwrap();
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
            [file("pem"), file("key")]
        };
        let [ca, key] = made("ca", &["-addext", "basicConstraints=critical,CA:TRUE"]);
        let of_ca = ["-CA", &ca, "-CAkey", &key, "-addext", "subjectAltName=DNS:localhost"];
        let [certificate, key] = made("server", &of_ca);
        // One that was free a moment ago.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        self.port = port;
        let settings = [
            "ssl=on".to_owned(),
            format!("ssl_cert_file={certificate}"),
            format!("ssl_key_file={key}"),
            "listen_addresses=127.0.0.1".to_owned(),
            format!("port={port}"),
        ];
        self.restart(&settings.each_ref().map(String::as_str));
        (port, fs::read(ca).unwrap())
    }

    /// It is killed, with no word to anybody, and started again.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn crash(&mut self) {
        let pid = fs::read_to_string(self.folder.join("data/postmaster.pid")).unwrap();
        let pid = pid.lines().next().unwrap();
        assert!(Command::new("kill").args(["-KILL", pid]).status().unwrap().success());
        self.restart(&[]);
    }

    /// It is stopped at once, until it is started again by [`Postgres::restart`].
    pub fn stop(&mut self) {
        self.end("stop\n");
    }

    /// It is stopped at once, its clients' connections with it, and started with these settings, as `postgres` takes them.
    ///
    /// # Panics
    ///
    /// If it does not stop or start.
    pub fn restart(&mut self, settings: &[&str]) {
        self.end("stop\n");
        let patience = Instant::now() + Duration::from_secs(30);
        loop {
            self.keeper = keep(&self.bin, &self.folder, settings);
            // Of one that was killed some children may be left, and keep the next one from starting.
            if self.is_up() {
                return;
            }
            assert!(Instant::now() < patience, "PostgreSQL does not start again: {}", self.log());
            self.end("stop\n");
        }
    }

    /// It is stopped, and what it stores is copied for [`Postgres::put_back`]; then it is started again.
    ///
    /// # Panics
    ///
    /// If that fails.
    pub fn copy(&mut self) {
        self.stop();
        self.replace("data", "copy");
        self.restart(&[]);
    }

    /// It holds what it held at the last [`Postgres::copy`], on the timeline of that time.
    ///
    /// # Panics
    ///
    /// If that fails.
    pub fn put_back(&mut self) {
        self.stop();
        self.replace("copy", "data");
        self.restart(&[]);
    }

    fn replace(&self, from: &str, to: &str) {
        let (from, to) = (self.folder.join(from), self.folder.join(to));
        let _ = fs::remove_dir_all(&to);
        let copied = as_postgres(Path::new("cp")).arg("-a").arg(from).arg(to).status();
        assert!(copied.unwrap().success());
    }

    /// It is stopped, started as a standby of nobody, and promoted: what it stores is on another timeline.
    ///
    /// # Panics
    ///
    /// If it does not start, or is not promoted.
    pub fn promote(&mut self) {
        self.stop();
        let signal = self.folder.join("data/standby.signal");
        assert!(as_postgres(Path::new("touch")).arg(signal).status().unwrap().success());
        self.restart(&["hot_standby=on"]);
        assert_eq!(self.sql("postgres", "SELECT pg_promote()").trim(), "t");
    }

    fn end(&mut self, word: &str) {
        if let Some(mut said) = self.keeper.stdin.take() {
            // It may have ended by itself.
            let _ = said.write_all(word.as_bytes());
        }
        let _ = self.keeper.wait();
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// Waits until it takes connections, or has ended.
    fn is_up(&mut self) -> bool {
        let patience = Instant::now() + Duration::from_secs(20);
        while Instant::now() < patience && self.keeper.try_wait().unwrap().is_none() {
            let ready = Command::new(self.clients.join("pg_isready"))
                .arg("-q")
                .arg("-h")
                .arg(&self.folder)
                .arg("-p")
                .arg(self.port.to_string())
                .status();
            if ready.unwrap().success() {
                return true;
            }
            thread::sleep(Duration::from_millis(50));
        }
        false
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.end("");
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The server, in a shell that reads until this process has no more to say, and then ends it: also where this process was killed.
fn keep(bin: &Path, folder: &Path, settings: &[&str]) -> Child {
    let script = "exec 3<&0; cd \"$WARDEIN_FOLDER\" || exit; \"$@\" </dev/null >>log 2>&1 & server=$!; \
                  (read -r word <&3; : >ending; while kill -QUIT $server; do sleep 0.1; done; \
                  test \"$word\" = stop || rm -rf \"$WARDEIN_FOLDER\") & reader=$!; \
                  wait $server; if test -e ending; then wait $reader; rm -f ending; else kill $reader; fi";
    let mut shell = as_postgres(Path::new("sh"));
    shell
        .args(["-c", script, "sh"])
        .arg(bin.join("postgres"))
        .arg("-D")
        .arg(folder.join("data"))
        .arg("-k")
        .arg(folder)
        .args(["-c", "listen_addresses=", "-c", "shared_buffers=32MB", "-c", "max_connections=200"])
        .env("WARDEIN_FOLDER", folder);
    for setting in settings {
        shell.args(["-c", setting]);
    }
    shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// A program as PostgreSQL's own user, where this one is root: the server refuses to run as root.
fn as_postgres(program: &Path) -> Command {
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    if !is_root {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=postgres", "--regid=postgres", "--init-groups", "--"])
        .arg(program)
        .current_dir("/");
    command
}

/// Where the server's programs are, and its clients': of the latest release, as Debian lays them out; else in the path. A directory
/// that `WARDEIN_POSTGRES_BIN` names has the server's, and need not have the others.
fn binaries() -> Option<(PathBuf, PathBuf)> {
    let has = |bin: &Path, programs: &[&str]| programs.iter().all(|program| bin.join(program).exists());
    let named = std::env::var_os("WARDEIN_POSTGRES_BIN").map(PathBuf::from);
    if let Some(bin) = &named {
        assert!(
            has(bin, &SERVER),
            "WARDEIN_POSTGRES_BIN is {}, where there is no initdb or postgres",
            bin.display()
        );
    }
    let releases = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<_> = releases.map(|release| release.path().join("bin")).collect();
    found.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = found.into_iter().rev().chain(std::env::split_paths(&path));
    let all: Vec<_> = named.clone().into_iter().chain(all).collect();
    let clients = all.iter().find(|bin| has(bin, &CLIENTS))?.clone();
    let server = match named {
        Some(bin) => bin,
        None => all.iter().find(|bin| has(bin, &SERVER) && has(bin, &CLIENTS))?.clone(),
    };
    Some((server, clients))
}

const SERVER: [&str; 2] = ["initdb", "postgres"];

const CLIENTS: [&str; 2] = ["psql", "pg_isready"];

/// Where it is on its socket, unless it takes TLS.
const PORT: u16 = 5432;
