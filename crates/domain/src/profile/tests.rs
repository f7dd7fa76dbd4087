//! Settings at their bounds, inherited, and what follows from them.

use super::*;
use alloc::vec;

fn wrong(fields: &ProfileFields) -> &'static str {
    Profile::DEFAULT.with(fields).unwrap_err().field
}

#[test]
fn each_field_at_its_bounds() {
    const YEARS: u64 = 10 * 366 * 86_400;
    let none = ProfileFields::default;
    for good in [
        ProfileFields { certificate_validity: Some(300), period: Some(60), ..none() },
        ProfileFields { certificate_validity: Some(31_622_400), period: Some(YEARS), ..none() },
        ProfileFields { period: Some(0), max_uses: Some(u64::MAX), suites: Some(vec![1, 2]), ..none() },
        ProfileFields { verdict_lifetime: Some(86_400), rekey_after: Some(3_600), ..none() },
        ProfileFields { rekey_after: Some(YEARS), token_retention: Some(1_000), ..none() },
        ProfileFields { rekey_after: Some(0), data_retention: Some(10_000_000), ..none() },
        ProfileFields { archive: Some(vec![Purpose::File, Purpose::Data]), ..none() },
        ProfileFields { certificate_renewal: Some(20), ..none() },
        ProfileFields { certificate_renewal: Some(90), ..none() },
    ] {
        assert!(Profile::DEFAULT.with(&good).is_ok(), "{good:?}");
    }
    for (bad, field) in [
        (ProfileFields { certificate_validity: Some(299), ..none() }, "certificate_validity"),
        (ProfileFields { certificate_validity: Some(31_622_401), ..none() }, "certificate_validity"),
        (ProfileFields { period: Some(59), ..none() }, "period"),
        (ProfileFields { period: Some(YEARS + 1), ..none() }, "period"),
        (ProfileFields { suites: Some(vec![]), ..none() }, "suites"),
        (ProfileFields { suites: Some(vec![3]), ..none() }, "suites"),
        (ProfileFields { suites: Some(vec![0]), ..none() }, "suites"),
        (ProfileFields { suites: Some(vec![1; 3]), ..none() }, "suites"),
        (ProfileFields { verdict_lifetime: Some(86_401), ..none() }, "verdict_lifetime"),
        (ProfileFields { rekey_after: Some(3_599), ..none() }, "rekey_after"),
        (ProfileFields { rekey_after: Some(YEARS + 1), ..none() }, "rekey_after"),
        (ProfileFields { token_retention: Some(1_001), ..none() }, "token_retention_epochs"),
        (ProfileFields { data_retention: Some(10_000_001), ..none() }, "data_retention_epochs"),
        (ProfileFields { file_retention: Some(10_000_001), ..none() }, "file_retention_epochs"),
        (ProfileFields { certificate_renewal: Some(19), ..none() }, "certificate_renewal_percent"),
        (ProfileFields { certificate_renewal: Some(91), ..none() }, "certificate_renewal_percent"),
        (ProfileFields { archive: Some(vec![Purpose::Token]), ..none() }, "archive"),
        (ProfileFields { archive: Some(vec![Purpose::Data; 3]), ..none() }, "archive"),
    ] {
        assert_eq!(wrong(&bad), field, "{bad:?}");
    }
    let only_2 = Profile::DEFAULT.with(&ProfileFields { suites: Some(vec![2]), ..none() }).unwrap();
    assert!(!only_2.allows_suite(1) && only_2.allows_suite(2) && !only_2.allows_suite(3));
}

#[test]
fn keys_are_not_agreed_so_often_that_a_record_is_filled() {
    // A year of hours: 8,760 epochs. Eight generations must last as long.
    let fields = |rekey_after| ProfileFields {
        data_retention: Some(8_760),
        rekey_after: Some(rekey_after),
        ..ProfileFields::default()
    };
    let least = 8_760 * 3_600 / 8;
    for (set, after) in [(3_600, Some(least)), (least + 1, Some(least + 1)), (0, None)] {
        assert_eq!(Profile::DEFAULT.with(&fields(set)).unwrap().rekey_after(), after);
    }
}

