//! Labels: for each device that is enrolled an SVG with a QR code (ISO/IEC 18004), which a printer of labels takes as it is.
//!
//! The code holds what the device is known by, as one line of JSON. It is not the UDI carrier that regulators ask for: that one is
//! made of the report's column `udi`.

use crate::{Error, Outcome};
use qrcodegen::{QrCode, QrCodeEcc};
use serde::Serialize;
use std::fmt::Write;
use std::fs::DirBuilder;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use wardein_domain::{DeviceId, check_file_name};

/// A directory with a label for each device, `ID.svg`.
#[derive(Debug)]
pub(crate) struct Labels(PathBuf);

/// What a code holds. What a device does not have is left out.
#[derive(Serialize)]
struct Content<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    udi: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    model: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    key_id: &'a str,
}

impl Labels {
    /// Labels in `directory`, which is made where it is not there.
    pub(crate) fn open(directory: &Path) -> Result<Self, Error> {
        match DirBuilder::new().mode(0o755).create(directory) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists && directory.is_dir() => {}
            made => made.map_err(|error| Error::file("make", directory, error))?,
        }
        Ok(Self(directory.to_owned()))
    }

    /// Writes the label of a device, and returns when it is durable. One of an earlier run is replaced.
    pub(crate) fn write(&self, outcome: &Outcome) -> Result<(), Error> {
        // It becomes a file's name, as the authority judges the ids of new devices.
        let id: DeviceId = outcome.device_id.parse().map_err(|why| Error::file("write", &self.0, why))?;
        check_file_name(id.as_str()).map_err(|why| Error::file("write", &self.0, why))?;
        let path = self.0.join(format!("{id}.svg"));
        let content =
            Content { id: id.as_str(), udi: &outcome.udi, model: &outcome.model, key_id: &outcome.key_id };
        let failed = |why: String| Error::file("write", &path, why);
        let text = serde_json::to_string(&content).map_err(|why| failed(why.to_string()))?;
        let code = QrCode::encode_text(&text, QrCodeEcc::Medium).map_err(|why| failed(why.to_string()))?;
        wardein_durable::replace(&path, svg(&code).as_bytes(), MODE).map_err(|why| failed(why.to_string()))
    }
}

/// The code in black on white, a unit a module, with the four modules around it that scanners need (ISO/IEC 18004, 5.3.8).
fn svg(code: &QrCode) -> String {
    let side = code.size() + 2 * QUIET;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" shape-rendering=\"crispEdges\">\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/><path d=\""
    );
    for (y, x) in (0..code.size()).flat_map(|y| (0..code.size()).map(move |x| (y, x))) {
        if code.get_module(x, y) {
            // Writing to a string does not fail.
            let _ = write!(out, "M{},{}h1v1h-1z", x + QUIET, y + QUIET);
        }
    }
    out + "\"/></svg>\n"
}

const QUIET: i32 = 4;

/// Others read it: there is no secret on a label.
const MODE: u32 = 0o644;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Fate, Origin};
    use std::fs::{read_dir, read_to_string};

    fn outcome(id: &str) -> Outcome {
        Outcome {
            udi: "(01)09506000134352(21)A-1".to_owned(),
            model: "Pump <3>".to_owned(),
            ..Outcome::new(Origin::Row(1), id, Fate::Enrolled)
        }
    }

    #[test]
    fn a_label_is_the_code_of_what_the_device_is_known_by() {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("labels");
        for _ in 0..2 {
            Labels::open(&directory).unwrap().write(&outcome("pump-001")).unwrap();
        }
        let names: Vec<_> = read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["pump-001.svg"]);
        let text = read_to_string(directory.join("pump-001.svg")).unwrap();
        let content = "{\"id\":\"pump-001\",\"udi\":\"(01)09506000134352(21)A-1\",\"model\":\"Pump <3>\"}";
        let code = QrCode::encode_text(content, QrCodeEcc::Medium).unwrap();
        assert_eq!(text, svg(&code));
        // The finder pattern's first row, within the quiet zone; what a device says does not get into the markup.
        let side = code.size() + 8;
        assert!(text.contains(&format!("viewBox=\"0 0 {side} {side}\"")) && !text.contains("Pump"), "{text}");
        for x in 4..11 {
            assert!(text.contains(&format!("M{x},4h1")), "{x}");
        }
        assert!(!text.contains("M11,4h1") && !text.contains("M3,"), "{text}");
    }

    #[test]
    fn a_label_of_the_longest_texts_fits() {
        let place = tempfile::tempdir().unwrap();
        let long = Outcome {
            udi: "1".repeat(wardein_domain::Udi::MAX_LEN),
            model: "ß".repeat(300),
            key_id: "ab".repeat(32),
            ..outcome(&"p".repeat(DeviceId::MAX_LEN))
        };
        Labels::open(place.path()).unwrap().write(&long).unwrap();
    }

    #[test]
    fn an_id_that_leads_out_of_the_directory_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("labels");
        let labels = Labels::open(&directory).unwrap();
        for id in ["../pump-001", "/tmp/pump-001", "a/b", ".hidden", "", "-rf"] {
            assert!(labels.write(&outcome(id)).is_err(), "{id:?}");
        }
        assert_eq!(read_dir(&directory).unwrap().count(), 0);
        assert_eq!(read_dir(place.path()).unwrap().count(), 1);
        let file = place.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(Labels::open(&file).is_err());
    }
}
