//! `wardein.toml`: what an authority is told of its surroundings. Its keys and secrets are not in it.

use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Defines a section with what stands in the example above each key, so that one text documents both.
macro_rules! section {
    (
        #[doc = $about:literal]
        $name:ident { $( $(#[doc = $doc:literal])* $field:ident: $type:ty = $default:expr, )* }
    ) => {
        #[doc = $about]
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            $( $(#[doc = $doc])* pub $field: $type, )*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $( $field: $default, )* }
            }
        }

        impl Documented for $name {
            fn document(&self, out: &mut String) {
                $(
                    $( document_line(out, $doc); )*
                    document_value(out, stringify!($field), &self.$field);
                )*
            }
        }
    };
}

section! {
    /// Where it is reached.
    Network {
        /// Where gRPC listens, over TLS 1.3.
        listen: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 7443)),
        /// Where HTTP listens, in the clear: health, metrics, the trust bundle, revocation lists and OCSP. Nothing secret is behind it.
        http: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 7480)),
        /// Where verifiers reach that, such as `http://pki.example:7480`: devices' certificates then name their revocation list and their OCSP
        /// responder, and receipts their status list. Empty: they name neither.
        revocation_url: String = String::new(),
        /// Where EST listens, over TLS 1.2 and 1.3, such as "0.0.0.0:7444". Empty: it is not served.
        est: String = String::new(),
        /// The columns of the base64 in its answers: 64, or 0 for one line, which strongSwan before 5.9.11 needs.
        est_line: u32 = 64,
        /// How many RSA keys of each size are made ahead for devices that cannot make a key, and get one by a proof or by EST's serverkeygen; at
        /// most 256. 0: no keys are made for devices.
        made_keys: u32 = 0,
        /// The names and addresses in the server's certificate: what clients call it by.
        server_names: Vec<String> = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()],
        /// Where clients reach it. The command line uses it with --dir, and it is written into the identities of operators.
        endpoint: String = "https://localhost:7443".to_owned(),
    }
}

section! {
    /// The database, where `store` is "postgresql".
    PostgresqlSection {
        /// Where it is, such as "postgresql://wardein@db.example/wardein", without a password. Several hosts may be named: the one that takes
        /// writes is used.
        url: String = String::new(),
        /// A file with the password. Empty: none. A relative path starts at this directory.
        password_file: PathBuf = PathBuf::new(),
        /// PEM of the CAs that certify the database's server. Empty: none, for a Unix socket, or sslmode=disable on this machine.
        ca_file: PathBuf = PathBuf::new(),
    }
}

section! {
    /// What the root key is under. It is chosen at founding; this says where what opens it is found at the start.
    CustodySection {
        /// The key file, where the root key is under one. Empty: none. Keep it on another disk than this directory.
        key_file: PathBuf = PathBuf::new(),
        /// A file with the passphrase, where the root key is under one and no person is there at the start. Empty: none.
        passphrase_file: PathBuf = PathBuf::new(),
        /// Where the TPM is, where the root key is under one, such as "device:/dev/tpmrm0". Empty: none.
        tpm: String = String::new(),
        /// The key of AWS KMS, where the root key is under one, such as "arn:aws:kms:eu-central-1:123456789012:key/…". `wardein
        /// custody change` puts it there. Empty: the one that custody.json names. At a start it counts where it is a replica of
        /// that one in another region.
        aws_kms_key: String = String::new(),
    }
}

section! {
    /// The token behind PKCS#11 that has keys of CAs: an HSM. Without one they are in the store, sealed under the root key.
    Pkcs11Section {
        /// The library of the token, such as "/usr/lib/softhsm/libsofthsm2.so". It is loaded into the process. Empty: there is no token.
        module: PathBuf = PathBuf::new(),
        /// The token's label.
        token: String = String::new(),
        /// A file with the token's PIN, for its owner alone (mode 600). A relative path starts at this directory.
        pin_file: PathBuf = PathBuf::new(),
        /// Sessions with the token, and so signatures of it, at one time: 1 to 64.
        sessions: u32 = 4,
        /// Whether the keys of new CAs are made in the token. What is in it is used either way.
        new_keys: bool = true,
    }
}

