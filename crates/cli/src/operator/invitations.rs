//! `wardein operator invitations`: who is invited, and has not come yet.

use crate::connection::ConnectArgs;
use crate::{Column, Failure, Output, Record, time};
use clap::Args;
use serde::Serialize;
use wardein_client::{time as wire, v1, word};

#[derive(Debug, Args)]
pub(crate) struct InvitationsArgs {
    /// Those of that tenant; without it those of one's own, or of no tenant
    #[arg(long)]
    tenant: Option<String>,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Serialize)]
struct Invitation {
    id: String,
    role: String,
    tenant: String,
    name: String,
    validity: u64,
    quota: u64,
    created_at: u64,
    expires_at: u64,
    created_by: String,
    created_by_serial: String,
}

impl From<v1::Invitation> for Invitation {
    fn from(invitation: v1::Invitation) -> Self {
        Self {
            id: invitation.id,
            role: word::<v1::Role>(invitation.role),
            tenant: invitation.tenant,
            name: invitation.name,
            validity: wire::span_seconds(invitation.validity),
            quota: invitation.quota,
            created_at: wire::seconds(invitation.created_at),
            expires_at: wire::seconds(invitation.expires_at),
            created_by: invitation.created_by,
            created_by_serial: invitation.created_by_serial,
        }
    }
}

impl Record for Invitation {
    const COLUMNS: &'static [Column<Self>] = &[
        ("id", |invitation| invitation.id.clone()),
        ("role", |invitation| invitation.role.clone()),
        ("tenant", |invitation| invitation.tenant.clone()),
        ("name", |invitation| invitation.name.clone()),
        ("made", |invitation| time::at(invitation.created_at)),
        ("good until", |invitation| time::at(invitation.expires_at)),
        ("made by", |invitation| invitation.created_by.clone()),
    ];
}

pub(super) async fn run(args: InvitationsArgs, out: Output) -> Result<(), Failure> {
    let session = args.connect.open().await?;
    let tenant = args.tenant.or_else(|| session.tenant.clone()).unwrap_or_default();
    let request = v1::ListInvitationsRequest { tenant };
    let answer = session.operator().list_invitations(request).await?;
    let invitations: Vec<_> = answer.invitations.into_iter().map(Invitation::from).collect();
    out.list("invitations", &invitations)
}
