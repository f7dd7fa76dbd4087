//! `wardein trust replace-key`.

use crate::connection::ConnectArgs;
use crate::{Confirm, Failure, Output};
use clap::Args;
use wardein_client::v1;

#[derive(Debug, Args)]
pub(crate) struct ReplaceKeyArgs {
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Replace the next key as well, which platforms have already: they take no new receipt until they fetch the keys again
    #[arg(long)]
    with_next: bool,
    #[command(flatten)]
    confirm: Confirm,
    #[command(flatten)]
    connect: ConnectArgs,
}

impl ReplaceKeyArgs {
    pub(crate) async fn run(self, out: Output) -> Result<(), Failure> {
        let Self { reason, with_next, confirm, connect } = self;
        confirm.ask("replace the key that signs verdicts, so that what it signed is refused")?;
        let request = v1::ReplaceVerdictKeyRequest { reason, with_next };
        let key = connect.open().await?.operator().replace_verdict_key(request).await?.key_id;
        let words =
            format!("verdicts are signed by {key} now; who keeps the keys from before must fetch them again");
        out.say(&words, &serde_json::json!({ "key_id": key }))
    }
}
