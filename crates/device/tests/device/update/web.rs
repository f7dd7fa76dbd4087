//! Updates from a web server.

use super::*;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A web server for one share, which may have no parts of files; how many bytes of artifacts it has sent.
fn serve(share: PathBuf, has_parts: bool) -> (String, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let sent = Arc::new(AtomicU64::new(0));
    let counted = sent.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                if stream.read(&mut byte).unwrap_or(0) == 0 {
                    break;
                }
                head.push(byte[0]);
            }
            let head = String::from_utf8(head).unwrap();
            let Some(name) = head.split(' ').nth(1) else { continue };
            let Ok(bytes) = fs::read(share.join(name.trim_start_matches('/'))) else {
                let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
                continue;
            };
            let range = head.lines().find_map(|line| line.strip_prefix("range: bytes="));
            let from: usize =
                range.filter(|_| has_parts).map_or(0, |range| range.trim_end_matches('-').parse().unwrap());
            let (length, rest) = (bytes.len(), &bytes[from..]);
            let status = match from {
                0 => "HTTP/1.1 200 OK".to_owned(),
                _ => format!(
                    "HTTP/1.1 206 Partial Content\r\ncontent-range: bytes {from}-{}/{length}",
                    length - 1
                ),
            };
            if name.starts_with("/targets") {
                counted.fetch_add(rest.len() as u64, Ordering::Relaxed);
            }
            let _ =
                stream.write_all(format!("{status}\r\ncontent-length: {}\r\n\r\n", rest.len()).as_bytes());
            let _ = stream.write_all(rest);
        }
    });
    (base, sent)
}

#[tokio::test]
async fn a_web_server_sends_only_what_is_missing_where_it_can() {
    for has_parts in [true, false] {
        let mut bench = Bench::new();
        let new = vec![7; 100_000];
        bench.publish(&release(3, 3, &new), &new);
        let (base, sent) = serve(bench.share(), has_parts);
        bench.configure(&format!("{base}/metadata"), &format!("{base}/targets/"));
        bench.trust().await;
        bench.updater().await.check().await.unwrap();
        let digest = hex::encode(&Digest::of(&new).0);
        fs::write(bench.at(&format!("device/update/artifacts/{digest}.part")), &new[..60_000]).unwrap();
        bench.update().await.unwrap();
        assert_eq!(bench.slot().unwrap(), new);
        assert_eq!(sent.load(Ordering::Relaxed), if has_parts { 40_000 } else { 100_000 });
    }
    let bench = Bench::new();
    bench.configure("http://127.0.0.1:1/metadata", "http://127.0.0.1:1/targets");
    bench.trust().await;
    let refused = bench.updater().await.check().await.unwrap_err();
    assert_eq!((refused.exit_code(), code(Err::<(), _>(refused))), (4, "update-unreachable"));
}
