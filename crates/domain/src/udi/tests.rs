use super::*;
use alloc::format;
use alloc::string::String;

#[test]
fn gs1_is_kept_in_one_form() {
    let gs = char::from(gs1::FNC1);
    let one = "(01)09506000134352(17)271231(10)LOT-7(21)4711";
    for (text, kept) in [
        ("(01)09506000134352", "(01)09506000134352"),
        (one, one),
        ("(01) 09506000134352 (21) 4711", "(01)09506000134352(21)4711"),
        ("(01)09506000134352(17)271200", "(01)09506000134352(17)271200"),
        ("(01)09506000134352(8012)V3.1(21)4711", "(01)09506000134352(8012)V3.1(21)4711"),
        ("(01)09506000134352(240)ADD-77(21)4711", "(01)09506000134352(240)ADD-77(21)4711"),
        ("0109506000134352172712312147110815", "(01)09506000134352(17)271231(21)47110815"),
        (&format!("]d20109506000134352{gs}10LOT7{gs}214711"), "(01)09506000134352(10)LOT7(21)4711"),
        (&format!("{gs}010950600013435230125{gs}8012V3"), "(01)09506000134352(30)125(8012)V3"),
        ("09506000134352", "(01)09506000134352"),
        ("]E09506000134352", "(01)09506000134352"),
        ("9506000134352", "(01)09506000134352"),
    ] {
        let udi: Udi = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(udi.as_str(), kept);
        assert_eq!(kept.parse::<Udi>().unwrap(), udi, "the form that is kept reads as itself");
    }
    for (bad, error) in [
        ("", UdiError::Length),
        (" ", UdiError::Agency),
        ("]d", UdiError::Agency),
        ("(10)LOT", UdiError::Part),
        ("10LOT", UdiError::Part),
        ("(01)0950600013435", UdiError::Gtin),
        ("(01)09506000134353", UdiError::Gtin),
        ("(01)0950600013435A", UdiError::Gtin),
        ("09506000134353", UdiError::Gtin),
        ("(01)09506000134352(99)x", UdiError::Part),
        ("(01)09506000134352(10)a(10)b", UdiError::Part),
        ("(01)09506000134352(01)09506000134352", UdiError::Part),
        ("(01)09506000134352x", UdiError::Gtin),
        ("(01)09506000134352(17)271301", UdiError::Date),
        ("(01)09506000134352(17)270230", UdiError::Date),
        ("(01)09506000134352(17)270229", UdiError::Date),
        ("(01)09506000134352(17)27123", UdiError::Date),
        ("(01)09506000134352(17)2712311", UdiError::Date),
        ("(01)09506000134352(17)+71231", UdiError::Date),
        ("(01)09506000134352(20)1", UdiError::Text),
        ("(01)09506000134352(30)123456789", UdiError::Text),
        ("(01)09506000134352(21)", UdiError::Text),
        ("(01)09506000134352(21)a b", UdiError::Text),
        ("(01)09506000134352(21)abcdefghij01234567890", UdiError::Text),
        ("010950600013435217270", UdiError::Date),
        ("0109506000134352\u{e4}", UdiError::Part),
        ("(01)0950600013435\u{e4}", UdiError::Gtin),
    ] {
        assert_eq!(bad.parse::<Udi>(), Err(error), "{bad}");
    }
    assert_eq!("(01)09506000134352(17)280229".parse::<Udi>().unwrap().as_str().len(), 28);
    assert_eq!("1".repeat(Udi::MAX_LEN + 1).parse::<Udi>(), Err(UdiError::Length));
}

/// Of HIBCC, with its check character.
fn with(text: &str) -> String {
    let known = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-. $/+%";
    let sum: usize = text.chars().map(|one| known.find(one).unwrap()).sum();
    format!("{text}{}", known.chars().nth(sum % 43).unwrap())
}

