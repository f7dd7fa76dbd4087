//! `wardein file open` of several files, whose keys are released by one request for up to a thousand of them.

use super::digest::List;
use super::targets::targets;
use super::{bar, of, read, stanza};
use crate::connection::{ConnectArgs, Session};
use crate::trust::{idempotency_key, until_answered};
use crate::{Column, Failure, Output, Record, Tone, files};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use wardein_client::v1::file_key_result::Result as Came;
use wardein_client::{v1, word};
use wardein_crypto::{Secret, SecretBytes};
use wardein_ddkg::message::FileStanza;
use wardein_files::{Opening, ReaderKey};

/// Who opens the files.
pub(super) enum By {
    /// A reader, by its own key.
    Reader(ReaderKey),
    /// A platform, for this reason.
    Platform(Box<ConnectArgs>, String),
}

/// What came of one file.
#[derive(Debug, Serialize)]
struct Opened {
    file: PathBuf,
    /// Where its plaintext is; none where it was not opened.
    path: Option<PathBuf>,
    bytes: u64,
    device: String,
    /// The device's state now; empty where the authority was not asked.
    state: String,
    key_name: String,
    /// The code of the authority's refusal.
    code: Option<String>,
    /// Why it was not opened.
    message: Option<String>,
}

impl Record for Opened {
    const COLUMNS: &'static [Column<Self>] = &[
        ("file", |opened| opened.file.display().to_string()),
        ("written to", |opened| opened.path.iter().map(|path| path.display().to_string()).collect()),
        ("bytes", |opened| opened.bytes.to_string()),
        ("device", |opened| opened.device.clone()),
        ("its state now", |opened| opened.state.clone()),
        ("not opened", |opened| match (&opened.code, &opened.message) {
            (Some(code), Some(message)) => format!("{code}: {message}"),
            (_, message) => message.clone().unwrap_or_default(),
        }),
    ];

    fn tone(&self) -> Tone {
        if self.path.is_some() { Tone::Plain } else { Tone::Bad }
    }
}

#[derive(Serialize)]
struct Report<'a> {
    files: &'a [Opened],
    /// One for each request, and so for each entry of the audit log.
    releases: &'a [List],
}

/// The keys of one request, each with the places of its files: copies of one file have one key.
#[derive(Default)]
struct Request {
    keys: Vec<(FileStanza, Vec<usize>)>,
    by_name: BTreeMap<String, usize>,
}

/// A file on its way: what is said of it, and where it goes.
struct Work {
    opened: Vec<Opened>,
    targets: Vec<PathBuf>,
    /// Whether one of them is not what it is said to be.
    is_distrusted: bool,
}

/// Opens each file into `directory`. What cannot be read, or cannot be written there, is said before any key is asked for.
pub(super) async fn open(files: Vec<PathBuf>, directory: &Path, by: By, out: Output) -> Result<(), Failure> {
    let mut work = Work::of(files, directory)?;
    let mut releases = Vec::new();
    match by {
        By::Reader(key) => {
            for place in 0..work.targets.len() {
                work.fill(place, &Opening::Reader(&key));
            }
        }
        By::Platform(connect, reason) => {
            let stanzas = work.opened.iter().map(|opened| stanza(&opened.file));
            let requests = requests(stanzas.collect::<Result<_, _>>()?);
            let session = connect.open().await?;
            for request in requests {
                match release(&session, &request, &reason).await {
                    Ok(keys) => releases.push(work.fill_all(&request, keys)),
                    // The keys of earlier requests are spent, and their files are there: that is said.
                    Err(why) => {
                        work.not_released(&request, &why);
                        work.report(&releases, out)?;
                        return Err(why.failure);
                    }
                }
            }
        }
    }
    work.report(&releases, out)?;
    work.end()
}

impl Opened {
    fn not_yet(file: PathBuf) -> Self {
        Self {
            file,
            path: None,
            bytes: 0,
            device: String::new(),
            state: String::new(),
            key_name: String::new(),
            code: None,
            message: Some("its key was not asked for".to_owned()),
        }
    }
}

