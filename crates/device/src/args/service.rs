//! The options of service access.

use super::Json;
use clap::Subcommand;
use std::path::PathBuf;
use wardein_crypto::hex;
use wardein_ddkg::message::VisitRelease;
use wardein_domain::ServiceScope;

#[derive(Debug, Subcommand)]
pub(crate) enum Service {
    /// Get the tenant's SSH CA and what is revoked, once, and write `ca.pub`, `revoked`, `principals` and `ended` for sshd; and
    /// give the authority the protocols of sessions that are over, which are in /var/lib/wardein-visits.
    Sync {
        /// The directory, which is there and which root alone writes.
        #[arg(long, value_name = "DIR", default_value = "/etc/ssh/wardein")]
        out: PathBuf,
        #[command(flatten)]
        output: Json,
    },
    /// List the visits of this device that wait for their release. The tenant's service policy has to allow release at the device.
    Pending(Json),
    /// Release a visit of this device alone: from then on its technician is let in during its window. It shows the visit and asks
    /// first; the authority takes it where the tenant's service policy allows it, and nobody may be in the device by another visit.
    Release {
        /// The visit's id, as `pending` lists it.
        #[arg(value_parser = visit)]
        visit: VisitRelease,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        output: Json,
    },
    /// Add an action to the protocol of the session in which this runs: the maker's programs say so what a technician does.
    Note {
        /// Its category, such as calibration.
        category: String,
    },
    /// Write the protocols of sessions that are over into a file, where there is no network: the device authenticates them, and
    /// somebody carries the file to `wardein service protocol import`. They are kept until the authority says to the device itself
    /// that it has them.
    Protocol {
        /// The file. It is written over.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        #[command(flatten)]
        output: Json,
    },
    /// Show a challenge for a technician where there is no network: the technician has it answered elsewhere, by `wardein service
    /// code`, and types the code here (open) within 15 minutes. A challenge that was shown before is void.
    Challenge {
        /// What the technician is to do: the scope of the visit.
        #[arg(long, value_name = "SCOPE")]
        scope: ServiceScope,
        #[command(flatten)]
        output: Json,
    },
    /// Let a technician in by the code that answers the challenge: a line of standard input. A shell, or the program of the scope,
    /// runs until the code's time is over. After five wrong codes the device waits, each further time twice as long.
    Open,
    /// Let somebody in by the device's code for emergencies: a line of standard input. It is good once, for four hours, and an
    /// alarm. The device has a code if it agreed on keys for codes; sync replaces it.
    BreakGlass,
    /// Run a technician's command or shell until the visit is over or was ended; sshd runs this, as the certificate says. Files of
    /// sync are read in the directory that WARDEIN_SERVICE_DIR names (SetEnv in sshd_config), or in /etc/ssh/wardein.
    Session {
        /// The visit.
        #[arg(long)]
        visit: String,
        /// What it may do.
        #[arg(long)]
        scope: String,
        /// What it is for.
        #[arg(long)]
        work_order: String,
        /// Who comes.
        #[arg(long)]
        technician: String,
        /// Unix second at which it is over.
        #[arg(long)]
        until: u64,
    },
}

fn visit(text: &str) -> Result<VisitRelease, &'static str> {
    hex::decode_array(text).map(VisitRelease).ok_or("is not 16 lower-case hex digits")
}
