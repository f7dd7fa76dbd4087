//! Offers: nothing is installed without one.

use super::*;

/// What the authority would offer of release 2.
pub(super) fn offer(issued: u64) -> Offer {
    Offer {
        tenant: "clinic".parse().unwrap(),
        device: "pump-1".parse().unwrap(),
        repository: "acme".parse().unwrap(),
        line: INFUSION.parse().unwrap(),
        version: 2,
        length: 10,
        sha256: Digest::of(b"the second"),
        issued,
        expires: UnixSeconds::new(now().get() + Offer::LIFETIME),
    }
}

#[tokio::test]
async fn nothing_is_installed_but_by_an_offer_to_this_device_that_is_good_still() {
    let bench = Bench::new();
    let shared = Shared::new();
    bench.trust().await;
    bench.needs_offers_of(&shared);
    bench.download(Pick::Version(2)).await.unwrap();
    let installed = async |bytes: Option<&[u8]>| {
        if let Some(bytes) = bytes {
            fs::write(bench.at("device/update/offer"), bytes).unwrap();
        }
        code(bench.updater().await.install(Pick::Version(2)).await)
    };
    assert_eq!(installed(None).await, "offer-missing");
    let signed = |offer: &Offer| offer.sign(&shared.0.borrow().identity).unwrap();
    let others = P256SigningKey::from_pkcs8(&P256SigningKey::generate_pkcs8().unwrap()).unwrap();
    let mut altered = signed(&offer(7));
    // The version's last byte.
    let at = b"wardein update offer 1\0".len() + 7 + 7 + 5 + 1 + INFUSION.len() + 7;
    altered[at] = 3;
    let refused = [
        (b"no offer".to_vec(), "offer-malformed"),
        (vec![0; 4096], "offer-malformed"),
        (altered, "offer-not-signed"),
        (offer(7).sign(&others).unwrap(), "offer-not-signed"),
        (signed(&Offer { device: "pump-2".parse().unwrap(), ..offer(7) }), "offer-other-device"),
        (signed(&Offer { tenant: "lab".parse().unwrap(), ..offer(7) }), "offer-other-device"),
        (signed(&Offer { version: 3, ..offer(7) }), "offer-other-release"),
        (signed(&Offer { sha256: Digest::of(b"the third"), ..offer(7) }), "offer-other-release"),
        (signed(&Offer { length: 11, ..offer(7) }), "offer-other-release"),
        (signed(&Offer { repository: "maker".parse().unwrap(), ..offer(7) }), "offer-other-release"),
        (signed(&Offer { line: "monitors".parse().unwrap(), ..offer(7) }), "offer-other-release"),
        (signed(&Offer { expires: now(), ..offer(7) }), "offer-expired"),
    ];
    for (bytes, expected) in refused {
        assert_eq!(installed(Some(&bytes)).await, expected);
        assert_eq!((bench.slot(), bench.updater().await.standing().unwrap().pending), (None, None));
    }
    // A command that fails uses no offer up.
    let good = signed(&offer(7));
    bench.script("install", "exit 1");
    assert_eq!(installed(Some(&good)).await, "update-install-failed");
    assert!(bench.updater().await.holds_offer(Pick::Latest).unwrap());
    bench.script("install", "cp \"$1\" \"${0%install}slot\"");
    assert_eq!(installed(None).await, "taken");
    assert_eq!(bench.slot().unwrap(), b"the second");
    // Once it was rolled back, the same offer installs nothing again, and neither does an earlier one.
    bench.updater().await.rolled_back().unwrap();
    assert!(!bench.updater().await.holds_offer(Pick::Latest).unwrap());
    assert_eq!(installed(None).await, "offer-replayed");
    assert_eq!(installed(Some(&signed(&offer(6)))).await, "offer-replayed");
    assert_eq!(installed(Some(&signed(&offer(8)))).await, "taken");
    assert_eq!(bench.updater().await.confirm().unwrap().version, 2);
    assert_eq!(bench.updater().await.standing().unwrap().last_offer, 8);
}
