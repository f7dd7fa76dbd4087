//! A real TPM 2.0 in software (`swtpm`) does for this crate what it is to do, and `wardein-attest` accepts what it says.
//!
//! It runs where `swtpm swtpm-tools tpm2-tools` are installed, and must run where `WARDEIN_SWTPM=required`, as `deploy/test.sh` says.
#![cfg(feature = "tss")]
#![allow(clippy::unwrap_used, reason = "a test states its expectations so")]

mod evidence;
mod faults;
mod keys;
mod seal;

use wardein_testkit::Swtpm;
use wardein_tpm::Tpm;

fn open(swtpm: &Swtpm) -> Tpm {
    Tpm::open(&swtpm.tcti().parse().unwrap()).unwrap()
}

/// What a tool of `tpm2-tools` prints.
fn tool(swtpm: &Swtpm, program: &str, arguments: &[&str]) -> String {
    let output = swtpm.command(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Register 16 is for debugging: it can be reset.
fn extend_16(swtpm: &Swtpm) {
    tool(swtpm, "tpm2_pcrextend", &[&format!("16:sha256={}", "5a".repeat(32))]);
}

/// What is loaded or begun and nobody flushed.
fn left_over(swtpm: &Swtpm) -> String {
    let of = |kind| tool(swtpm, "tpm2_getcap", &[kind]);
    [of("handles-transient"), of("handles-loaded-session")].concat()
}
