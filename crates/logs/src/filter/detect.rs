//! What looks like patient data in a field that leaves as it is. It warns people who write filters; it decides nothing, and that it
//! is silent proves nothing: a name in free text looks like any other word.

use regex::{Regex, RegexSet};
use std::sync::LazyLock;

/// What the value of a field looks like, if it looks like patient data.
pub(super) fn looks_like(field: &str, value: &str) -> Option<&'static str> {
    if value.trim().is_empty() {
        return None;
    }
    let words = || field.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase);
    if words().any(|word| FIELDS.contains(&&*word)) {
        return Some("patient data by its name");
    }
    let matches = SET.matches(value);
    LIKE.iter().enumerate().filter(|(index, _)| matches.matched(*index)).find_map(
        |(index, (_, check, like))| {
            let is_one =
                check.is_none_or(|check| FORMS[index].find_iter(value).any(|found| check(found.as_str())));
            is_one.then_some(*like)
        },
    )
}

/// A German health insurance number (KVNR): a letter, eight digits, and a check digit (SGB V, section 290).
fn is_kvnr(text: &str) -> bool {
    let Some((letter, digits)) = text.split_at_checked(1) else { return false };
    let number = u32::from(letter.as_bytes()[0].saturating_sub(b'A')) + 1;
    let digits = digits.bytes().map(|digit| u32::from(digit.wrapping_sub(b'0')));
    let all: Vec<u32> = [number / 10, number % 10].into_iter().chain(digits).collect();
    let Some((check, counted)) = all.split_last() else { return false };
    let sum: u32 = counted
        .iter()
        .enumerate()
        .map(|(index, digit)| digit * (1 + index as u32 % 2))
        .map(|product| product / 10 + product % 10)
        .sum();
    sum % 10 == *check
}

/// A number of the NHS in England: ten digits, the last of which makes the weighted sum divisible by eleven.
fn is_nhs(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).map(|digit| u32::from(digit - b'0'));
    let sum: u32 = digits.zip([10, 9, 8, 7, 6, 5, 4, 3, 2, 1]).map(|(digit, weight)| digit * weight).sum();
    sum.is_multiple_of(11)
}

/// Words in the names of fields that hold patient data.
const FIELDS: &[&str] = &[
    "patient",
    "patientid",
    "patientname",
    "patienten",
    "mrn",
    "dob",
    "birth",
    "birthdate",
    "birthday",
    "dateofbirth",
    "ssn",
    "surname",
    "lastname",
    "firstname",
    "forename",
    "nachname",
    "vorname",
    "geburtsdatum",
    "kvnr",
    "fallnummer",
    "address",
    "adresse",
    "phone",
    "telefon",
    "email",
];

type Check = fn(&str) -> bool;

/// A form, what must hold of its digits, and what it looks like.
const LIKE: &[(&str, Option<Check>, &str)] = &[
    (r"\b(?:PID|NK1)\|", None, "a segment of HL7 v2 about a patient"),
    (r"\(0010,[0-9]{4}\)", None, "a patient's attribute of DICOM"),
    (r"\b[A-Z][A-Za-z'-]+\^[A-Z][A-Za-z'-]+", None, "a person's name in HL7 or DICOM"),
    (
        r"(?i)\b(?:patient(?:en)?(?:[ _-]?(?:id|name|nr|no))?|mrn|dob|date of birth|birth[ _-]?date|geburtsdatum|geb\.|kvnr|ssn)\s*[:=#]\s*\S",
        None,
        "a label of patient data",
    ),
    (r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+\.[A-Za-z]{2,}", None, "an email address"),
    (r"\b[0-9]{3}-[0-9]{2}-[0-9]{4}\b", None, "a social security number of the USA"),
    (r"\b[A-Z][0-9]{9}\b", Some(is_kvnr), "a German health insurance number"),
    (r"\b[0-9]{3}[ -][0-9]{3}[ -][0-9]{4}\b", Some(is_nhs), "a number of the NHS"),
    (r"\b756\.[0-9]{4}\.[0-9]{4}\.[0-9]{2}\b", None, "a Swiss social security number"),
];

/// All forms at once: most values have none.
static SET: LazyLock<RegexSet> = LazyLock::new(|| {
    RegexSet::new(LIKE.iter().map(|(form, ..)| *form)).expect("the forms are constants that a test compiles")
});

/// Each form, to judge what it found.
static FORMS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let compile = |(form, ..): &(&str, Option<Check>, &str)| {
        Regex::new(form).expect("the forms are constants that a test compiles")
    };
    LIKE.iter().map(compile).collect()
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_patient_data_is_found() {
        for value in [
            "sent PID|1||4711",
            "tag (0010,0020) missing",
            "loaded MUSTERMANN^ERIKA for bolus",
            "alarm, patient: Erika",
            "Geburtsdatum=12.08.1964",
            "mail to erika@example.com failed",
            "078-05-1120",
            // The example of the form's publisher, and the NHS's number for tests.
            "insured A123456780",
            "nhs 943 476 5919",
            "756.9217.0769.85",
        ] {
            assert!(looks_like("text", value).is_some(), "{value}");
        }
        assert!(looks_like("patient_id", "17").is_some());
        assert!(looks_like("hospital.patient.name", "x").is_some());
    }

    #[test]
    fn technical_lines_are_not() {
        for value in [
            "",
            "pump 3 started, firmware 2.1.0",
            "2026-11-30T12:00:00Z",
            "E1234 occlusion at 12 ml/h",
            "10.0.0.17:5514",
            "error code A123456781",
            "943 476 5918",
            "1764518400",
            "x^2 + y^2",
        ] {
            assert_eq!(looks_like("text", value), None, "{value}");
        }
        assert_eq!(looks_like("patient", " "), None);
        assert_eq!(looks_like("outpatients", "12"), None);
    }
}
