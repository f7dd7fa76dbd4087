//! Batches: what is written is read, and what is not a batch is refused within bounds.

use wardein_logs::batch::{BatchError, FilterVersion, Header, MAX_BATCH, read, write};
use wardein_logs::{Gap, GapReason, KnownBy, Observed};

fn header(records: u64) -> Header {
    Header {
        format: Header::FORMAT.to_owned(),
        audience: "maker".parse().unwrap(),
        batch: 17,
        filter: FilterVersion::of(b"logs.toml"),
        begun: 1_764_518_400,
        ended: 1_764_518_460,
        records,
        gaps: vec![Gap {
            source: "app".parse().unwrap(),
            lines: None,
            bytes: 5120,
            why: GapReason::Truncated,
        }],
        withheld: 34,
        observed: Vec::new(),
    }
}

fn records(count: usize) -> Vec<String> {
    (0..count).map(|number| format!(r#"{{"source":"app","fields":{{"code":"E{number}"}}}}"#)).collect()
}

/// A frame of these bytes.
fn frame(plaintext: &[u8]) -> Vec<u8> {
    zstd::encode_all(plaintext, 3).unwrap()
}

fn lines(header: &str, records: &[String]) -> Vec<u8> {
    let mut text = format!("{header}\n");
    for record in records {
        text += record;
        text.push('\n');
    }
    text.into_bytes()
}

#[test]
fn what_is_written_is_read() {
    for count in [0, 1, 1000] {
        let (header, records) = (header(count as u64), records(count));
        let batch = read(&*write(&header, &records).unwrap()).unwrap();
        assert_eq!((batch.header, batch.records), (header, records));
    }
    // The first line is what others read with zstd and jq.
    let written = write(&header(1), &records(1)).unwrap();
    let text = String::from_utf8(zstd::decode_all(&*written).unwrap()).unwrap();
    let filter = FilterVersion::of(b"logs.toml");
    let expected = format!(
        "{{\"format\":\"wardein-logs/1\",\"audience\":\"maker\",\"batch\":17,\"filter\":\"{filter}\",\"begun\":1764518400,\
         \"ended\":1764518460,\"records\":1,\"gaps\":[{{\"source\":\"app\",\"lines\":null,\"bytes\":5120,\"why\":\"truncated\"}}],\
         \"withheld\":34}}\n{{\"source\":\"app\",\"fields\":{{\"code\":\"E0\"}}}}\n"
    );
    assert_eq!(text, expected);
}

#[test]
fn a_batch_that_was_cut_at_any_byte_is_not_one() {
    let whole = write(&header(20), &records(20)).unwrap();
    for length in 0..whole.len() {
        let refused = read(&whole[..length]).unwrap_err();
        assert!(matches!(refused, BatchError::Frame(_) | BatchError::Lines), "{length}: {refused}");
    }
}

#[test]
fn nothing_is_read_behind_the_frame() {
    let whole = write(&header(2), &records(2)).unwrap();
    // A skippable frame, too, is something that nobody has judged.
    let skippable = [0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 7];
    for behind in [&whole[..], &skippable, b"\0"] {
        assert!(matches!(read(&*[&whole[..], behind].concat()), Err(BatchError::Trailing)));
    }
}

#[test]
fn a_bomb_is_left_before_it_fills_the_memory() {
    let mut bomb = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
    for _ in 0..64 {
        std::io::Write::write_all(&mut bomb, &[b' '; 1 << 20]).unwrap();
    }
    let bomb = bomb.finish().unwrap();
    assert!(bomb.len() < 32 << 10, "{} bytes that become 64 MiB", bomb.len());
    assert!(matches!(read(&*bomb), Err(BatchError::TooLong)));
    // A frame that asks for a window of 128 MiB gets none.
    let mut wide = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
    wide.window_log(27).unwrap();
    std::io::Write::write_all(&mut wide, &lines("{}", &[])).unwrap();
    let refused = read(&*wide.finish().unwrap()).unwrap_err();
    assert!(matches!(refused, BatchError::Frame(_)), "{refused}");
}

#[test]
fn at_the_bound_a_batch_is_taken_and_behind_it_refused() {
    let record = format!(r#"{{"source":"app","fields":{{"text":"{}"}}}}"#, "x".repeat(65_000));
    let count = |count: u64| (header(count), vec![record.clone(); count as usize]);
    let (most, all) = count(64);
    let written = write(&most, &all).unwrap();
    assert_eq!(read(&*written).unwrap().records.len(), 64);
    let (over, all) = count(65);
    assert!(matches!(write(&over, &all), Err(BatchError::TooLong)));
    let text = lines(&serde_json::to_string(&over).unwrap(), &all);
    assert!(text.len() > MAX_BATCH && matches!(read(&*frame(&text)), Err(BatchError::TooLong)));
}

#[test]
fn a_header_that_says_something_else_is_refused() {
    let right = serde_json::to_string(&header(2)).unwrap();
    assert!(read(&*frame(&lines(&right, &records(2)))).is_ok());
    let count = |text: &str, found: usize| {
        matches!(read(&*frame(&lines(text, &records(found)))), Err(BatchError::Count { .. }))
    };
    assert!(count(&right, 1) && count(&right, 3) && count(&right, 0));
    for (from, to) in [
        ("wardein-logs/1", "wardein-logs/2"),
        ("\"batch\":17", "\"batch\":0"),
        ("\"batch\":17", "\"batch\":-1"),
        ("\"audience\":\"maker\"", "\"audience\":\"../maker\""),
        ("sha256:", "sha512:"),
        ("\"withheld\":34", "\"withheld\":34,\"more\":1"),
        (",\"withheld\":34", ""),
        ("truncated", "eaten"),
        ("{\"format\"", "[{\"format\""),
    ] {
        assert!(right.contains(from), "{from}");
        let refused = read(&*frame(&lines(&right.replace(from, to), &records(2)))).unwrap_err();
        assert!(matches!(refused, BatchError::Header(_)), "{from} to {to}: {refused}");
    }
    let list = r#"["wardein-logs/1","maker",17,"FILTER",1,2,2,[],34]"#;
    let list = list.replace("FILTER", &FilterVersion::of(b"logs.toml").to_string());
    assert!(matches!(read(&*frame(&lines(&list, &records(2)))), Err(BatchError::Header(_))));
    let gap = serde_json::to_string(&header(0).gaps[0]).unwrap();
    let many = right.replace(&gap, &vec![&gap[..]; Header::MAX_GAPS + 1].join(","));
    assert!(matches!(read(&*frame(&lines(&many, &records(2)))), Err(BatchError::Header(_))));
}

#[test]
fn a_line_that_is_not_a_record_is_named_and_not_shown() {
    let right = serde_json::to_string(&header(1)).unwrap();
    let of = |record: &str| read(&*frame(&lines(&right, &[record.to_owned()])));
    let long = format!(r#"{{"source":"app","patient":"{}"}}"#, "x".repeat(66_000));
    for record in [
        "",
        "patient-4711",
        r#"{"patient-4711":1}"#,
        r#"{"source":"patient-4711!"}"#,
        r#"{"source":"app","patient-4711":"#,
        r#"["source","patient-4711"]"#,
        r#"["app"]"#,
        &long,
    ] {
        let refused = of(record).unwrap_err();
        assert!(matches!(refused, BatchError::Record { line: 2, .. }), "{record:.40}: {refused}");
        let said = format!("{refused} {refused:?}");
        assert!(!said.contains("4711") && !said.contains("xxx"), "{said:.200}");
    }
    let newline = write(&header(1), &["{\"source\":\"app\",\n\"fields\":{}}"]).unwrap_err();
    assert!(matches!(newline, BatchError::Record { line: 2, .. }));
    let two = write(&header(1), &["{\"source\":\"app\"}\n{\"source\":\"app\"}"]).unwrap_err();
    assert!(matches!(two, BatchError::Count { found: 2, stated: 1 }));
    for cut in [&b"{}"[..], b"", b"\xff\n"] {
        assert!(matches!(read(&*frame(cut)), Err(BatchError::Lines)));
    }
}

#[test]
fn the_mark_of_a_collector_is_read_as_it_was_written_and_no_source_is_two_devices() {
    let mark = |source: &str| Observed {
        source: source.parse().unwrap(),
        observed: "Infusomat_7".parse().unwrap(),
        known_by: KnownBy::Certificate,
    };
    let mut header = header(2);
    header.observed = vec![mark("app"), mark("other")];
    let batch = read(&*write(&header, &records(2)).unwrap()).unwrap();
    assert_eq!(batch.header, header);
    assert_eq!(batch.header.observed(&"app".parse().unwrap()), Some(&mark("app")));
    assert_eq!(batch.header.observed(&"own".parse().unwrap()), None);
    let right = serde_json::to_string(&header).unwrap();
    let marked =
        r#""sealed-by-collector":[{"source":"app","observed":"Infusomat_7","known-by":"certificate"},"#;
    assert!(right.contains(marked), "{right}");
    for (from, to) in [
        ("Infusomat_7", "../7"),
        ("\"known-by\":\"certificate\"", "\"known-by\":\"hearsay\""),
        (",\"known-by\":\"certificate\"", ""),
        ("\"source\":\"other\"", "\"source\":\"app\""),
        ("\"observed\":\"", "\"device\":\""),
    ] {
        let changed = right.replacen(from, to, if from.contains("certificate") { 1 } else { usize::MAX });
        assert_ne!(changed, right, "{from}");
        let refused = read(&*frame(&lines(&changed, &records(2)))).unwrap_err();
        assert!(matches!(refused, BatchError::Header(_)), "{from} to {to}: {refused}");
    }
    let many = |count: usize| (0..count).map(|number| mark(&format!("s{number}"))).collect();
    header.observed = many(Header::MAX_OBSERVED);
    assert!(write(&header, &records(2)).is_ok());
    header.observed = many(Header::MAX_OBSERVED + 1);
    assert!(matches!(write(&header, &records(2)), Err(BatchError::Header(_))));
}
