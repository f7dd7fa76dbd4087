//! `wardein operator request`: a key that stays where it is made, and the request that is carried to who may sign it.

use crate::bundle::key_digest;
use crate::identity::{self, REQUEST};
use crate::secret::{NewKeyArgs, Passphrase};
use crate::{Failure, Output, files};
use clap::Args;
use serde::Serialize;
use std::path::{Path, PathBuf};
use wardein_pki::{Csr, pem};

#[derive(Debug, Args)]
pub(crate) struct RequestArgs {
    /// The directory to make for the identity; it must not exist
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    new_key: NewKeyArgs,
}

#[derive(Serialize)]
struct Made<'a> {
    request: &'a Path,
    key_sha256: &'a str,
}

pub(super) fn run(args: RequestArgs, out: Output) -> Result<(), Failure> {
    let passphrase = args.new_key.passphrase()?;
    files::make_private_directory(&args.out)?;
    let made = fill(&args.out, passphrase.as_ref(), out);
    if made.is_err() {
        // What is in it was made just now, and nobody has heard of it.
        let _ = std::fs::remove_dir_all(&args.out);
    }
    made
}

fn fill(directory: &Path, passphrase: Option<&Passphrase>, out: Output) -> Result<(), Failure> {
    let key = identity::make_key(directory, passphrase)?;
    let csr = Csr::create(&key).map_err(Failure::failed)?;
    let request = directory.join(REQUEST);
    let text = pem::encode_request(&csr).map_err(Failure::failed)?;
    files::write_new(&request, text.as_bytes(), files::PUBLIC)?;
    files::sync_directory(directory)?;
    let key_sha256 = &key_digest(&(*key.verifying_key()).into());
    let words = format!(
        "The key in {directory} stays there. Its SHA-256 is {key_sha256}.\n\
         \n\
         Next: have an administrator sign the request, who sees the same SHA-256,\n\
         \x20 wardein operator sign {request} --role ROLE --tenant TENANT --name NAME --validity TIME --out BUNDLE\n\
         and install what comes back:\n\
         \x20 wardein operator install {directory} BUNDLE",
        directory = directory.display(),
        request = request.display(),
    );
    out.say(&words, &Made { request: &request, key_sha256 })
}