section! {
    /// What the service may take of the machine.
    LimitsSection {
        /// Threads that serve devices, and as many that serve operators; 0 for one of each per core.
        workers: usize = 0,
        /// Connections at one time. Each takes an open file and some 31 KiB; a quarter of them is for operators alone.
        connections: usize = 8_192,
        /// Those from one address, or IPv6 network of /64; twice as many from one /56.
        connections_per_address: usize = 1_024,
        /// Calls a second of those without a certificate, such as devices, from one address, as above; 0 for no bound.
        open_per_second: u32 = 1_000,
        /// How many of them at once after a pause.
        open_burst: u32 = 4_000,
        /// Calls a second of one operator; 0 for no bound.
        operator_per_second: u32 = 20_000,
        /// How many of them at once after a pause; others wait for up to 0.1 s, and only then are refused.
        operator_burst: u32 = 500,
        /// Seconds that a call may take.
        request_seconds: u64 = 20,
        /// Seconds that a stop waits for calls in hand.
        shutdown_seconds: u64 = 20,
    }
}

section! {
    /// What is written to standard error.
    LogSection {
        /// "text" for people, "json" for machines.
        format: LogFormat = LogFormat::Text,
        /// "error", "warn", "info", "debug" or "trace", or directives such as "info,wardein_server=debug".
        level: String = "info".to_owned(),
    }
}

section! {
    /// Traces of calls, over OTLP.
    TracesSection {
        /// Where a collector on this machine takes OTLP over gRPC, such as "http://127.0.0.1:4317". Empty: nothing is traced.
        collector: String = String::new(),
        /// An operator that traces its call says whether it is sampled. Of other calls one in so many is; 0: none.
        one_in: u32 = 0,
    }
}

section! {
    /// A place to which the audit log is delivered, in order and at least once.
    AuditSinkSection {
        /// Its name: 1 to 32 of a-z, 0-9 and '-'. How far it took the log is kept under it: another name begins with the first
        /// entry.
        name: String = String::new(),
        /// Where to. "file:audit.jsonl" for lines of JSON, which SIGHUP opens again; "unix:/dev/log", "udp:HOST:514" and
        /// "tls:HOST:6514" for syslog (RFC 5424); "https://HOST/PATH" for lines of JSON by POST. A relative path starts at this
        /// directory.
        to: String = String::new(),
        /// PEM of the CAs that certify the receiver, with tls: and https:. Empty: none, with the others.
        ca_file: PathBuf = PathBuf::new(),
        /// PEM of the certificate chain to show there. Empty: none.
        certificate_file: PathBuf = PathBuf::new(),
        /// PEM of its key, PKCS#8, for its owner alone (mode 600).
        key_file: PathBuf = PathBuf::new(),
        /// A file with the value of the header Authorization, for its owner alone, with https:. Empty: none.
        authorization_file: PathBuf = PathBuf::new(),
    }
}

/// The whole file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where records live. `wardein store migrate` changes it.
    pub store: StoreKind,
    /// Where it is reached.
    pub network: Network,
    /// The database of the store, where that is one.
    pub postgresql: PostgresqlSection,
    /// What opens the root key.
    pub custody: CustodySection,
    /// The token that has keys of CAs, where there is one.
    pub pkcs11: Pkcs11Section,
    /// What it may take.
    pub limits: LimitsSection,
    /// What is logged.
    pub log: LogSection,
    /// What is traced.
    pub traces: TracesSection,
    /// Where the audit log is delivered as well.
    #[serde(rename = "audit-sink", skip_serializing_if = "Vec::is_empty")]
    pub audit_sinks: Vec<AuditSinkSection>,
}

/// Which store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// One SQLite file, looked into with any tool
    #[default]
    Sqlite,
    /// A log-structured tree in Rust
    Sled,
    /// A PostgreSQL database, from which another machine can go on
    Postgresql,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The file is no configuration.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct ConfigError {
    path: String,
    reason: String,
}

impl Config {
    /// The name of the file in an authority's directory.
    pub const FILE: &'static str = "wardein.toml";

