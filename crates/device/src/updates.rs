//! The commands of updates.

use crate::args::{FromArgs, ReleaseArgs, Update};
use crate::commands::{ROOT, print, read};
use crate::progress::Shown;
use crate::prover::prover;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use wardein_crypto::hex;
use wardein_device::{
    Error, Files, Installed, Listed, Offered, Phase, Pick, Running, Standing, Told, UpdateError, Updater, utc,
};
#[cfg(feature = "hawkbit")]
use wardein_device::{HawkbitEnd, HawkbitToken, Loopback};
use wardein_tuf::{MAX_ROOT_LEN, NotOffered, Offer};

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
            // While something waits for its first start, nothing else is asked for.
            let offer = match updater.needs_offer() && standing.pending.is_none() {
                true => Some(ask(path, &updater, Pick::Latest).await?),
                false => None,
            };
            let releases: Vec<_> = offered.iter().map(release).collect();
            let said = match &offer {
                None => Value::Null,
                Some(Ok(offer)) => json!({ "version": offer.version, "expires": offer.expires.get() }),
                Some(Err(why)) => json!({ "version": null, "why_not": why.to_string() }),
            };
            print(output.json, &json!({ "standing": standing, "releases": releases, "offer": said }), || {
                let text = text_of(&standing, &offered);
                match &offer {
                    None => text,
                    Some(Ok(offer)) => {
                        format!(
                            "{text}\noffer:   version {} until {}",
                            offer.version,
                            utc(offer.expires.get())
                        )
                    }
                    Some(Err(why)) => format!("{text}\noffer:   none: {why}"),
                }
            });
        }
        Update::Download { release, from: FromArgs { from }, output } => {
            let updater = open(from).await?;
            require_present_offer(path, &updater, pick(&release)).await?;
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
            let updater = open(None).await?;
            require_offer_to_install(path, &updater, pick(&release)).await?;
            let installed = updater.install(pick(&release)).await?;
            print(output.json, &json!({ "installed": installed }), || {
                format!("{} is installed and waits for its first start", label(&installed))
            });
        }
        #[cfg(feature = "hawkbit")]
        Update::Hawkbit { release, listen, token, output } => {
            let token = hawkbit_token(&token)?;
            let updater = open(None).await?;
            require_offer_to_install(path, &updater, pick(&release)).await?;
            let listener = Loopback::bind(listen).await?;
            tracing::info!(address = %listener.address(), "an updater may poll");
            let end = updater.hawkbit(pick(&release), listener, &token).await?;
            let (said, text, is_news) = match end {
                HawkbitEnd::Installed(installed) => {
                    let text = format!("{} is installed and waits for its first start", label(&installed));
                    (json!({ "installed": installed }), text, false)
                }
                HawkbitEnd::Confirmed(installed) => {
                    let text = format!("{} runs", label(&installed));
                    (json!({ "running": installed }), text, true)
                }
                HawkbitEnd::RolledBack(standing) => {
                    (json!({ "standing": standing }), text_of(&standing, &[]), true)
                }
            };
            let told = if is_news { words(tell(path, &updater).await) } else { "" };
            print(output.json, &said, || text + told);
        }
        Update::Confirm(output) => {
            let updater = open(None).await?;
            let installed = updater.confirm()?;
            let told = tell(path, &updater).await;
            print(output.json, &json!({ "running": installed, "receipt": told }), || {
                format!("{} runs{}", label(&installed), words(told))
            });
        }
        Update::RolledBack(output) => {
            let updater = open(None).await?;
            let standing = updater.rolled_back()?;
            let told = tell(path, &updater).await;
            print(output.json, &json!({ "standing": standing, "receipt": told }), || {
                text_of(&standing, &[]) + words(told)
            });
        }
        Update::VerifyRunning(output) => {
            let updater = open(None).await?;
            let running = updater.running()?;
            let (is_approved, told) = (running.is_approved(), tell(path, &updater).await);
            let said = json!({ "running": running, "approved": is_approved, "receipt": told });
            print(output.json, &said, || verdict(&running) + words(told));
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

/// Asks the authority which release it offers.
async fn ask(path: &Path, updater: &Updater, pick: Pick) -> Result<Result<Offer, NotOffered>, Error> {
    updater.ask_offer(&mut prover(path).await?, pick).await
}

/// Has the device hold an offer of that, where it needs one. What was installed already needs no other offer to be said so.
async fn require_offer_to_install(path: &Path, updater: &Updater, pick: Pick) -> Result<(), Error> {
    match updater.standing()?.pending {
        Some((Phase::Installed, _)) => Ok(()),
        _ => require_offer(path, updater, pick).await,
    }
}

/// Reads the token of a client of hawkBit's.
#[cfg(feature = "hawkbit")]
fn hawkbit_token(file: &Path) -> Result<HawkbitToken, Error> {
    let failed =
        |why: String| Error::File { doing: "read", path: file.into(), source: std::io::Error::other(why) };
    let facts =
        std::fs::metadata(file).map_err(|source| Error::File { doing: "read", path: file.into(), source })?;
    if !wardein_durable::is_private(&facts) {
        return Err(failed(format!("it is open to others; run: chmod 600 {}", file.display())));
    }
    HawkbitToken::new(&read(file, HawkbitToken::MAX_FILE)?)
        .map_err(|error| failed(format!("what is in it {error}")))
}

/// Has the device hold an offer of that, where it needs one.
async fn require_offer(path: &Path, updater: &Updater, pick: Pick) -> Result<(), Error> {
    if !updater.needs_offer() || updater.holds_offer(pick)? {
        return Ok(());
    }
    renew_offer(path, updater, pick).await
}

/// Has it hold the present offer of that: what it holds may have been recalled. Where nobody answers, that one will do while it is good.
async fn require_present_offer(path: &Path, updater: &Updater, pick: Pick) -> Result<(), Error> {
    if !updater.needs_offer() {
        return Ok(());
    }
    match renew_offer(path, updater, pick).await {
        Err(error) if !matches!(error, Error::Update(_)) && updater.holds_offer(pick)? => {
            tracing::warn!(%error, "the authority was not asked; the offer that is held is good still");
            Ok(())
        }
        done => done,
    }
}

async fn renew_offer(path: &Path, updater: &Updater, pick: Pick) -> Result<(), Error> {
    let version = match pick {
        Pick::Latest => "a release".to_owned(),
        Pick::Version(version) => format!("version {version}"),
    };
    match ask(path, updater, pick).await? {
        Ok(_) => Ok(()),
        Err(why) => Err(UpdateError::NotOffered { version, why }.into()),
    }
}

/// Sends the receipts that are kept. What was done here is done whether or not the authority hears of it now.
async fn tell(path: &Path, updater: &Updater) -> Told {
    if !updater.tells() {
        return Told::Nobody;
    }
    let told = match prover(path).await {
        Ok(mut prover) => updater.tell(&mut prover).await,
        Err(error) => Err(error),
    };
    told.unwrap_or_else(|error| {
        tracing::warn!(%error, "the authority was not told; the receipt is kept, and sent with the next contact");
        Told::Kept
    })
}

fn words(told: Told) -> &'static str {
    match told {
        Told::Acknowledged => "; the authority has acknowledged that",
        Told::Kept => "; the authority will be told",
        Told::Nobody => "",
    }
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

fn release(offered: &Offered) -> Value {
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