impl Work {
    fn of(files: Vec<PathBuf>, directory: &Path) -> Result<Self, Failure> {
        let targets = targets(&files, directory)?;
        let opened = files.into_iter().map(Opened::not_yet).collect();
        Ok(Self { opened, targets, is_distrusted: false })
    }

    /// Says of each file of a request why it has no key.
    fn not_released(&mut self, request: &Request, why: &NotReleased) {
        for place in request.keys.iter().flat_map(|(_, places)| places) {
            let Some(opened) = self.opened.get_mut(*place) else { continue };
            match (&why.failure, why.is_final) {
                (Failure::Refused { code, reason, .. }, true) => {
                    (opened.code, opened.message) = (Some(code.clone()), Some(reason.clone()));
                }
                // It was never sent, which is what is said already.
                (_, true) => {}
                // It may have been carried out, and its answer lost.
                (_, false) => {
                    let words = "its key was asked for, and no answer came: the key may have been released";
                    opened.message = Some(words.to_owned());
                }
            }
        }
    }

    /// How the command ends.
    fn end(&self) -> Result<(), Failure> {
        let failed = self.opened.iter().filter(|opened| opened.path.is_none()).count();
        let words = format!("{failed} of {} files were not opened", self.opened.len());
        match (failed, self.is_distrusted) {
            (0, _) => Ok(()),
            (_, true) => Err(Failure::NotWhole(words)),
            (_, false) => Err(Failure::Failed(words)),
        }
    }

    /// Opens what was released, and gives the list of it.
    fn fill_all(&mut self, request: &Request, keys: Vec<Result<Key, v1::Failure>>) -> List {
        let mut released = BTreeSet::new();
        for ((stanza, places), came) in request.keys.iter().zip(keys) {
            for place in places {
                let Some(opened) = self.opened.get_mut(*place) else { continue };
                opened.key_name = stanza.name().to_string();
                opened.device = format!("{}/{}", stanza.name().owner.tenant, stanza.name().owner.device);
                match &came {
                    Ok(Key { secret, state }) => {
                        opened.state.clone_from(state);
                        released.insert(opened.key_name.clone());
                        self.fill(*place, &Opening::FileKey(secret));
                    }
                    Err(v1::Failure { code, message, .. }) => {
                        (opened.code, opened.message) = (Some(code.clone()), Some(message.clone()));
                    }
                }
            }
        }
        List::of(&released)
    }

    fn fill(&mut self, place: usize, by: &Opening<'_>) {
        let (Some(opened), Some(target)) = (self.opened.get_mut(place), self.targets.get(place)) else {
            return;
        };
        let bar = bar(&opened.file);
        let filled = read(&opened.file).and_then(|sealed| {
            let begun = files::begin(target, files::PRIVATE)?;
            begun.fill(sealed, by, &mut |at| bar.set_position(at)).map_err(|why| of(&opened.file, why))
        });
        bar.finish_and_clear();
        match filled {
            Ok(bytes) => (opened.bytes, opened.path, opened.message) = (bytes, Some(target.clone()), None),
            Err(failure) => {
                self.is_distrusted |= matches!(failure, Failure::NotWhole(_));
                opened.message = Some(failure.to_string());
            }
        }
    }

    fn report(&self, releases: &[List], out: Output) -> Result<(), Failure> {
        if out.is_json() {
            return out.json(&Report { files: &self.opened, releases });
        }
        out.table("files", &self.opened)?;
        releases.iter().try_for_each(|list| out.write(&format!("{}\n", list.words())))
    }
}

/// A released key, and the state of its device.
struct Key {
    secret: Secret<16>,
    state: String,
}