#[test]
fn hibcc_is_checked_by_its_last_character() {
    assert_eq!(with("+A999123450/$$3271231LOT7/S4711"), "+A999123450/$$3271231LOT7/S47115");
    for good in [
        "+A999123450",
        "+A9991X0/$LOT7",
        "+A9991X0/$+4711",
        "+A9991X0/$$1227LOT7",
        "+A9991X0/$$2123127LOT7",
        "+A9991X0/$$42712312359LOT",
        "+A9991X0/$$527365",
        "+A9991X0/$$62836623L",
        "+A9991X0/$$7LOT7",
        "+A9991X0/$$8053271231LOT7",
        "+A9991X0/$$+32712314711/16D20260131/14D20280229/Q12",
    ] {
        let text = with(good);
        assert_eq!(text.parse::<Udi>().unwrap_or_else(|error| panic!("{text}: {error}")).as_str(), text);
    }
    for (bad, error) in [
        ("+A999123450/$$3270230LOT7", UdiError::Date),
        ("+A9991X0/$$527366", UdiError::Date),
        ("+A9991X0/$$4271231", UdiError::Date),
        ("+A9991X0/$$427123124", UdiError::Date),
        ("+A9991X0/14D20270229", UdiError::Date),
        ("+A9991X0/14D2027", UdiError::Date),
        ("+A9991X0/$$1327", UdiError::Date),
        ("+A9991X0/$$", UdiError::Date),
        ("+A9991X0/$", UdiError::Text),
        ("+A9991X0/S1234567890123456789", UdiError::Text),
        ("+9999123450", UdiError::Text),
        ("+A999123X", UdiError::Text),
        ("+A9990", UdiError::Text),
        ("+A9991X0/X1", UdiError::Structure),
        ("+A9991X0/Q123456", UdiError::Text),
    ] {
        assert_eq!(with(bad).parse::<Udi>(), Err(error), "{bad}");
    }
    for bad in ["+A999123450/$$3271231LOT7/S47116", "+A999123450/$$3271231LOT8/S47115", "+", "+0"] {
        assert_eq!(bad.parse::<Udi>(), Err(UdiError::CheckCharacter), "{bad}");
    }
    assert_eq!("+a999123450A".parse::<Udi>(), Err(UdiError::Text));
    assert_eq!("+A99912345\u{e4}".parse::<Udi>(), Err(UdiError::Text));
}

#[test]
fn iccbba_has_structures_of_fixed_length() {
    let whole = "=/A1234BCDEFGF0001=,000042=A12342612345600=>027365=}027300";
    for good in [whole, "=/A1234BCDEFGF0001", "=/A1234BCDEFGF0001&,1ABCDEFGHIJ01234567"] {
        assert_eq!(good.parse::<Udi>().unwrap_or_else(|error| panic!("{good}: {error}")).as_str(), good);
    }
    for (bad, error) in [
        ("=,000042", UdiError::Structure),
        ("=/A1234BCDEFGF000", UdiError::Text),
        ("=/a1234BCDEFGF0001", UdiError::Text),
        ("=/A1234BCDEFGF0001=,00004", UdiError::Text),
        ("=/A1234BCDEFGF0001=>027366", UdiError::Date),
        ("=/A1234BCDEFGF0001=>027000", UdiError::Date),
        ("=/A1234BCDEFGF0001=>A27001", UdiError::Date),
        ("=/A1234BCDEFGF0001=,000042=,000042", UdiError::Structure),
        ("=/A1234BCDEFGF0001=?1", UdiError::Structure),
        ("=/A1234BCDEFGF0001x", UdiError::Structure),
        ("=/A1234BCDEFGF000\u{e4}", UdiError::Text),
    ] {
        assert_eq!(bad.parse::<Udi>(), Err(error), "{bad}");
    }
}

#[test]
fn a_serial_number_is_found_in_each_agencys_form_and_nowhere_else() {
    for (text, numbered) in [
        ("(01)09506000134352(17)271231(10)LOT-7(21)4711", Some(("09506000134352", "4711"))),
        ("(01)09506000134352(8012)V3.1(21)4711(240)ADD", Some(("09506000134352", "4711"))),
        ("(01)09506000134352(10)21", None),
        ("09506000134352", None),
    ] {
        let udi: Udi = text.parse().unwrap();
        assert_eq!(udi.numbered(), numbered, "{text}");
    }
    for (text, numbered) in [
        ("+A999123450/$$3271231LOT7/S4711", Some(("A999123450", "4711"))),
        ("+A9991X0/$+4711", Some(("A9991X0", "4711"))),
        ("+A9991X0/$$+32712314711/16D20260131/Q12", Some(("A9991X0", "4711"))),
        ("+A9991X0/$$+74711", Some(("A9991X0", "4711"))),
        ("+A9991X0/$$7LOT7", None),
        ("+A9991X0/$LOT7", None),
        ("+A9991X0", None),
    ] {
        let udi: Udi = with(text).parse().unwrap();
        assert_eq!(udi.numbered(), numbered, "{text}");
    }
    for (text, numbered) in [
        ("=/A1234BCDEFGF0001=,000042=A12342612345600=>027365", Some(("=/A1234BCDEFGF0001", "000042"))),
        ("=/A1234BCDEFGF0001=>027365=,000042", Some(("=/A1234BCDEFGF0001", "000042"))),
        ("=/A1234BCDEFGF0001=A12342612345600", None),
        ("=/A1234BCDEFGF0001", None),
    ] {
        assert_eq!(text.parse::<Udi>().unwrap().numbered(), numbered, "{text}");
    }
}
