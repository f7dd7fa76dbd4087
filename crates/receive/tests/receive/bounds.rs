//! Too much, too long, too slow.

use crate::fleet::{For, header, named};
use crate::house::{House, answer, is_refused};
use std::io::Write;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use wardein_files::MAX_SIGNED;
use wardein_receive::MAX_SEALED;

#[tokio::test]
async fn a_file_that_says_it_is_too_large_is_refused_by_that_alone() {
    let house = House::begin().await;
    let mut device = house.fleet.device("pump-1");
    let sig = device.batch(1, &[], For::Reader).sig;
    assert_eq!(house.put(&device, &format!("/v1/pump-1/{}.age.sig", named(1)), sig.as_bytes()).await.0, 202);
    for (file, most) in [("age", MAX_SEALED), ("age.sig", MAX_SIGNED as u64)] {
        let head = |bytes: u64| {
            let path = format!("/v1/pump-1/{}.{file}", named(1));
            format!("PUT {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {bytes}\r\n\r\n")
        };
        // One that would be read to its end comes; the other one is not waited for.
        let body = if most > 1 << 20 { Vec::new() } else { vec![b'a'; most as usize + 1] };
        let request = [head(most + 1).into_bytes(), body].concat();
        let refused = house.send(&device, &request).await.unwrap();
        assert!(is_refused(&refused, 422, "too-large"), "{refused:?}");
    }
}

#[tokio::test]
async fn a_file_that_does_not_say_its_length_is_cut_at_the_bound() {
    let house = House::begin().await;
    let device = house.fleet.device("pump-1");
    let path = format!("/v1/pump-1/{}.age.sig", named(1));
    let mut request =
        format!("PUT {path} HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n").into_bytes();
    let length = MAX_SIGNED + 1;
    request.extend(format!("{length:x}\r\n").bytes());
    request.extend(vec![b'a'; length]);
    request.extend(b"\r\n0\r\n\r\n");
    let refused = house.send(&device, &request).await.unwrap();
    assert!(is_refused(&refused, 422, "too-large"), "{refused:?}");
    assert!(house.waiting("pump-1").is_empty());
}

#[tokio::test]
async fn all_that_waits_together_is_bounded_and_is_free_again() {
    let house = House::with(|settings| settings.limits.incoming_bytes = 4_000).await;
    let mut device = house.fleet.device("pump-1");
    let small = device.batch(1, &[], For::Reader);
    let path = format!("/v1/pump-1/{}.age", named(1));
    assert_eq!(house.put(&device, &format!("{path}.sig"), small.sig.as_bytes()).await.0, 202);
    let refused = house.put(&device, &path, &[0; 4_001]).await;
    assert!(is_refused(&refused, 503, "incoming-full"), "{refused:?}");
    // One that does not say its length takes the most that it could have.
    let chunked =
        format!("PUT {path} HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n");
    let refused = house.send(&device, chunked.as_bytes()).await.unwrap();
    assert!(is_refused(&refused, 503, "incoming-full"), "{refused:?}");
    for _ in 0..3 {
        assert_eq!(house.deliver(&device, &small).await.0, 200);
    }
}

#[tokio::test]
async fn a_body_that_stops_or_drips_is_given_up_and_another_may_come() {
    for (silence, body_time) in [(50, 60_000), (60_000, 50)] {
        let house = House::with(|settings| {
            settings.limits.silence = Duration::from_millis(silence);
            settings.limits.body_time = Duration::from_millis(body_time);
        })
        .await;
        let device = house.fleet.device("pump-1");
        let mut stream = house.connect(&device).await.unwrap();
        let head = format!(
            "PUT /v1/pump-1/{}.age.sig HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n0123",
            named(1)
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        // The rest never comes, and the peer does not end either; it is not waited for.
        let mut dripping = Box::pin(answer(&mut stream));
        let refused =
            tokio::time::timeout(Duration::from_secs(60), dripping.as_mut()).await.unwrap().unwrap();
        assert!(is_refused(&refused, 503, "too-slow"), "{refused:?}");
        assert!(house.waiting("pump-1").is_empty());
    }
}

#[tokio::test]
async fn a_batch_that_grows_without_end_is_refused_while_it_grows() {
    let house = House::begin().await;
    let mut device = house.fleet.device("pump-1");
    // 16 MiB in some kilobytes.
    let mut bomb = zstd::Encoder::new(Vec::new(), 1).unwrap();
    writeln!(bomb, "{}", serde_json::to_string(&header(1, 1)).unwrap()).unwrap();
    for _ in 0..16 {
        bomb.write_all(&[b' '; 1 << 20]).unwrap();
    }
    let bomb = bomb.finish().unwrap();
    assert!(bomb.len() < 64 << 10, "{}", bomb.len());
    let bomb = device.seal(&named(1), &bomb, For::Reader);
    let refused = house.deliver(&device, &bomb).await;
    assert!(is_refused(&refused, 422, "batch-malformed") && refused.1.contains("bytes"), "{refused:?}");
    // One that is large before it is opened.
    let large = device.seal(&named(1), &vec![7; 5 << 20], For::Reader);
    let refused = house.deliver(&device, &large).await;
    assert!(is_refused(&refused, 422, "not-opened"), "{refused:?}");
    assert!(house.segments("pump-1").is_empty());
}

#[tokio::test]
async fn a_device_has_so_many_connections() {
    let house = House::begin().await;
    let device = house.fleet.device("pump-1");
    let mut held = Vec::new();
    for _ in 0..4 {
        let mut stream = house.connect(&device).await.unwrap();
        stream.write_all(b"PUT / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        assert_eq!(answer(&mut stream).await.unwrap().0, 404);
        held.push(stream);
    }
    assert!(house.send(&device, b"PUT / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.is_err());
    let other = house.fleet.device("pump-2");
    assert_eq!(house.put(&other, "/", b"").await.0, 404);
}
