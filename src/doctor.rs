//! `wardein doctor`: looks for faults, and says how to fix them.

use crate::home::{Home, MARKER, failed};
use crate::memory::{self, Lock};
use serde::Serialize;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use wardein_cli::config::Config;
use wardein_cli::{Column, DoctorArgs, Failure, Output, Record, identity};
use wardein_client::v1;
use wardein_custody::Kind;
use wardein_pki::{CaCertificate, Infrastructure, Issuing, Root, Validity, pem};

/// A check, and its result.
#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    /// `ok`, `warning` or `bad`.
    result: &'static str,
    found: String,
    next: &'static str,
}

impl Record for Finding {
    const COLUMNS: &'static [Column<Self>] = &[
        ("check", |finding| finding.check.to_owned()),
        ("result", |finding| finding.result.to_owned()),
        ("found", |finding| finding.found.clone()),
        ("what to do", |finding| finding.next.to_owned()),
    ];
}

impl Finding {
    fn ok(check: &'static str, found: impl ToString) -> Self {
        Self { check, result: "ok", found: found.to_string(), next: "" }
    }

    fn warning(check: &'static str, found: impl ToString, next: &'static str) -> Self {
        Self { check, result: "warning", found: found.to_string(), next }
    }

    fn bad(check: &'static str, found: impl ToString, next: &'static str) -> Self {
        Self { check, result: BAD, found: found.to_string(), next }
    }
}

pub(crate) fn run(args: DoctorArgs, out: Output) -> Result<(), Failure> {
    let directory =
        args.connect.dir.clone().ok_or_else(|| {
            Failure::Usage("give --dir (or WARDEIN_DIR), the authority's directory".to_owned())
        })?;
    let mut findings = vec![directory_is_private(&directory)];
    match Config::read(&directory.join(Config::FILE)) {
        Err(error) => {
            findings.push(Finding::bad("configuration", error, "correct it, or restore it from a backup"))
        }
        Ok(config) => {
            findings.push(Finding::ok("configuration", "every key is known"));
            let home = Home::new(directory.clone(), config);
            findings.extend(secrets_are_private(&home));
            findings.push(custody(&home));
            findings.push(space(&directory));
            findings.extend(service_or_store(&args, &home));
            findings.extend(certificates(&home));
        }
    }
    findings.push(process_memory(memory::guard(), std::fs::read_to_string("/proc/swaps").ok().as_deref()));
    findings.push(clock());
    out.list("findings", &findings)?;
    match findings.iter().filter(|finding| finding.result == BAD).count() {
        0 => Ok(()),
        count => Err(Failure::Failed(format!("{count} of {} checks are bad", findings.len()))),
    }
}

fn mode(path: &Path) -> Result<u32, std::io::Error> {
    std::fs::metadata(path).map(|metadata| metadata.permissions().mode() & 0o777)
}

fn directory_is_private(directory: &Path) -> Finding {
    const CHECK: &str = "directory";
    match mode(directory) {
        Err(error) => Finding::bad(CHECK, error, "name the directory that `wardein init` made"),
        Ok(_) if !directory.join(MARKER).exists() => Finding::bad(
            CHECK,
            "does not belong to an authority",
            "name the directory that `wardein init` made",
        ),
        Ok(0o700) => Finding::ok(CHECK, "accessible to its owner only"),
        Ok(mode) => Finding::bad(CHECK, format!("mode {mode:o}"), "chmod 700 it"),
    }
}

fn secrets_are_private(home: &Home) -> Vec<Finding> {
    let files = [("custody file", home.custody()), ("administrator's key", home.file(identity::ADMIN_KEY))];
    let look = |(check, path): (&'static str, std::path::PathBuf)| match mode(&path) {
        Ok(0o600 | 0o400) => Finding::ok(check, "accessible to its owner only"),
        Ok(mode) => Finding::bad(check, format!("mode {mode:o}"), "chmod 600 it"),
        Err(error) if check == "custody file" => {
            Finding::bad(check, error, "restore it from a backup; without it the store opens nothing")
        }
        Err(_) => Finding::ok(check, "is kept elsewhere"),
    };
    files.into_iter().map(look).collect()
}

