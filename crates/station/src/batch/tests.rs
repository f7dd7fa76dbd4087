use super::*;

fn parsed(bytes: &[u8]) -> Result<Batch, String> {
    Batch::parse(bytes.to_vec(), &HeadMap::default())
}

fn ids(batch: &Batch) -> Vec<(u64, &str)> {
    batch.lines.iter().map(|line| (line.number, line.device.as_str())).collect()
}

fn reasons(batch: &Batch) -> Vec<(u64, &str)> {
    batch.bad.iter().map(|bad| (bad.line, bad.reason.as_str())).collect()
}

#[test]
fn each_bad_line_is_named_and_the_good_ones_stay() {
    let mut csv = b"\xef\xbb\xbfid,model,udi,profile,attr.firmware\r\n\
        pump-1,Infuso 3,(01)09506000134352(21)4711,,1.2\r\n\
        pump 2,Infuso 3,,,1.2\r\n\
        pump-3,\"a \"\"quoted\"\" model\nof two lines\",,,\r\n\
        pump-4,,(01)09506000134353,,\r\n\
        pump-1,,,,\r\n\
        pump-6,,,\r\n\
        pump-7,,,Default,\r\n\
        ,,,,\r\n\r\n\
        pump-9,,,default,x\r\n"
        .to_vec();
    csv.extend(b"Pump-9,,,,\r\n-rf,,,,\r\n");
    csv.extend(b"pump-\xff,,,,\r\n");
    let batch = parsed(&csv).unwrap();
    assert_eq!(ids(&batch), [(2, "pump-1"), (12, "pump-9")]);
    assert_eq!(batch.lines[0].udi.as_ref().unwrap().as_str(), "(01)09506000134352(21)4711");
    assert_eq!(batch.lines[0].attributes.len(), 1);
    let bad = reasons(&batch);
    let starts = [
        (3, "id: device id has a character at byte 4"),
        (4, "opens a quote"),
        (5, "has 4 columns where"),
        (6, "udi: "),
        (7, "id: pump-1 is on line 2 already"),
        (8, "has 4 columns where the first line has 5"),
        (9, "profile: "),
        (13, "id: Pump-9 is on line 12 already"),
        (14, "id: begins with '-'"),
        (15, "id: is not UTF-8"),
    ];
    assert_eq!(bad.len(), starts.len(), "{bad:?}");
    for ((line, reason), (expected, start)) in bad.iter().zip(starts) {
        assert!(*line == expected && reason.starts_with(start), "{line}: {reason}");
    }
}

