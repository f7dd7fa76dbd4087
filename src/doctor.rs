//! `wardein doctor`: looks for faults, and says how to fix them.

use crate::home::{Home, MARKER, failed};
use crate::memory::{self, Lock};
use crate::{serve, system, tokens};
use serde::Serialize;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use wardein_cli::config::Config;
use wardein_cli::{Column, DoctorArgs, Failure, Output, Record, Session, Tone, identity};
use wardein_client::{time, v1};
use wardein_custody::Kind;
use wardein_domain::ErrorCode;
use wardein_engine::{Ports, administrators};
use wardein_pki::{CaCertificate, Infrastructure, Issuing, Root, Validity, pem};
use wardein_port::{Clock, SystemClock};

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

    fn tone(&self) -> Tone {
        match self.result {
            BAD => Tone::Bad,
            WARNING => Tone::Warning,
            _ => Tone::Plain,
        }
    }
}

impl Finding {
    fn ok(check: &'static str, found: impl ToString) -> Self {
        Self { check, result: "ok", found: found.to_string(), next: "" }
    }

    fn warning(check: &'static str, found: impl ToString, next: &'static str) -> Self {
        Self { check, result: WARNING, found: found.to_string(), next }
    }

    fn bad(check: &'static str, found: impl ToString, next: &'static str) -> Self {
        Self { check, result: BAD, found: found.to_string(), next }
    }
}

pub(crate) fn run(args: DoctorArgs, out: Output) -> Result<(), Failure> {
    let directory = args
        .connect
        .directory()
        .ok_or_else(|| Failure::Usage("give --dir (or WARDEIN_DIR), the authority's directory".to_owned()))?;
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
            findings.extend(token(&home));
            findings.push(space(&directory));
            findings.push(open_files(&home));
            findings.extend(service_or_store(&args, &home));
            findings.extend(certificates(&home));
        }
    }
    findings.push(process_memory(memory::guard(), std::fs::read_to_string("/proc/swaps").ok().as_deref()));
    findings.push(clock());
    // What is bad is last, where a person looks.
    findings.sort_by_key(Record::tone);
    out.table("findings", &findings)?;
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
        Ok(Kind::AwsKms) => match home.open_by_kms() {
            Ok(_) => Finding::ok(CHECK, "under a key of AWS KMS, which gives it"),
            Err(error) => {
                Finding::bad(CHECK, error, "a service that runs goes on; put it right before the next start")
            }
        },
        Ok(Kind::Passphrase) => Finding::ok(CHECK, "under a passphrase"),
        Ok(Kind::KeyFile) => match home.key_file() {
            Ok(path) => key_file(CHECK, &path),
            Err(_) => Finding::bad(CHECK, "under a key file, and none is configured", "set custody.key_file"),
        },
    }
}