fn custody(home: &Home) -> Finding {
    const CHECK: &str = "root key";
    match wardein_custody::kind(&home.custody()) {
        Err(error) => Finding::bad(CHECK, error, "restore custody.json from a backup"),
        Ok(Kind::Tpm) => match home
            .tpm()
            .and_then(|tpm| wardein_custody::open_by_tpm(&home.custody(), tpm).map_err(failed))
        {
            Ok(_) => Finding::ok(CHECK, "under a TPM, which releases it"),
            Err(error) => Finding::bad(
                CHECK,
                error,
                "start with the recovery passphrase; if the machine is in a good state: wardein custody reseal",
            ),
        },
        Ok(Kind::Passphrase) => Finding::ok(CHECK, "under a passphrase"),
        Ok(Kind::KeyFile) => match home.key_file() {
            Ok(path) => key_file(CHECK, &path),
            Err(_) => Finding::bad(CHECK, "under a key file, and none is configured", "set custody.key_file"),
        },
    }
}

fn key_file(check: &'static str, path: &Path) -> Finding {
    match mode(path) {
        Ok(0o600 | 0o400) => Finding::ok(check, format!("under key file {}", path.display())),
        Ok(mode) => Finding::bad(check, format!("its key file has mode {mode:o}"), "chmod 600 it"),
        Err(error) => Finding::bad(
            check,
            format!("{}: {error}", path.display()),
            "mount its disk, or set custody.key_file",
        ),
    }
}

/// Free space, against the needs of a store with its log.
fn space(directory: &Path) -> Finding {
    const CHECK: &str = "free space";
    const NEXT: &str = "make room; a full disk stops enrolling and proving, and loses nothing";
    match rustix::fs::statvfs(directory) {
        Err(error) => Finding::bad(CHECK, error, "see that the directory's disk is mounted"),
        Ok(disk) => {
            let mebibytes = disk.f_bavail.saturating_mul(disk.f_frsize) >> 20;
            match mebibytes {
                0..128 => Finding::bad(CHECK, format!("{mebibytes} MiB"), NEXT),
                128..1024 => Finding::warning(CHECK, format!("{mebibytes} MiB"), NEXT),
                _ => Finding::ok(CHECK, format!("{mebibytes} MiB")),
            }
        }
    }
}

/// Whether keys may come to a disk from a process that is started as this one was, with what /proc/swaps says.
fn process_memory(guarded: &memory::Guarded, swaps: Option<&str>) -> Finding {
    const CHECK: &str = "memory";
    // A line of headings, then one for each swap (proc_swaps(5)).
    let swaps_out = swaps.is_none_or(|swaps| swaps.lines().nth(1).is_some());
    match (&guarded.dumps, &guarded.lock) {
        (Some(_), _) => {
            Finding::warning(CHECK, guarded, "set LimitCORE=0 in its unit, and keep others off the machine")
        }
        (None, Lock::Locked) => Finding::ok(CHECK, guarded),
        (None, _) if swaps_out => Finding::warning(
            CHECK,
            format!("{guarded}, and this machine swaps"),
            "turn swap off or encrypt it, or set LimitMEMLOCK=infinity in the service's unit",
        ),
        (None, _) => Finding::ok(CHECK, format!("{guarded}; this machine does not swap")),
    }
}

/// The service, where it runs; otherwise the store, which it alone may open while it does.
fn service_or_store(args: &DoctorArgs, home: &Home) -> Vec<Finding> {
    let asked = wardein_cli::block_on(async {
        let session = args.connect.open().await?;
        Ok(session.operator().get_status(v1::GetStatusRequest {}).await?)
    });
    match asked {
        Ok(status) => {
            let difference = status.time.abs_diff(now());
            // An operator of a tenant is not given the number.
            let entries = status.audit_entries.map(|number| format!(", {number} audit entries"));
            let found =
                format!("version {}, {} store{}", status.version, status.store, entries.unwrap_or_default());
            let time = match difference {
                0..=5 => Finding::ok("its clock", "as here"),
                _ => {
                    Finding::bad("its clock", format!("{difference} s from here"), "synchronize both by NTP")
                }
            };
            vec![Finding::ok("service", found), time]
        }
        Err(Failure::Unreachable(_)) => {
            let head = home
                .open_store()
                .map(|store| wardein_cli::block_on(async { store.head().await.map_err(failed) }));
            let store = match head {
                Ok(Ok(head)) => Finding::ok("store", format!("opens, {} audit entries", head.last_audit)),
                Ok(Err(error)) => Finding::bad("store", error, "restore it from a backup"),
                Err(error) => {
                    Finding::bad("store", error, "see whether another process has it open, or restore it")
                }
            };
            vec![Finding::warning("service", "does not answer", "start it: wardein serve"), store]
        }
        Err(error) => vec![Finding::bad("service", error, "see the identity and the service's log")],
    }
}

