//! The keys of many files by one request: malformed as a whole, or each file answered by itself.

use super::release::{granted, key_of, proven};
use super::world::{Expected, World, malformed};
use tonic::Code;
use v1::file_key_result::Result as Came;
use wardein_client::v1;
use wardein_ddkg::message::FileStanza;
use wardein_domain::Method;

fn file(stanza: &FileStanza) -> v1::FileStanza {
    v1::FileStanza { arguments: stanza.arguments(), body: stanza.body().to_vec() }
}

/// The code of each result; nothing where the key was released.
fn codes(answer: &v1::ReleaseFileKeysResponse) -> Vec<String> {
    let code = |came: &v1::FileKeyResult| match &came.result {
        Some(Came::Released(_)) => String::new(),
        Some(Came::Failure(failure)) => failure.code.clone(),
        None => "nothing".to_owned(),
    };
    answer.results.iter().map(code).collect()
}

#[tokio::test]
async fn release_file_keys() {
    let world = World::new().await;
    let mut device = proven(&world, "pump-1").await;
    let (first, second, third) = (device.wrap([1; 16]), device.wrap([2; 16]), device.wrap([3; 16]));
    let ask = |files: Vec<v1::FileStanza>, attempt: &[u8]| v1::ReleaseFileKeysRequest {
        files,
        reason: "ticket 7".into(),
        idempotency_key: key_of(attempt),
    };
    let good = || ask(vec![file(&first), file(&second)], b"1");
    let by = &world.platform;
    let many = |count: usize| {
        let named = |number| v1::FileStanza {
            arguments: format!("ddkg1 ddkg1:t/pump-1/1.file.0.{number}"),
            body: vec![0; 32],
        };
        ask((0..count).map(named).collect(), b"many")
    };
    let with = |change: fn(&mut v1::ReleaseFileKeysRequest)| {
        let mut request = good();
        change(&mut request);
        request
    };
    let no_role: Expected = (Code::PermissionDenied, "role-denied", "ReleaseFileKeys");
    let rows = [
        ("nothing", by, v1::ReleaseFileKeysRequest::default(), malformed("files")),
        ("no files", by, many(0), malformed("files")),
        ("1,001 files", by, many(1_001), malformed("files")),
        ("a file twice", by, with(|it| it.files[1] = it.files[0].clone()), malformed("files[1]")),
        ("a short body", by, with(|it| it.files[1].body.truncate(31)), malformed("files[1]")),
        ("another stanza", by, with(|it| it.files[0].arguments = "X25519 abc".into()), malformed("files[0]")),
        (
            "a long line",
            by,
            with(|it| it.files[0].arguments = "d".repeat(500)),
            malformed("files[0].arguments"),
        ),
        ("no reason", by, with(|it| it.reason.clear()), malformed("reason")),
        ("a long reason", by, with(|it| it.reason = "x".repeat(257)), malformed("reason")),
        ("no idempotency key", by, with(|it| it.idempotency_key.clear()), malformed("idempotency_key")),
        ("by an auditor", &world.auditor, good(), no_role),
        ("by a station", &world.station, good(), no_role),
    ];
    world.refuses(Method::ReleaseFileKeys, rows).await;

    let release = async |request: v1::ReleaseFileKeysRequest| {
        by.trust().release_file_keys(request).await.map(tonic::Response::into_inner)
    };
    granted(&world, &["token", "open", "data"]).await;
    world.served.clock.pass(2);
    let refused = release(good()).await.unwrap();
    assert_eq!(codes(&refused), ["grant-missing"; 2]);
    assert!(refused.keys.is_empty() && refused.digest.is_empty());
    granted(&world, &["file"]).await;

    let mut foreign = file(&third);
    foreign.arguments = foreign.arguments.replace(":t/", ":other/");
    world.served.clock.pass(2);
    let mixed = ask(vec![file(&first), foreign, file(&second)], b"1");
    let answer = release(mixed.clone()).await.unwrap();
    assert_eq!(codes(&answer), ["", "tenant-unknown", ""]);
    assert_eq!(answer.keys[..], [[1; 16], [2; 16]].concat());
    assert_eq!(answer.digest.len(), 32);
    let Some(Came::Failure(failure)) = &answer.results[1].result else { panic!("{answer:?}") };
    assert!(failure.status == Code::NotFound as u32 && failure.message.contains("no tenant"));
    let Some(Came::Released(sealed_by)) = &answer.results[2].result else { panic!("{answer:?}") };
    assert_eq!((&sealed_by.tenant, &sealed_by.device_id), (&"t".to_owned(), &"pump-1".to_owned()));
    assert_eq!(
        (sealed_by.state(), &sealed_by.key_name),
        (v1::DeviceState::Active, &second.name().to_string())
    );

    // Asked again, as after a lost reply; and by another request.
    world.served.clock.pass(2);
    assert_eq!(release(mixed).await.unwrap().keys, answer.keys);
    world.served.clock.pass(2);
    let rows = [(
        "a used key",
        by,
        ask(vec![file(&third)], b"1"),
        (Code::InvalidArgument, "idempotency-key-used", "used"),
    )];
    world.refuses(Method::ReleaseFileKeys, rows).await;
    world.served.clock.pass(2);
    let other = release(ask(vec![file(&first), file(&third)], b"2")).await.unwrap();
    assert_eq!(codes(&other), ["key-spent", ""]);
    assert_eq!(other.keys[..], [3; 16]);
}
