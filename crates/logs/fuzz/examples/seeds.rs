//! Writes valid inputs into `corpus/`: where fuzzing starts when there is no corpus yet. `cargo run --example seeds` in
//! `crates/logs/fuzz`.

use std::fs;
use std::path::Path;
use wardein_logs::batch::{FilterVersion, Header, write};
use wardein_logs::{Gap, GapReason, KnownBy, Observed};
use wardein_logs_fuzz::APPROVERS;

fn main() {
    keep("approval", "approvers", APPROVERS.as_bytes());
    for (name, signature) in [("ed25519", BY_ED25519), ("ecdsa", BY_ECDSA), ("for-files", FOR_FILES)] {
        keep("approval", name, signature.as_bytes());
    }

    let mut header = Header {
        format: Header::FORMAT.to_owned(),
        audience: "maker".parse().expect("a name"),
        batch: 17,
        filter: FilterVersion::of(b"logs.toml"),
        begun: 1_764_518_400,
        ended: 1_764_518_460,
        records: 0,
        gaps: Vec::new(),
        withheld: 34,
        observed: Vec::new(),
    };
    both("empty", &header, &[]);
    let source = "pump".parse().expect("a name");
    header.gaps.push(Gap { source, lines: None, bytes: 5_120, why: GapReason::ConnectionBroken });
    header.observed.push(Observed {
        source: "pump".parse().expect("a name"),
        observed: "Infusomat_7".parse().expect("a name"),
        known_by: KnownBy::Certificate,
    });
    header.records = 2;
    both(
        "collected",
        &header,
        &[r#"{"source":"app","fields":{"code":"E17"}}"#, r#"{"source":"pump","fields":{}}"#],
    );

    keep("config", "example", include_bytes!("../../src/config/example.toml"));
    keep("config", "collector", COLLECTOR.as_bytes());

    keep("frames", "messages", b"34 <30>1 2026-11-30T12:00:00Z - - - -9 <30>1 - x4 \nab\n");
    keep("frames", "too-long", format!("1025 {}7 <30>1 -", "x".repeat(1_025)).as_bytes());
    keep("frames", "cut", b"\x10");
    keep("frames", "half", b"2000 half of it");
    keep("frames", "newlines", b"<30>1 - framed by newlines\n");
}

/// A batch, and what it is once it is decompressed.
fn both(name: &str, header: &Header, records: &[&str]) {
    let frame = write(header, records).expect("a batch");
    keep("batch", name, &zstd::decode_all(&*frame).expect("a frame"));
    keep("batch", &format!("{name}.zst"), &frame);
}

fn keep(target: &str, name: &str, bytes: &[u8]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join(name), bytes).expect("a file");
}

const COLLECTOR: &str = r#"
[audience.hospital]
to = "/var/spool/hospital"

[spool]
directory = "/var/lib/wardein-device/logs"

[collector]
listen = "[::]:6514"
certificate = "/etc/wardein-device/syslog.pem"
key = "/etc/wardein-device/syslog.key"

[[source]]
name = "pump"
device = "Infusomat_7"
syslog = "tls:sha256:abcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcd"

[[source.for]]
audience = "hospital"
keep = ["line"]

[[source]]
name = "old"
device = "CT-2"
syslog = "tls:192.0.2.7"
encoding = "latin-1"
max-line = "4KiB"
"#;

// By ssh-keygen (OpenSSH 9), over `FILE`; the last one with another namespace.
const BY_ED25519: &str = "-----BEGIN SSH SIGNATURE-----\n\
U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAgCV0du73bgroDpK7sAiVjTEtkaD\n\
XaG+GVl0uToe6MmHEAAAAMd2FyZGVpbi1sb2dzAAAAAAAAAAZzaGE1MTIAAABTAAAAC3Nz\n\
aC1lZDI1NTE5AAAAQIPqUMs8nZCb5yHa/MCr6dxQqEM3K+mBa2lfrNQvCDyfS5hX4MQdQx\n\
BFGdQvySGWBKrIp+rdFBxLMUG2MCuBKAY=\n\
-----END SSH SIGNATURE-----\n\
";
const BY_ECDSA: &str = "-----BEGIN SSH SIGNATURE-----\n\
U1NIU0lHAAAAAQAAAGgAAAATZWNkc2Etc2hhMi1uaXN0cDI1NgAAAAhuaXN0cDI1NgAAAE\n\
EE91ivVq9Kf7K12T5Ym/vAN2vOXIPS8qP+qlBTW0B9TbTivP59HUAQNq1za0ADtSpGk+Iu\n\
Kh1IJHkm198iGloOowAAAAx3YXJkZWluLWxvZ3MAAAAAAAAABnNoYTUxMgAAAGQAAAATZW\n\
Nkc2Etc2hhMi1uaXN0cDI1NgAAAEkAAAAhAI2VlYbzE95pNV0MtE+fwkrxAgaMYIXotgl+\n\
2qQXgLE0AAAAIHkBxwAzLDaRjTk9nYOzznneCtgCXySnjw3iC+BQjGLX\n\
-----END SSH SIGNATURE-----\n\
";
const FOR_FILES: &str = "-----BEGIN SSH SIGNATURE-----\n\
U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAgCV0du73bgroDpK7sAiVjTEtkaD\n\
XaG+GVl0uToe6MmHEAAAAEZmlsZQAAAAAAAAAGc2hhNTEyAAAAUwAAAAtzc2gtZWQyNTUx\n\
OQAAAECvHTyQ1wf5xNplsFOF2DX2OyZmSG13Bqkvq1g2CM86ukO0LDi0xJFmq2rUMlHhTg\n\
B9aNcseIf8LG0BMr6ybSQH\n\
-----END SSH SIGNATURE-----\n\
";
