use super::super::{Batch, HeadMap};
use std::io::{Cursor, Write};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// A workbook whose sheet has these rows, as XML, and these texts that cells share.
fn workbook(rows: &str, shared: &[&str]) -> Vec<u8> {
    const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    const PACKAGE: &str = "http://schemas.openxmlformats.org/package/2006";
    let shared: String = shared.iter().map(|text| format!("<si><t>{text}</t></si>")).collect();
    let relation = |id: &str, kind: &str, target: &str| {
        format!("<Relationship Id=\"{id}\" Type=\"{OFFICE}/{kind}\" Target=\"{target}\"/>")
    };
    let relations =
        |all: &str| format!("<Relationships xmlns=\"{PACKAGE}/relationships\">{all}</Relationships>");
    let parts = [
        ("[Content_Types].xml", format!("<Types xmlns=\"{PACKAGE}/content-types\"/>")),
        ("_rels/.rels", relations(&relation("rId1", "officeDocument", "xl/workbook.xml"))),
        (
            "xl/workbook.xml",
            format!(
                "<workbook xmlns=\"{MAIN}\" xmlns:r=\"{OFFICE}\"><sheets><sheet name=\"Charge 7\" sheetId=\"1\" r:id=\"rId1\"/></sheets></workbook>"
            ),
        ),
        (
            "xl/_rels/workbook.xml.rels",
            relations(
                &[
                    relation("rId1", "worksheet", "worksheets/sheet1.xml"),
                    relation("rId2", "sharedStrings", "sharedStrings.xml"),
                    relation("rId3", "styles", "styles.xml"),
                ]
                .concat(),
            ),
        ),
        // The second format is a date.
        (
            "xl/styles.xml",
            format!(
                "<styleSheet xmlns=\"{MAIN}\"><cellXfs><xf numFmtId=\"0\"/><xf numFmtId=\"14\"/></cellXfs></styleSheet>"
            ),
        ),
        ("xl/sharedStrings.xml", format!("<sst xmlns=\"{MAIN}\">{shared}</sst>")),
        (
            "xl/worksheets/sheet1.xml",
            format!("<worksheet xmlns=\"{MAIN}\"><sheetData>{rows}</sheetData></worksheet>"),
        ),
    ];
    packed(parts.iter().map(|(name, text)| (*name, text.as_bytes())))
}

fn packed<'a>(parts: impl Iterator<Item = (&'a str, &'a [u8])>) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in parts {
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        archive.start_file(name, options).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

fn parsed(bytes: Vec<u8>, names: &[(&str, &str)]) -> Result<Batch, String> {
    let names = names.iter().map(|(head, name)| ((*head).to_owned(), (*name).to_owned())).collect();
    Batch::parse(bytes, &HeadMap { names, ..HeadMap::default() })
}

const ROWS: &str = "<row r=\"1\"><c r=\"A1\" t=\"s\"><v>0</v></c><c r=\"B1\" t=\"s\"><v>1</v></c><c r=\"C1\" t=\"inlineStr\"><is><t>udi</t></is></c></row>\
    <row r=\"2\"><c r=\"A2\" t=\"s\"><v>2</v></c><c r=\"B2\" t=\"s\"><v>3</v></c><c r=\"C2\" t=\"inlineStr\"><is><t>(01)09506000134352(21)4711</t></is></c></row>\
    <row r=\"3\"><c r=\"A3\"><v>100000</v></c></row>\
    <row r=\"4\"><c r=\"A4\"><v>4.71123456789012E+17</v></c><c r=\"B4\"><v>3</v></c></row>\
    <row r=\"5\"><c r=\"A5\" t=\"inlineStr\"><is><t>1,00E+05</t></is></c></row>\
    <row r=\"6\"><c r=\"A6\" t=\"inlineStr\"><is><t>p-6</t></is></c><c r=\"B6\" s=\"1\"><v>45000</v></c></row>\
    <row r=\"7\"><c r=\"A7\" t=\"b\"><v>1</v></c></row>\
    <row r=\"8\"><c r=\"A8\" t=\"e\"><v>#REF!</v></c></row>\
    <row r=\"9\"><c r=\"B9\" s=\"1\"/></row>\
    <row r=\"10\"><c r=\"A10\" t=\"inlineStr\"><is><t>p-10</t></is></c><c r=\"XFD10\" s=\"1\"/></row>\
    <row r=\"11\"><c r=\"A11\" t=\"inlineStr\"><is><t>p-11</t></is></c><c r=\"XFD11\"><v>1</v></c></row>\
    <row r=\"12\"><c r=\"A12\" t=\"inlineStr\"><is><t>p-12</t></is></c><c r=\"B12\" t=\"str\"><f>A1</f><v>of a formula</v></c></row>";