/// The ends of the certificates in the directory.
fn certificates(home: &Home) -> Vec<Finding> {
    let chain = |name| {
        let text = wardein_cli::files::read(&home.file(name)).map_err(|error| error.to_string())?;
        pem::decode_certificates(&text).map_err(|error| error.to_string())
    };
    let second = |chain: Vec<Vec<u8>>| chain.into_iter().nth(1).ok_or("has one certificate only".to_owned());
    let root = chain(identity::TRUST).and_then(|chain| {
        let root = chain.first().ok_or("is empty")?;
        CaCertificate::<Root>::parse(root).map_err(|error| error.to_string())
    });
    let issuing = chain(identity::TRUST).and_then(second).and_then(|der| {
        CaCertificate::<Issuing>::parse(&der).map(|ca| ca.validity()).map_err(|error| error.to_string())
    });
    let infrastructure = chain(identity::INFRASTRUCTURE).and_then(second).and_then(|der| {
        CaCertificate::<Infrastructure>::parse(&der)
            .map(|ca| ca.validity())
            .map_err(|error| error.to_string())
    });
    const CA: &str = "found a new authority before it ends, and have devices enroll there";
    let mut findings = vec![
        end("root CA", root.as_ref().map(|ca| ca.validity()).map_err(String::clone), CA),
        end("issuing CA", issuing, CA),
        end("infrastructure CA", infrastructure, CA),
    ];
    // It is good practice to keep it elsewhere.
    if let (Ok(root), Ok(chain)) = (root, chain(identity::ADMIN_CERTIFICATE)) {
        let leaf = chain.first().ok_or("is empty".to_owned());
        let validity = leaf.and_then(|leaf| {
            let identity = wardein_pki::parse_operator(root.trust_domain(), leaf);
            identity.map(|identity| identity.validity).map_err(|error| error.to_string())
        });
        findings.push(end("administrator", validity, "issue another: wardein operator issue --role admin"));
    }
    findings
}

fn end(check: &'static str, validity: Result<Validity, String>, next: &'static str) -> Finding {
    match validity.map(|validity| validity.not_after().saturating_sub(now()) / 86_400) {
        Err(error) => Finding::bad(check, error, "restore the file from a backup"),
        Ok(0) => Finding::bad(check, "its certificate has expired, or expires today", next),
        Ok(days @ 1..30) => Finding::warning(check, format!("its certificate expires in {days} days"), next),
        Ok(days) => Finding::ok(check, format!("its certificate expires in {days} days")),
    }
}

fn clock() -> Finding {
    // A clock before this program was written is wrong, whatever it shows.
    const WRITTEN: u64 = 1_792_972_800;
    match now() {
        now if now < WRITTEN => Finding::bad("clock", "is behind this program", "synchronize it by NTP"),
        _ => Finding::ok("clock", "is plausible"),
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

const BAD: &str = "bad";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_may_be_swapped_out_is_named() {
        let guarded = |dumps: Option<&str>, lock| memory::Guarded { dumps: dumps.map(str::to_owned), lock };
        let headings = "Filename Type Size Used Priority\n";
        let swaps = format!("{headings}/dev/sda2 partition 1048572 0 -2\n");
        for (guarded, swaps, result, found) in [
            (guarded(None, Lock::Locked), Some(swaps.as_str()), "ok", "locked"),
            (guarded(None, Lock::Limited(8 << 20)), Some(&swaps), "warning", "8192 KiB"),
            (guarded(None, Lock::Failed("EPERM".into())), None, "warning", "not locked: EPERM"),
            (guarded(None, Lock::Limited(8 << 20)), Some(headings), "ok", "does not swap"),
            (guarded(Some("EPERM"), Lock::Locked), Some(headings), "warning", "not prevented: EPERM"),
        ] {
            let finding = process_memory(&guarded, swaps);
            assert!(finding.result == result && finding.found.contains(found), "{finding:?}");
        }
    }
}
