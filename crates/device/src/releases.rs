//! `wardein-device service pending` and `release`: a person at the device lets a technician in.

use crate::commands::print;
use crate::prover::prover;
use crate::services::typed;
use serde_json::{Value, json};
use std::io::{IsTerminal, stdin};
use std::path::Path;
use wardein_crypto::hex;
use wardein_ddkg::message::{PendingVisit, VisitRelease};
use wardein_device::{Error, Prover, pending_visits, release_visit, utc};

pub(crate) async fn pending(path: &Path, as_json: bool) -> Result<(), Error> {
    let visits = pending_visits(&mut prover(path).await?).await?;
    let shown = json!({ "visits": visits.iter().map(value).collect::<Vec<_>>() });
    print(as_json, &shown, || match &visits[..] {
        [] => "no visit waits for its release".to_owned(),
        visits => visits.iter().map(words).collect::<Vec<_>>().join("\n"),
    });
    Ok(())
}

pub(crate) async fn release(
    path: &Path,
    visit: VisitRelease,
    is_confirmed: bool,
    as_json: bool,
) -> Result<(), Error> {
    let mut prover = prover(path).await?;
    let id = hex::encode(&visit.0);
    let waiting = pending_visits(&mut prover).await?;
    // Any other is released already, or the authority refuses it and says why: there is nothing to ask a person.
    let is_asked = |of: &&PendingVisit| of.visit == visit.0 && of.devices == 1;
    if let Some(of) = waiting.iter().find(is_asked) {
        // A person who is asked is shown it whatever the form of the answer: this is on standard error.
        if !as_json || !is_confirmed {
            eprintln!("{}", words(of));
        }
        if !is_confirmed {
            // Others work in the directory while the person reads.
            prover.rest();
            confirm(&id)?;
            prover.wake().await?;
        }
    }
    release_visit(&mut prover, visit).await?;
    print(as_json, &json!({ "visit": id, "released": true }), || format!("visit {id} is released"));
    Ok(())
}

/// Has the person at the terminal say yes.
fn confirm(id: &str) -> Result<(), Error> {
    if !stdin().is_terminal() {
        return Err(Error::NobodyToAsk(id.to_owned()));
    }
    eprint!("release this visit? [y/N] ");
    if is_yes(&typed()?) { Ok(()) } else { Err(Error::NotConfirmed(id.to_owned())) }
}

fn is_yes(answer: &str) -> bool {
    matches!(answer, "y" | "Y" | "yes")
}

fn value(of: &PendingVisit) -> Value {
    json!({
        "id": hex::encode(&of.visit),
        "technician": of.technician.as_str(),
        "work_order": of.work_order.as_str(),
        "scope": of.scope.as_str(),
        "starts_at": of.from,
        "ends_at": of.until,
        "invited_by": of.by.as_str(),
        "invited_by_role": of.role.as_str(),
        "invited_at": of.asked,
        "devices": of.devices,
    })
}

/// All of it, a line each.
fn words(of: &PendingVisit) -> String {
    let mut lines = vec![
        format!("visit {}", hex::encode(&of.visit)),
        format!("  technician {}", of.technician),
        format!("  work order {}, scope {}", of.work_order, of.scope),
        format!("  from {} until {}", utc(of.from), utc(of.until)),
        format!("  invited by {} ({}) at {}", of.by, of.role, utc(of.asked)),
    ];
    if of.devices > 1 {
        lines.push(format!("  of {} devices: role site releases it (wardein service release)", of.devices));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_a_yes_is_one() {
        assert!(["y", "Y", "yes"].into_iter().all(is_yes));
        for no in ["", "n", "N", "no", "yy", "y n", "yes please", "j", " y"] {
            assert!(!is_yes(no), "{no:?}");
        }
        let error = Error::NotConfirmed("07".to_owned());
        assert_eq!((error.exit_code(), error.to_string().contains("nothing was done")), (1, true));
    }
}