const SHARED: [&str; 4] = ["Seriennummer", "model", "p-2", "S\u{e4}ule 3"];

#[test]
fn a_workbook_is_read_as_the_same_table_in_csv_is() {
    let batch = parsed(workbook(ROWS, &SHARED), &[("Seriennummer", "id")]).unwrap();
    let good: Vec<_> = batch
        .lines
        .iter()
        .map(|line| (line.number, line.device.as_str(), line.model.as_ref().map(|model| model.as_str())))
        .collect();
    let expected = [
        (2, "p-2", Some("S\u{e4}ule 3")),
        (3, "100000", None),
        (10, "p-10", None),
        (12, "p-12", Some("of a formula")),
    ];
    assert_eq!(good, expected, "{:?}", batch.bad);
    assert_eq!(batch.lines[0].udi.as_ref().unwrap().as_str(), "(01)09506000134352(21)4711");
    let bad: Vec<_> = batch.bad.iter().map(|bad| (bad.line, bad.reason.as_str())).collect();
    for ((line, reason), (number, why)) in bad.iter().zip([
        (4, "more than 15 digits"),
        (5, "a spreadsheet shortened"),
        (6, "column 2: is a date"),
        (7, "is TRUE or FALSE"),
        (8, "a formula that failed"),
        (11, "more than 256 columns"),
    ]) {
        assert!(*line == number && reason.contains(why), "{line}: {reason}");
    }
    assert_eq!(bad.len(), 6, "{bad:?}");
    let error = parsed(workbook(ROWS, &SHARED), &[]).unwrap_err();
    assert!(error.contains("--map id=\"Seriennummer\""), "{error}");
}

#[test]
fn what_is_no_workbook_is_refused_whatever_its_bytes_are() {
    let good = workbook(ROWS, &SHARED);
    assert!(parsed(b"PK\x03\x04\x14\0".to_vec(), &[]).unwrap_err().contains("is not a workbook"));
    assert!(
        parsed(packed([("a.xml", &b"<a/>"[..])].into_iter()), &[]).unwrap_err().contains("is not a workbook")
    );
    let map = [("Seriennummer", "id")];
    for at in (0..good.len()).step_by(7) {
        let mut odd = good.clone();
        odd[at] ^= 0x55;
        // Taken or refused, by its checksums or by what it says; it ends in either way.
        let read = parsed(odd, &map).map(|batch| batch.lines.len()).unwrap_or_default();
        assert!(read <= 12);
        assert!(parsed(good[..at].to_vec(), &map).is_err(), "cut off at {at}");
    }
}

#[test]
fn a_small_file_that_unpacks_to_a_large_one_is_refused() {
    const MAX: u64 = 2 << 20;
    let mut rows = ROWS.to_owned();
    rows.push_str(&" ".repeat(MAX as usize));
    let bomb = workbook(&rows, &SHARED);
    assert!(bomb.len() < 10_000, "{}", bomb.len());
    let read = |max| super::each_line_within(bomb.clone(), max, &mut |_, _| Ok(()));
    let refused = read(MAX).unwrap_err();
    assert!(refused.contains("unpacks to more than 2 MiB; divide it"), "{refused}");
    read(super::MAX_UNPACKED).unwrap();
}
