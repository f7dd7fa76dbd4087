//! The commands of whole files.

use crate::args::FileCommand;
use crate::commands::{print, read};
use crate::progress::Shown;
use crate::prover::session;
use serde_json::json;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use wardein_crypto::hex;
use wardein_device::{Error, FileOrder, Files, Plaintext, utc};
use wardein_files::{FileError, ListedReader, Reader, ReaderList, SealedFile, check};
use wardein_pki::pem;

pub(crate) async fn file(path: &Path, order: FileCommand) -> Result<(), Error> {
    match order {
        FileCommand::Seal { file, out, reader, output } => {
            let out = out.unwrap_or_else(|| with_ending(&file, ".age"));
            let readers: Vec<Reader> = reader
                .iter()
                .map(|key| {
                    key.parse()
                        .map_err(|why: FileError| Error::Config { field: "--reader", why: why.to_string() })
                })
                .collect::<Result<_, _>>()?;
            let (length, mut shown) = (length_of(&file), Shown::default());
            let order = FileOrder { input: Plaintext::File(&file), out: &out, readers: &readers };
            let sealed = session(path, "file").await?.seal_file(&order, &mut |at| shown.show(at, length))?;
            let statement = &sealed.statement;
            let said = json!({
                "path": out,
                "signed": sealed.signed,
                "number": statement.number,
                "bytes": sealed.plaintext,
                "sealed_bytes": statement.length,
                "sha256": hex::encode(&statement.sha256.0),
                "key_name": statement.key.as_ref().map(ToString::to_string),
                "sealed_at": statement.sealed_at,
            });
            print(output.json, &said, || {
                let at = utc(statement.sealed_at);
                format!(
                    "{} is number {} of the device's files, sealed at {at}",
                    out.display(),
                    statement.number
                )
            });
        }
        FileCommand::Readers(output) => {
            let list = session(path, "file").await?.readers().await?;
            print(output.json, &shown(&list), || listed(&list));
        }
        FileCommand::Open { file, out, output } => {
            let (length, mut shown) = (length_of(&file), Shown::default());
            let bytes =
                session(path, "file").await?.open_file(&file, &out, &mut |at| shown.show(at, length))?;
            print(output.json, &json!({ "path": out, "bytes": bytes }), || {
                format!("{bytes} bytes in {}", out.display())
            });
        }
        FileCommand::Inspect { file, output } => {
            let of = |why| Error::Sealed { path: file.clone(), why };
            let opened = File::open(&file).map_err(|error| of(error.into()))?;
            let seen =
                SealedFile::read(BufReader::new(opened)).and_then(|sealed| sealed.inspect()).map_err(of)?;
            print(output.json, &seen, || seen.to_string());
        }
        FileCommand::Verify { files, roots, output } => verify(path, &files, roots.as_deref(), output.json)?,
    }
    Ok(())
}

fn verify(path: &Path, files: &[PathBuf], roots: Option<&Path>, as_json: bool) -> Result<(), Error> {
    let roots = match roots {
        Some(roots) => String::from_utf8_lossy(read(roots, pem::MAX_LEN)?.expose()).into_owned(),
        None => {
            let own = Files::open(path)?;
            own.config()?.ok_or_else(|| own.not_configured())?.trust_roots
        }
    };
    let wrong = |why: pem::PemError| Error::Config { field: "--roots", why: why.to_string() };
    let roots = pem::decode_certificates(&roots).map_err(wrong)?;
    let roots: Vec<&[u8]> = roots.iter().map(Vec::as_slice).collect();
    let total = files.iter().map(|file| length_of(file)).max().unwrap_or_default();
    let mut shown = Shown::default();
    let checked = check(files, &roots, &mut |at| shown.show(at, total))
        .map_err(|(path, why)| Error::Sealed { path, why })?;
    print(as_json, &checked, || checked.to_string());
    if checked.is_complete() { Ok(()) } else { Err(Error::FilesMissing) }
}

fn shown(list: &ReaderList) -> serde_json::Value {
    let reader = |reader: &ListedReader| json!({ "name": reader.name.as_str(), "key": reader.key.to_string(), "not_before": reader.from, "until": reader.until });
    json!({
        "number": list.number,
        "seal_for": list.seal_for.as_str(),
        "readers": list.readers.iter().map(reader).collect::<Vec<_>>(),
    })
}

fn listed(list: &ReaderList) -> String {
    let reader = |reader: &ListedReader| {
        let until = reader.until.map_or_else(String::new, |until| format!(" until {}", utc(until)));
        format!("\n{} {} from {}{until}", reader.name, reader.key, utc(reader.from))
    };
    let readers: String = list.readers.iter().map(reader).collect();
    match list.number {
        0 => "the tenant has made no list; files are sealed for the authority".to_owned(),
        number => format!("list {number}; files are sealed for the {}{readers}", list.seal_for),
    }
}

/// For progress alone; what cannot be read says so where it is read.
fn length_of(file: &Path) -> u64 {
    file.metadata().map(|metadata| metadata.len()).unwrap_or_default()
}

fn with_ending(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    name.into()
}