#[test]
fn a_name_that_no_device_could_have_is_found_where_it_is_set() {
    let (tenant, name) = ("klinik".parse().unwrap(), "default".parse().unwrap());
    let template = |text: &str| Some(text.parse::<NameTemplate>().unwrap());
    let field = |fields: &ProfileFields| fields.check_names(&tenant, &name).err().map(|error| error.field);
    let none = ProfileFields::default;
    // Of the 64 bytes, one is left for the device's id.
    let cn = |literal: usize| template(&alloc::format!("{{device}}{}.{{tenant}}", "x".repeat(literal)));
    assert_eq!(field(&ProfileFields { certificate_cn: cn(56), ..none() }), None);
    assert_eq!(field(&ProfileFields { certificate_cn: cn(57), ..none() }), Some("certificate_cn"));
    for (dns, is_name) in [
        ("{device}.{tenant}.example", true),
        ("{device}_x", false),
        ("{device}.1", false),
        ("x..{device}", false),
    ] {
        let found = field(&ProfileFields { certificate_dns: template(dns), ..none() });
        assert_eq!(found, (!is_name).then_some("certificate_dns"), "{dns}");
    }
}

#[test]
fn what_certificates_are_for_brings_its_keys_unless_others_are_chosen() {
    use crate::key_kind::KeyKind;
    let none = ProfileFields::default;
    let profile = CertificateProfile::DicomTls;
    assert_eq!(Profile::DEFAULT.certificate_keys(), KeyKinds::P256);
    let legacy = KeyKinds::of(&[KeyKind::Rsa2048]);
    let above = Profile::DEFAULT.with(&ProfileFields { certificate_keys: Some(legacy), ..none() }).unwrap();
    assert_eq!(above.with(&none()).unwrap().certificate_keys(), legacy);
    let own = above.with(&ProfileFields { certificate_profile: Some(profile), ..none() }).unwrap();
    assert_eq!((own.certificate_profile(), own.certificate_keys()), (profile, KeyKinds::STRONG));
    let fields =
        ProfileFields { certificate_profile: Some(profile), certificate_keys: Some(legacy), ..none() };
    assert_eq!(Profile::DEFAULT.with(&fields).unwrap().certificate_keys(), legacy);
}

#[test]
fn what_nobody_is_told_the_revocation_of_lives_for_a_week() {
    let of = |validity, no_rev_avail| {
        let fields = ProfileFields {
            certificate_validity: Some(validity),
            certificate_no_rev_avail: Some(no_rev_avail),
            ..ProfileFields::default()
        };
        Profile::DEFAULT.with(&fields).unwrap().certificate_validity()
    };
    assert_eq!((of(604_800, true), of(604_801, true), of(604_801, false)), (604_800, 604_800, 604_801));
}

#[test]
fn a_certificate_is_renewed_after_the_share_that_its_profile_sets() {
    let of = |share| {
        let fields = ProfileFields { certificate_renewal: share, ..ProfileFields::default() };
        let window = Profile::DEFAULT.with(&fields).unwrap().renewal_window(1_000, 2_000);
        // Devices go by it, whatever is set.
        assert!(window.is_of(1_000, 2_000));
        (window.start(), window.end())
    };
    assert_eq!(of(None), (1_580, 1_740), "two thirds");
    assert_eq!((of(Some(20)), of(Some(90))), ((1_120, 1_280), (1_820, 1_980)));
}

#[test]
fn what_is_not_set_is_inherited() {
    let fields = ProfileFields {
        max_uses: Some(7),
        quarantine_on_clone: Some(false),
        archive: Some(vec![Purpose::Data]),
        ..ProfileFields::default()
    };
    let own = Profile::DEFAULT.with(&fields).unwrap();
    assert_eq!((own.schedule(9).max_uses, own.schedule(9).period), (7, 3_600));
    assert!(!own.quarantines_clones() && own.archives(Purpose::Data) && !own.archives(Purpose::File));
    let below = own.with(&ProfileFields { archive: Some(vec![]), ..ProfileFields::default() }).unwrap();
    assert!(!below.archives(Purpose::Data) && !below.quarantines_clones());
    assert_eq!(below.with(&ProfileFields::default()), Ok(below));
    assert_eq!(Profile::DEFAULT.with(&own.fields()), Ok(own), "fields() leaves nothing out");
    let template = |text: &str| Some(text.parse::<NameTemplate>().unwrap());
    let named = ProfileFields { certificate_cn: template("{device}"), ..ProfileFields::default() };
    let named = Profile::DEFAULT.with(&named).unwrap();
    assert_eq!(named.with(&ProfileFields::default()).unwrap(), named);
    let unnamed = ProfileFields { certificate_cn: template(""), ..ProfileFields::default() };
    assert_eq!(named.with(&unnamed).unwrap(), Profile::DEFAULT, "to have none is a setting, too");
}
