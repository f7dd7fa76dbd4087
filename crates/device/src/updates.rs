//! The commands of updates.

use crate::args::{FromArgs, ReleaseArgs, Update};
use crate::commands::{ROOT, print, read};
use crate::progress::Shown;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use wardein_crypto::hex;
use wardein_device::{Error, Files, Installed, Listed, Offered, Phase, Pick, Running, Standing, Updater};
use wardein_tuf::MAX_ROOT_LEN;

pub(crate) async fn update(path: &Path, order: Update) -> Result<(), Error> {
    let files = Files::open(path)?;
    let open = async |from: Option<PathBuf>| Updater::open(&files, from, PathBuf::from(ROOT)).await;
    match order {
        Update::Trust { root, output } => {
            let bytes = read(&root, usize::try_from(MAX_ROOT_LEN).unwrap_or(usize::MAX))?;
            let version = open(None).await?.trust(bytes.expose())?;
            print(output.json, &json!({ "root": version }), || {
                format!("the maker's root of version {version} is trusted")
            });
        }
        Update::Check { from: FromArgs { from }, output } => {
            let updater = open(from).await?;
            let (offered, standing) = (updater.check().await?, updater.standing()?);
            let releases: Vec<_> = offered.iter().map(offer).collect();
            print(output.json, &json!({ "standing": standing, "releases": releases }), || {
                text_of(&standing, &offered)
            });
        }
        Update::Download { release, from: FromArgs { from }, output } => {
            let updater = open(from).await?;
            let mut shown = Shown::default();
            let (listed, artifact) = updater
                .download(pick(&release), &mut |listed, at| shown.show(at, listed.file.length))
                .await?;
            let said = json!({ "version": listed.release.version, "path": artifact });
            print(output.json, &said, || format!("{} is in {}", name(&listed), artifact.display()));
        }
        Update::Verify { file, release, output } => {
            let listed = open(None).await?.verify(pick(&release), &file).await?;
            let said = json!({ "version": listed.release.version, "verified": true });
            print(output.json, &said, || format!("{} is {}", file.display(), name(&listed)));
        }
        Update::Install { release, output } => {
            let installed = open(None).await?.install(pick(&release)).await?;
            print(output.json, &json!({ "installed": installed }), || {
                format!("{} is installed and waits for its first start", label(&installed))
            });
        }
        Update::Confirm(output) => {
            let installed = open(None).await?.confirm()?;
            print(output.json, &json!({ "running": installed }), || format!("{} runs", label(&installed)));
        }
        Update::RolledBack(output) => {
            let standing = open(None).await?.rolled_back()?;
            print(output.json, &json!({ "standing": standing }), || text_of(&standing, &[]));
        }
        Update::VerifyRunning(output) => {
            let running = open(None).await?.running()?;
            let is_approved = running.is_approved();
            let said = json!({ "running": running, "approved": is_approved });
            print(output.json, &said, || verdict(&running));
            if !is_approved {
                return Err(Error::OtherSoftware { version: running.version });
            }
        }
        Update::Status(output) => {
            let standing = open(None).await?.standing()?;
            print(output.json, &json!({ "standing": standing }), || text_of(&standing, &[]));
        }
    }
    Ok(())
}

fn pick(release: &ReleaseArgs) -> Pick {
    release.version.map_or(Pick::Latest, Pick::Version)
}

fn name(listed: &Listed) -> String {
    format!("version {} ({})", listed.release.version, listed.release.label)
}

fn label(installed: &Installed) -> String {
    format!("version {} ({})", installed.version, installed.label)
}

fn offer(offered: &Offered) -> Value {
    let Offered { listed: Listed { path, file, release }, not_for } = offered;
    json!({
        "version": release.version,
        "label": release.label,
        "path": path.as_str(),
        "length": file.length,
        "sha256": hex::encode(&file.sha256.0),
        "floor": release.floor,
        "notes": release.notes,
        "installable": not_for.is_none(),
        "why_not": not_for.map(|why| why.to_string()),
    })
}

fn text_of(standing: &Standing, offered: &[Offered]) -> String {
    let mut lines = match &standing.running {
        Some(installed) => vec![format!("runs:    {}", label(installed))],
        None => vec!["runs:    not known: no release was confirmed".to_owned()],
    };
    if let Some((phase, installed)) = &standing.pending {
        let phase = match phase {
            Phase::Installing => "its installation was begun",
            Phase::Installed => "installed, waits for its first start",
        };
        lines.push(format!("pending: {}: {phase}", label(installed)));
    }
    lines.push(format!("floor:   {}", standing.floor));
    for Offered { listed, not_for } in offered {
        let may = not_for.map_or_else(|| "can be installed".to_owned(), |why| format!("cannot: {why}"));
        lines.push(format!("release: {}, {} bytes: {may}", name(listed), listed.file.length));
    }
    lines.join("\n")
}

fn verdict(running: &Running) -> String {
    let Running { version, label, differ, compared } = running;
    match (compared, differ.as_slice()) {
        (0, _) => format!("version {version} ({label}) names no attribute to compare with"),
        (_, []) => format!("what runs is version {version} ({label}): {compared} attributes are as it says"),
        (_, differ) => format!("what runs is not version {version} ({label}): {} differ", differ.join(", ")),
    }
}
