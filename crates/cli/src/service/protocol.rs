//! `wardein service protocol`.

use crate::connection::ConnectArgs;
use crate::{Column, Failure, Output, Record, files};
use clap::{Args, Subcommand};
use serde::Serialize;
use std::path::PathBuf;
use wardein_client::v1;
use wardein_ddkg::message::CarriedProtocol;
use wardein_domain::ErrorCode;

#[derive(Debug, Subcommand)]
pub(crate) enum ProtocolCommand {
    /// Take the protocols of a file that a device wrote (`wardein-device service protocol`). The same file again changes nothing
    Import(ImportArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The file
    file: PathBuf,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Serialize)]
struct Imported {
    tenant: String,
    device_id: String,
    visit_id: String,
    session: String,
    is_repeated: bool,
}

impl Record for Imported {
    const COLUMNS: &'static [Column<Self>] = &[
        ("tenant", |of| of.tenant.clone()),
        ("device", |of| of.device_id.clone()),
        ("visit", |of| match of.visit_id.as_str() {
            "" => "emergency".to_owned(),
            id => id.to_owned(),
        }),
        ("session", |of| of.session.clone()),
        ("before", |of| if of.is_repeated { "known" } else { "new" }.to_owned()),
    ];
}

impl ProtocolCommand {
    pub(crate) async fn run(self, out: Output) -> Result<(), Failure> {
        match self {
            Self::Import(args) => import(args, out).await,
        }
    }
}

/// Each protocol is judged by itself: one that is refused keeps no other out, and the first refusal is what the command ends with.
async fn import(args: ImportArgs, out: Output) -> Result<(), Failure> {
    let text = files::read_bounded(&args.file, MAX_FILE)?;
    let malformed = |why: String| Failure::NotAccepted {
        code: ErrorCode::Malformed.as_str(),
        reason: format!(
            "{} is not a whole file of protocols: {why}; have the device write it again",
            args.file.display()
        ),
    };
    let text = String::from_utf8(text).map_err(|_| malformed("it is not text".into()))?;
    let messages = CarriedProtocol::messages_of_file(&text).map_err(|error| malformed(error.to_string()))?;
    let session = args.connect.open().await?;
    let (mut taken, mut refused) = (Vec::new(), None);
    for (number, protocol) in (1..).zip(messages) {
        let answer =
            session.operator().import_visit_protocol(v1::ImportVisitProtocolRequest { protocol }).await;
        match answer.map_err(Failure::from) {
            Ok(answer) => taken.push(Imported {
                tenant: answer.tenant,
                device_id: answer.device_id,
                visit_id: answer.visit_id,
                session: answer.session,
                is_repeated: answer.is_repeated,
            }),
            Err(failure @ Failure::Refused { .. }) => {
                refused.get_or_insert(failure.and(&format!("protocol {number} of {}", args.file.display())));
            }
            Err(failure) => return Err(failure),
        }
    }
    out.list("protocols", &taken)?;
    refused.map_or(Ok(()), Err)
}

/// The largest file that is read: some thousand protocols.
const MAX_FILE: u64 = 8 << 20;