/// Has the keys of one request released. Each has its answer.
async fn release(
    session: &Session,
    request: &Request,
    reason: &str,
) -> Result<Vec<Result<Key, v1::Failure>>, NotReleased> {
    let unsent = |failure| NotReleased { failure, is_final: true };
    let file =
        |stanza: &FileStanza| v1::FileStanza { arguments: stanza.arguments(), body: stanza.body().to_vec() };
    let request = v1::ReleaseFileKeysRequest {
        files: request.keys.iter().map(|(stanza, _)| file(stanza)).collect(),
        reason: reason.to_owned(),
        idempotency_key: idempotency_key().map_err(unsent)?,
    };
    let platform = session.platform();
    let mut is_final = false;
    let answer = until_answered(async || {
        platform.release_file_keys(request.clone()).await.map_err(|refusal| {
            is_final = refusal.is_final();
            refusal.into()
        })
    });
    let answer = answer.await;
    answer.map_err(|failure| NotReleased { failure, is_final }).and_then(|answer| {
        paired(answer, request.files.len()).map_err(|failure| NotReleased { failure, is_final: false })
    })
}

/// A request that brought no keys.
struct NotReleased {
    failure: Failure,
    /// Whether the authority judged it, and released nothing.
    is_final: bool,
}

/// The keys of an answer beside their results.
fn paired(
    answer: v1::ReleaseFileKeysResponse,
    asked: usize,
) -> Result<Vec<Result<Key, v1::Failure>>, Failure> {
    let wrong = || Failure::failed("the authority's answer is not of the files that were asked for");
    let secrets = SecretBytes::from_vec(answer.keys.into());
    let (secrets, rest) = secrets.expose().as_chunks::<16>();
    let mut secrets = secrets.iter();
    let mut paired = Vec::with_capacity(answer.results.len());
    for v1::FileKeyResult { result } in answer.results {
        paired.push(match result.ok_or_else(wrong)? {
            Came::Released(v1::SealedBy { state, .. }) => {
                let secret = Secret::copied_from(secrets.next().ok_or_else(wrong)?);
                Ok(Key { secret, state: word::<v1::DeviceState>(state) })
            }
            Came::Failure(failure) => Err(failure),
        });
    }
    let is_whole = paired.len() == asked && secrets.next().is_none() && rest.is_empty();
    if is_whole { Ok(paired) } else { Err(wrong()) }
}

/// The files in requests that the authority takes: each has a key once. Two files that differ under one key are in two requests.
fn requests(stanzas: Vec<FileStanza>) -> Vec<Request> {
    let mut requests = vec![Request::default()];
    for (place, stanza) in stanzas.into_iter().enumerate() {
        let name = stanza.name().to_string();
        if let Some(places) = requests.iter_mut().find_map(|request| request.files_of(&name, &stanza)) {
            places.push(place);
            continue;
        }
        let is_last_full = |last: &Request| last.keys.len() == MAX_FILES || last.by_name.contains_key(&name);
        if requests.last().is_none_or(is_last_full) {
            requests.push(Request::default());
        }
        if let Some(last) = requests.last_mut() {
            last.by_name.insert(name, last.keys.len());
            last.keys.push((stanza, vec![place]));
        }
    }
    requests
}

impl Request {
    /// The places of the files that have this very stanza.
    fn files_of(&mut self, name: &str, stanza: &FileStanza) -> Option<&mut Vec<usize>> {
        let (there, places) = self.keys.get_mut(*self.by_name.get(name)?)?;
        (there == stanza).then_some(places)
    }
}