/// The token with keys of CAs, if one is configured.
fn token(home: &Home) -> Option<Finding> {
    const CHECK: &str = "token";
    tokens::is_configured(home).then(|| match tokens::count(home) {
        Ok(keys) => {
            Finding::ok(CHECK, format!("{:?} opens, with {keys} keys of CAs", home.config.pkcs11.token))
        }
        Err(error) => Finding::bad(CHECK, error, "correct [pkcs11], or what connects to the token"),
    })
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

/// The open files that the limits need, against what a process that is started as this one was may have.
fn open_files(home: &Home) -> Finding {
    const CHECK: &str = "open files";
    const NEXT: &str = "set LimitNOFILE in the unit (ulimit -Hn), or lower limits.connections";
    match serve::server_config(&home.config).map(|config| config.limits.open_files()) {
        Err(error) => Finding::bad(CHECK, error, "correct the configuration"),
        Ok(needed) => match system::most_open_files() {
            Some(most) if most < needed => Finding::bad(
                CHECK,
                format!("limits.connections needs {needed}; here {most} are allowed"),
                NEXT,
            ),
            _ => Finding::ok(CHECK, format!("{needed} are needed, and allowed here")),
        },
    }
}

/// The service, where it runs; otherwise the store, which it alone may open while it does.
fn service_or_store(args: &DoctorArgs, home: &Home) -> Vec<Finding> {
    let asked = wardein_cli::block_on(async {
        let session = args.connect.open().await?;
        let status = session.operator().get_status(v1::GetStatusRequest {}).await?;
        Ok((status, ends_of_administrators(&session).await, ends_of_cas(&session).await))
    });
    match asked {
        Ok((status, ends, cas)) => {
            let difference = time::seconds(status.time).abs_diff(now());
            // An operator of a tenant is not given the number.
            let entries = status.audit_entries.map(|number| format!(", {number} audit entries"));
            let found =
                format!("version {}, {} store{}", status.version, status.store, entries.unwrap_or_default());
            let time = match difference {
                0..=5 => Finding::ok("its clock", "as here"),
                _ => Finding::bad(
                    "its clock",
                    format!("{difference} s from here"),
                    "synchronize both by NTP, then see: wardein clock status",
                ),
            };
            let mut findings = vec![Finding::ok("service", found), time];
            findings.extend(ends.map(|ends| enough_administrators(&ends)));
            findings.extend(cas.map(|ends| cas_last(&ends)));
            findings
        }
        Err(Failure::Unreachable(_)) => {
            let mut findings =
                vec![Finding::warning("service", "does not answer", "start it: wardein serve")];
            findings.extend(store(home));
            findings
        }
        Err(Failure::Clock(words)) => {
            vec![Finding::bad("service", words, "synchronize this machine's clock by NTP")]
        }
        Err(error) if has_ended(&error) => {
            let mut findings = vec![Finding::bad("identity", error, RECOVER)];
            // Where the service runs, the store is its own; where it does not, there is more to see.
            if let Ok(store) = home.open_store() {
                drop(store);
                findings.push(Finding::warning("service", "does not run", "start it: wardein serve"));
                findings.extend(self::store(home));
            }
            findings
        }
        Err(error) => vec![Finding::bad("service", error, "see the identity and the service's log")],
    }
}

/// Whether the identity is what is wrong: it has expired, was revoked, or is of another authority.
fn has_ended(error: &Failure) -> bool {
    let ended = [ErrorCode::OperatorExpired, ErrorCode::OperatorRevoked, ErrorCode::IdentityUnknown];
    match error {
        Failure::Identity(_) => true,
        Failure::Refused { code, .. } => ended.iter().any(|ended| ended.as_str() == code),
        _ => false,
    }
}

/// The store, which no service has open, and the administrators in it.
fn store(home: &Home) -> Vec<Finding> {
    let store = match home.open_store() {
        Ok(store) => store,
        Err(error) => {
            return vec![Finding::bad(
                "store",
                error,
                "see whether another process has it open, or restore it",
            )];
        }
    };
    let looked = wardein_cli::block_on(async {
        let head = store.head().await.map_err(failed)?;
        let found = administrators(&Ports::new(store, SystemClock)).await;
        Ok((head, found))
    });
    match looked {
        Err(error) => vec![Finding::bad("store", error, "restore it from a backup")],
        Ok((head, found)) => {
            let mut findings =
                vec![Finding::ok("store", format!("opens, {} audit entries", head.last_audit))];
            // One of an earlier release tells nothing before it is migrated.
            findings.extend(found.ok().map(|found| {
                let ends: Vec<_> = found.iter().map(|admin| admin.not_after).collect();
                enough_administrators(&ends)
            }));
            findings
        }
    }
}

/// Until when the administrators are certified that may call now; none if the caller may not list them.
async fn ends_of_administrators(session: &Session) -> Option<Vec<u64>> {
    let operator = session.operator();
    let listed = wardein_client::pages(Vec::new(), MOST, async |page_size, page_token| {
        let request = v1::ListOperatorsRequest { page_size, page_token, ..Default::default() };
        let page = operator.list_operators(request).await?;
        Ok((page.operators, page.next_page_token))
    });
    let is_valid = |operator: &v1::Operator| {
        operator.role() == v1::Role::Admin
            && operator.revoked_at.is_none()
            && time::seconds(operator.not_after) >= now()
    };
    let (operators, _) = listed.await.ok()?;
    // An operator of a tenant does not see them.
    session.tenant.is_none().then_some(())?;
    Some(operators.iter().filter(|one| is_valid(one)).map(|one| time::seconds(one.not_after)).collect())
}

/// Until when the CAs that issue to devices are certified; none if the caller may not list them.
async fn ends_of_cas(session: &Session) -> Option<Vec<u64>> {
    let operator = session.operator();
    let listed = wardein_client::pages(Vec::new(), MOST, async |page_size, page_token| {
        let request = v1::ListCasRequest { page_size, page_token, ..Default::default() };
        let page = operator.list_cas(request).await?;
        Ok((page.cas, page.next_page_token))
    });
    let (cas, _) = listed.await.ok()?;
    let active = cas.iter().filter(|ca| ca.state() == v1::CaState::Active);
    Some(active.map(|ca| time::seconds(ca.not_after)).collect())
}

/// Whether devices can be certified next month.
fn cas_last(ends: &[u64]) -> Finding {
    const CHECK: &str = "CAs of devices";
    const NEXT: &str = "see the log for why no other one was made: wardein ca list, wardein ca next";
    let Some(first) = ends.iter().min() else {
        return Finding::bad(CHECK, "none issues", "make one: wardein ca create --shared");
    };
    let days = first.saturating_sub(now()) / 86_400;
    let found = format!("{} issue, the first of which expires in {days} days", ends.len());
    match days {
        0..7 => Finding::bad(CHECK, found, NEXT),
        7..30 => Finding::warning(CHECK, found, NEXT),
        _ => Finding::ok(CHECK, found),
    }
}

/// Whether there will be an administrator next month.
fn enough_administrators(ends: &[u64]) -> Finding {
    const CHECK: &str = "administrators";
    const NEXT: &str = "issue another: wardein operator issue --role admin";
    let Some(last) = ends.iter().max() else {
        return Finding::bad(CHECK, "none is left", RECOVER);
    };
    let found = match (ends.len(), last.saturating_sub(now()) / 86_400) {
        (1, days) => format!("the only one expires in {days} days"),
        (count, days) => format!("{count}, the last of which expires in {days} days"),
    };
    match last.saturating_sub(now()) / 86_400 {
        0..7 => Finding::bad(CHECK, found, NEXT),
        7..30 => Finding::warning(CHECK, found, NEXT),
        _ => Finding::ok(CHECK, found),
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
    const ROOT: &str = "found a new authority before it ends, and have devices enroll there";
    // The file says what was issued when it was written.
    const CA: &str = "write the file again: wardein operator renew; the authority replaces its CAs by itself";
    let mut findings = vec![
        end("root CA", root.as_ref().map(|ca| ca.validity()).map_err(String::clone), ROOT),
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
        let next = match &validity {
            Ok(validity) if validity.not_after() < now() => RECOVER,
            _ => "issue another: wardein operator issue --role admin",
        };
        findings.push(end("administrator", validity, next));
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
    match now() {
        now if now < crate::WRITTEN => {
            Finding::bad("clock", "is behind this program", "synchronize it by NTP")
        }
        _ => Finding::ok("clock", "is plausible"),
    }
}

fn now() -> u64 {
    SystemClock.wall_ms() / 1000
}

const BAD: &str = "bad";

const WARNING: &str = "warning";

/// Operators that are looked at.
const MOST: usize = 100_000;

const RECOVER: &str = "use another administrator (--identity); if none is left, stop the service and run: wardein operator recover";

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
