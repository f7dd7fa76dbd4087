//! What a store answers, and what the agent makes of it.

use super::*;
use crate::spool::BatchName;
use std::cell::RefCell;
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// What came: method, path, and headers.
type Came = Vec<(&'static str, String, Vec<(&'static str, String)>)>;

/// A store that a test has answer.
#[derive(Clone, Default)]
struct Store(Rc<RefCell<(Vec<Answer>, Came)>>);

impl Transport for Store {
    type Connection = Self;

    async fn connect(&mut self) -> Result<Self, String> {
        Ok(self.clone())
    }
}

impl Connection for Store {
    async fn send(&mut self, request: Request<'_>) -> Result<Answer, String> {
        let mut store = self.0.borrow_mut();
        store.1.push((request.method, request.path.to_owned(), request.headers.to_vec()));
        Ok(store.0.pop().unwrap())
    }
}

fn content(bytes: &[u8]) -> Content {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    Content::of(file, 100).unwrap().unwrap()
}

fn deliver(directory: &Path, mut answers: Vec<Answer>) -> (Result<(), Undelivered>, Came) {
    let credentials = directory.join("s3");
    let mut file = fs::OpenOptions::new();
    let file = file.create(true).truncate(true).write(true).mode(0o600).open(&credentials);
    let text = b"aws_access_key_id = AKID\naws_secret_access_key = s3cret\naws_session_token = t0ken\n";
    file.unwrap().write_all(text).unwrap();
    answers.reverse();
    let store = Store::default();
    store.0.borrow_mut().0 = answers;
    let at = S3Place {
        host: "s3.example:9000".to_owned(),
        path: "/bucket/pump:1".to_owned(),
        region: "eu-1".to_owned(),
        credentials,
    };
    let mut target = S3Target::new(store.clone(), at, || 1_764_518_400);
    let name = BatchName { audience: "maker".parse().unwrap(), number: 1 };
    let parcel = Parcel { name, sealed: content(b"sealed"), statement: content(b"statement") };
    let delivered = {
        let mut future = pin!(target.deliver(&parcel));
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(delivered) => delivered,
            Poll::Pending => panic!("it waits"),
        }
    };
    let came = std::mem::take(&mut store.0.borrow_mut().1);
    (delivered, came)
}

fn answer(status: u16, body: &str) -> Answer {
    Answer { status, body: body.as_bytes().to_vec(), ..Answer::default() }
}

fn there(digest: &str) -> Answer {
    Answer { status: 200, headers: vec![(Answer::DIGEST, digest.to_owned())], body: Vec::new() }
}

#[test]
fn nothing_is_written_over_and_a_lost_acknowledgement_is_found() {
    let home = tempfile::tempdir().unwrap();
    let (delivered, came) = deliver(home.path(), vec![answer(200, ""), answer(201, "")]);
    assert_eq!(delivered, Ok(()));
    let paths: Vec<_> = came.iter().map(|(method, path, _)| (*method, path.as_str())).collect();
    let expected = ["/bucket/pump%3A1/maker-000000000001.age.sig", "/bucket/pump%3A1/maker-000000000001.age"];
    assert_eq!(paths, expected.map(|path| ("PUT", path)));
    let digest = |bytes: &[u8]| hex::encode(&Digest::of(bytes).0);
    for ((_, _, headers), bytes) in came.iter().zip([&b"statement"[..], b"sealed"]) {
        let header = |name| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
        assert_eq!(header("if-none-match"), Some("*"));
        assert_eq!(header("x-amz-content-sha256"), Some(digest(bytes).as_str()));
        assert_eq!(header(Answer::DIGEST), header("x-amz-content-sha256"));
        assert_eq!(header("x-amz-security-token"), Some("t0ken"));
        let signed = "SignedHeaders=host;if-none-match;x-amz-content-sha256;x-amz-date;x-amz-meta-sha256;x-amz-security-token,";
        assert!(header("authorization").unwrap().contains(signed), "{headers:?}");
        assert!(!format!("{headers:?}").contains("s3cret"));
    }

    // Both are there from the time before, or another one is.
    let again = |of: &str| vec![answer(412, ""), there(&digest(b"statement")), answer(412, ""), there(of)];
    let (delivered, came) = deliver(home.path(), again(&digest(b"sealed")));
    assert_eq!((delivered, came[3].0), (Ok(()), "HEAD"));
    let (delivered, _) = deliver(home.path(), again(&digest(b"other")));
    assert!(matches!(delivered, Err(Undelivered::Refused(_))), "{delivered:?}");
    let (delivered, came) = deliver(home.path(), vec![answer(412, ""), answer(200, "")]);
    assert!(matches!(delivered, Err(Undelivered::Refused(_))), "its digest is not known: {delivered:?}");
    assert_eq!(came.len(), 2, "the batch does not follow a statement that is not there");
}

#[test]
fn what_may_be_put_right_is_tried_again_and_says_what_is_wrong() {
    let home = tempfile::tempdir().unwrap();
    let error = |code: &str| format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code></Error>");
    for (status, body, says) in [
        (403, error("AccessDenied"), "AccessDenied (status 403)"),
        (404, error("NoSuchBucket"), "NoSuchBucket"),
        (409, error("ConditionalRequestConflict"), "ConditionalRequestConflict"),
        (403, error("RequestTimeTooSkewed"), "RequestTimeTooSkewed"),
        (501, error("Not\nImplemented"), "Not Implemented"),
        (503, "busy".to_owned(), "status 503"),
    ] {
        let (delivered, came) = deliver(home.path(), vec![answer(status, &body)]);
        let Err(Undelivered::Again(why)) = delivered else { panic!("{delivered:?}") };
        assert!(why.contains(says) && came.len() == 1, "{why}");
    }
    let (delivered, _) = deliver(home.path(), vec![answer(412, ""), answer(403, "")]);
    assert!(
        matches!(&delivered, Err(Undelivered::Again(why)) if why.contains("s3:GetObject")),
        "{delivered:?}"
    );
}

#[test]
fn a_wrong_clock_is_put_right_by_the_store() {
    let home = tempfile::tempdir().unwrap();
    let mut skewed = answer(403, "<Error><Code>RequestTimeTooSkewed</Code></Error>");
    skewed.headers.push(("date", "Wed, 30 Nov 2033 16:00:00 GMT".to_owned()));
    let answers = vec![skewed.clone(), answer(200, ""), answer(200, "")];
    let (delivered, came) = deliver(home.path(), answers);
    assert_eq!(delivered, Ok(()));
    let dates = came.iter().map(|(_, _, headers)| {
        headers.iter().find(|(name, _)| *name == "x-amz-date").map(|(_, value)| value.as_str()).unwrap()
    });
    assert_eq!(dates.collect::<Vec<_>>(), ["20251130T160000Z", "20331130T160000Z", "20331130T160000Z"]);
    // Once, and not for ever.
    let (delivered, came) = deliver(home.path(), vec![skewed.clone(), skewed]);
    assert!(matches!(delivered, Err(Undelivered::Again(_))) && came.len() == 2);
}

#[test]
fn credentials_that_others_can_read_sign_nothing() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().unwrap();
    deliver(home.path(), vec![answer(200, ""), answer(200, "")]).0.unwrap();
    // The mode of a file that is there already stays.
    fs::set_permissions(home.path().join("s3"), fs::Permissions::from_mode(0o644)).unwrap();
    let (delivered, came) = deliver(home.path(), Vec::new());
    assert!(matches!(&delivered, Err(Undelivered::Again(why)) if why.contains("chmod 600")), "{delivered:?}");
    assert!(came.is_empty());
}