    /// Reads a file; a key that is not known is refused, so that a mistyped one is not silently without effect.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let wrong = |reason: String| ConfigError { path: path.display().to_string(), reason };
        let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        Self::parse(&text).map_err(wrong)
    }

    /// Reads a text.
    pub fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    /// The file with these values, each key with what it means.
    pub fn to_documented_toml(&self) -> String {
        let mut out = String::from(
            "# The configuration of a Wardein authority. Every key may be left out; unknown keys are refused.\n",
        );
        document_line(&mut out, "");
        document_line(
            &mut out,
            " Where records live: \"sqlite\", \"sled\" or \"postgresql\". `wardein store migrate` changes it.",
        );
        document_value(&mut out, "store", &self.store);
        section("network", &self.network, &mut out);
        section("postgresql", &self.postgresql, &mut out);
        section("custody", &self.custody, &mut out);
        section("pkcs11", &self.pkcs11, &mut out);
        section("limits", &self.limits, &mut out);
        section("log", &self.log, &mut out);
        section("traces", &self.traces, &mut out);
        out.push_str("\n# Where the audit log is delivered as well, a table each; at most 8.\n");
        self.audit_sinks.iter().for_each(|sink| section("[audit-sink]", sink, &mut out));
        if self.audit_sinks.is_empty() {
            let mut example = String::new();
            section("[audit-sink]", &AuditSinkSection::example(), &mut example);
            // Where it is commented out, its keys are as its texts.
            for line in example.lines().filter(|line| !line.is_empty()) {
                let text = line.strip_prefix('#').map_or_else(|| format!(" {line}"), str::to_owned);
                document_line(&mut out, &text);
            }
        }
        out
    }
}

impl AuditSinkSection {
    /// What the documented file shows where there is none.
    fn example() -> Self {
        Self {
            name: "siem".to_owned(),
            to: "tls:siem.example:6514".to_owned(),
            ca_file: "siem-ca.pem".into(),
            ..Self::default()
        }
    }
}

trait Documented {
    fn document(&self, out: &mut String);
}

fn section(name: &str, section: &impl Documented, out: &mut String) {
    let _ = write!(out, "\n[{name}]\n");
    section.document(out);
}

fn document_line(out: &mut String, line: &str) {
    let _ = writeln!(out, "#{line}");
}

fn document_value(out: &mut String, key: &str, value: &impl Serialize) {
    // None of the types above has a form that TOML cannot express.
    let value = toml::Value::try_from(value).expect("a text, a list of texts or a number");
    let _ = writeln!(out, "{key} = {value}");
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/wardein.example.toml");

    /// Run with `WARDEIN_BLESS=1` to regenerate it.
    #[test]
    fn the_example_is_current() {
        let generated = Config::default().to_documented_toml();
        if std::env::var_os("WARDEIN_BLESS").is_some() {
            std::fs::write(EXAMPLE, &generated).unwrap();
        }
        assert_eq!(std::fs::read_to_string(EXAMPLE).unwrap(), generated);
    }

    #[test]
    fn what_is_written_is_read_alike() {
        let mut config = Config::default();
        assert_eq!(Config::parse(&config.to_documented_toml()).unwrap(), config);
        config.network.server_names = vec!["a \"quoted\" name".to_owned()];
        config.store = StoreKind::Sled;
        config.log.format = LogFormat::Json;
        config.audit_sinks = vec![AuditSinkSection::example(), AuditSinkSection::default()];
        assert_eq!(Config::parse(&config.to_documented_toml()).unwrap(), config);
        assert_eq!(Config::parse("").unwrap(), Config::default());
    }

    #[test]
    fn the_example_of_a_sink_is_one_when_it_is_no_longer_a_comment() {
        let text = Config::default().to_documented_toml();
        let (before, example) = text.split_once("# [[audit-sink]]\n").unwrap();
        let keys =
            example.lines().filter_map(|line| line.strip_prefix("# ")).filter(|line| line.contains(" = "));
        let sink = format!("{before}[[audit-sink]]\n{}", keys.collect::<Vec<_>>().join("\n"));
        assert_eq!(Config::parse(&sink).unwrap().audit_sinks, [AuditSinkSection::example()]);
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        for text in [
            "listen = \"127.0.0.1:1\"",
            "[network]\nlissten = \"127.0.0.1:1\"",
            "[stor]\n",
            "[[audit-sink]]\nfile = \"a\"",
        ] {
            let error = Config::parse(text).unwrap_err();
            assert!(error.contains("unknown field"), "{error}");
        }
        assert!(Config::parse("store = \"postgres\"").is_err());
    }
}