/// The most files of one request.
const MAX_FILES: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn stanza(number: usize, byte: u8) -> FileStanza {
        FileStanza::parse(&format!("ddkg1 ddkg1:t/d/1.file.0.{number}"), &[byte; 32]).unwrap()
    }

    #[test]
    fn each_request_has_a_key_once_and_at_most_a_thousand() {
        let sizes = |stanzas| requests(stanzas).iter().map(|request| request.keys.len()).collect::<Vec<_>>();
        assert_eq!(sizes((0..2_001).map(|number| stanza(number, 0)).collect()), [1_000, 1_000, 1]);
        // A copy of a file shares its key; a file of another one's key is asked for by itself.
        let copies = requests(vec![stanza(1, 1), stanza(2, 1), stanza(1, 1), stanza(1, 2)]);
        let places = |request: &Request| request.keys.iter().map(|(_, at)| at.clone()).collect::<Vec<_>>();
        assert_eq!(copies.iter().map(places).collect::<Vec<_>>(), [vec![vec![0, 2], vec![1]], vec![vec![3]]]);
        // Also where its request is full.
        let copy = requests((0..1_001).chain([0]).map(|number| stanza(number, 0)).collect());
        assert_eq!((copy.len(), &copy[0].keys[0].1), (2, &vec![0, 1_001]));
    }

    #[test]
    fn a_key_is_paired_with_the_file_that_it_is_of() {
        let released = || Some(Came::Released(v1::SealedBy::default()));
        let failure = v1::Failure { code: "key-spent".into(), ..Default::default() };
        let failed = || Some(Came::Failure(failure.clone()));
        let answer = |results: Vec<Option<Came>>, keys: Vec<u8>| v1::ReleaseFileKeysResponse {
            results: results.into_iter().map(|result| v1::FileKeyResult { result }).collect(),
            digest: Vec::new(),
            keys: keys.into(),
        };
        let two = [[1; 16], [2; 16]].concat();
        let paired_well = paired(answer(vec![released(), failed(), released()], two.clone()), 3).unwrap();
        let first: Vec<_> =
            paired_well.iter().map(|key| key.as_ref().map_or(0, |key| key.secret.expose()[0])).collect();
        assert_eq!(first, [1, 0, 2]);
        for (results, keys, asked) in [
            (vec![released(), released()], two[..16].to_vec(), 2),
            (vec![released(), failed()], two.clone(), 2),
            (vec![released(), released()], two[..31].to_vec(), 2),
            (vec![released()], [&two[..16], &[0]].concat(), 1),
            (vec![released(), released()], two.clone(), 3),
            (vec![released(), None], two[..16].to_vec(), 2),
        ] {
            assert!(paired(answer(results, keys), asked).is_err());
        }
    }

    #[test]
    fn of_a_request_without_an_answer_no_file_is_said_to_have_its_key_still() {
        let directory = tempfile::tempdir().unwrap();
        let work = || Work::of(vec!["a.age".into(), "b.age".into()], directory.path()).unwrap();
        let request = &requests(vec![stanza(1, 1)])[0];
        let lost = Failure::Unreachable("no answer".to_owned());
        let refused = Failure::Refused {
            code: "grant-missing".to_owned(),
            reason: "none was granted".to_owned(),
            request_id: None,
            proposal: None,
        };
        let in_doubt = Failure::Refused {
            code: "store-unavailable".to_owned(),
            reason: "the disk is full".to_owned(),
            request_id: None,
            proposal: None,
        };
        for (failure, is_final, code, words) in [
            (lost, false, None, "the key may have been released"),
            (in_doubt, false, None, "the key may have been released"),
            (refused, true, Some("grant-missing"), "none was granted"),
        ] {
            let mut work = work();
            work.not_released(request, &NotReleased { failure, is_final });
            let said = |place: usize| work.opened[place].message.clone().unwrap();
            assert_eq!(work.opened[0].code.as_deref(), code);
            assert!(said(0).contains(words), "{}", said(0));
            assert_eq!(said(1), "its key was not asked for");
        }
    }

    #[test]
    fn a_file_that_is_not_what_it_is_said_to_be_gives_the_exit_code() {
        let directory = tempfile::tempdir().unwrap();
        let (sealed, none) = (directory.path().join("a.age"), directory.path().join("none.age"));
        let mut file = Vec::new();
        wardein_files::seal_artifact(&b"a"[..], &mut file, &mut |_| ()).unwrap();
        std::fs::write(&sealed, file).unwrap();
        let mut work = Work::of(vec![none, sealed], directory.path()).unwrap();
        let wrong = Secret::copied_from(&[7; 16]);
        work.fill(0, &Opening::FileKey(&wrong));
        assert_eq!(work.end().unwrap_err().code(), 1, "it is missing");
        work.fill(1, &Opening::FileKey(&wrong));
        assert_eq!(work.end().unwrap_err().code(), 5);
    }
}