#[test]
fn the_first_line_must_name_known_columns_once_and_an_id() {
    for (heads, reason) in [
        ("", "names no column id"),
        ("model\n", "names no column id"),
        ("id,serial\n", "\"serial\" is none of"),
        ("id,id\n", "named twice"),
        ("id,attr.\n", "attribute name has 0 bytes"),
    ] {
        let error = parsed(heads.as_bytes()).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn files_are_read_as_spreadsheets_save_them() {
    let utf16 = |text: &str, mark: [u8; 2], bytes: fn(u16) -> [u8; 2]| {
        let units = text.encode_utf16().flat_map(bytes);
        mark.into_iter().chain(units).collect::<Vec<u8>>()
    };
    let tabs = "id\tmodel\r\npump-1\tS\u{e4}ule 3\r\n";
    for file in [
        "id;model;udi\r\npump-1;S\u{e4}ule 3;(01)09506000134352(21)4711\r\n".as_bytes(),
        "sep=;\r\nid;model\r\npump-1;S\u{e4}ule 3\r\n".as_bytes(),
        "sep=|\nid|model\npump-1|S\u{e4}ule 3".as_bytes(),
        "id,model\rpump-1,S\u{e4}ule 3\r".as_bytes(),
        "id,model,\r\npump-1,S\u{e4}ule 3,\r\n,,\r\n".as_bytes(),
        tabs.as_bytes(),
        &utf16(tabs, [0xff, 0xfe], u16::to_le_bytes),
        &utf16(tabs, [0xfe, 0xff], u16::to_be_bytes),
    ] {
        let batch = parsed(file).unwrap();
        let models: Vec<_> = batch.lines.iter().map(|line| line.model.as_ref().unwrap().as_str()).collect();
        assert_eq!((models.as_slice(), batch.bad.len()), (["S\u{e4}ule 3"].as_slice(), 0), "{file:?}");
    }
    let odd = [&[0xff, 0xfe][..], &[0, 0xd8, b'x', 0, 1]].concat();
    assert!(parsed(&odd).unwrap_err().contains("begins as UTF-16"));
    // Windows-1252 may be any other code page: it is not guessed.
    let batch = parsed(b"id,model\r\npump-1,S\xe4ule 3\r\npump-2,x\r\n").unwrap();
    assert_eq!(ids(&batch), [(3, "pump-2")]);
    assert!(batch.bad[0].reason.starts_with("model: is not UTF-8; save the file as"), "{:?}", batch.bad);
    assert!(parsed(b"\xd0\xcf\x11\xe0\xa1").unwrap_err().contains("save the sheet as"));
    assert!(parsed(b"id,S\xe4ule\r\n").unwrap_err().contains("first line is not UTF-8"));
}

#[test]
fn a_quote_that_is_left_open_spoils_its_own_line() {
    let batch = parsed(b"id,model\nbq-1,\"Halle 3\nbq-2,Halle 3\nbq-3,Halle 4\n").unwrap();
    assert_eq!(ids(&batch), [(3, "bq-2"), (4, "bq-3")]);
    assert!(matches!(reasons(&batch)[..], [(2, reason)] if reason.starts_with("opens a quote")));
    let middle = b"id,model,attr.fw\nbr-1,Pumpe 7\",1.0\nbr-2,\"Pumpe 7,1.0\nbr-3,Pumpe 7\",1.0\nbr-4,\"Pumpe \"\"8\"\"\",1.0\n";
    let batch = parsed(middle).unwrap();
    assert_eq!(ids(&batch), [(2, "br-1"), (4, "br-3"), (5, "br-4")]);
    assert_eq!(batch.lines[2].model.as_ref().unwrap().as_str(), "Pumpe \"8\"");
    assert_eq!(reasons(&batch).len(), 1);
}

#[test]
fn heads_are_mapped_and_left_out() {
    let heads = HeadMap {
        names: [("Seriennummer".into(), "id".into()), ("Typ".into(), "model".into())].into(),
        ignored: ["Bemerkung".to_owned()].into(),
    };
    let file = b"Typ;Bemerkung;Seriennummer\nInfuso 3;=cmd|'/c calc'!A1;pump-1\n".to_vec();
    let batch = Batch::parse(file, &heads).unwrap();
    assert_eq!(ids(&batch), [(2, "pump-1")]);
    assert_eq!(batch.lines[0].model.as_ref().unwrap().as_str(), "Infuso 3");
    for (first, reason) in [
        ("Typ;Bemerkung\n", "names no column \"Seriennummer\""),
        ("Typ;Seriennummer\n", "names no column \"Bemerkung\""),
        ("Typ;Bemerkung;Seriennummer;model\n", "two columns are the model"),
        ("Typ;Bemerkung;Seriennummer;Ort\n", "--ignore \"Ort\""),
    ] {
        let error = Batch::parse(first.as_bytes().to_vec(), &heads).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn a_number_that_a_spreadsheet_shortened_is_called_that() {
    for id in ["1,00E+05", "4.71E+11", "5E+12"] {
        let batch = parsed(format!("id;model\n{id};x\n").as_bytes()).unwrap();
        assert!(batch.bad[0].reason.contains("a spreadsheet shortened"), "{:?}", batch.bad);
    }
    assert_eq!(ids(&parsed(b"id;model\nE+5;x\nE5;x\n").unwrap()), [(3, "E5")]);
}

#[test]
fn cells_without_a_name_must_be_empty() {
    let batch = parsed(b"id,model,\npump-1,x,y\npump-2,x,,y\npump-3\npump-4,x,,\n").unwrap();
    assert_eq!(ids(&batch), [(5, "pump-4")]);
    assert_eq!(reasons(&batch).iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 3, 4]);
}

#[test]
fn a_file_is_bounded_in_its_bytes_and_in_its_lines() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("large.csv");
    let file = std::fs::File::create(&path).unwrap();
    file.set_len(Batch::MAX_LEN + 1).unwrap();
    let error = Batch::read(&path, &HeadMap::default()).unwrap_err().to_string();
    assert!(error.contains("is longer than 128 MiB; divide it"), "{error}");
    let many = [b"id\n".to_vec(), vec![b'\n'; Batch::MAX_LINES as usize - 1]].concat();
    assert_eq!(parsed(&many).unwrap().bad, []);
    let error = parsed(&[&many[..], b"\n"].concat()).unwrap_err();
    assert!(error.contains("more than 1048576 lines"), "{error}");
}

#[test]
fn what_a_report_quoted_is_read_as_it_was_and_columns_for_people_are_not() {
    let batch = parsed(b"id,udi,model,#why\np-1,'+A999123450/$$3271231LOT7/S47115,''=x,=cmd\n").unwrap();
    assert_eq!(batch.bad, []);
    assert_eq!(batch.lines[0].udi.as_ref().unwrap().as_str(), "+A999123450/$$3271231LOT7/S47115");
    assert_eq!(batch.lines[0].model.as_ref().unwrap().as_str(), "'=x");
}

#[test]
fn odd_bytes_in_every_field_are_shown_harmless() {
    let odd = "\u{1b}]0;x\u{7}\u{202e}\0";
    let file = format!(
        "id,model,udi,profile\np-1,x,,\n{odd},x,,\np-3,{odd},,\np-4,x,{odd},\np-5,x,,{odd}\n=cmd,x,,\n"
    );
    let batch = parsed(file.as_bytes()).unwrap();
    assert_eq!(ids(&batch), [(2, "p-1")]);
    assert_eq!(batch.bad.len(), 5, "{:?}", batch.bad);
    for head in [format!("id,{odd}\n"), format!("id,{odd},{odd}\n"), format!("id,attr.{odd}\n")] {
        let error = parsed(head.as_bytes()).unwrap_err();
        assert!(!error.contains(char::is_control), "{error:?}");
    }
    assert!(batch.bad.iter().all(|bad| !bad.reason.contains(char::is_control)), "{:?}", batch.bad);
}
