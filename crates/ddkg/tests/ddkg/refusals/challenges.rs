//! Challenges at the edges of their time, of another device, another recipe, another authority.

use crate::common::{Counter, HOURLY, Pair, Setup, flipped, name};
use wardein_crypto::Secret;
use wardein_ddkg::{Challenge, ChallengeError, ChallengeKey, Recipe};

#[test]
fn a_challenge_is_good_for_its_time() {
    let mut pair = Pair::new(Setup::new(HOURLY));
    let (issued_ms, policy) = (pair.now_ms, pair.setup.policy.clone());
    let (challenge, recipe) = (pair.offer().1.challenge, pair.recipe());
    let check = |now_ms| pair.key.check(&challenge, pair.record.device(), &recipe, now_ms, &policy);
    for good in [issued_ms - policy.skew_ms, issued_ms, issued_ms + policy.challenge_lifetime_ms] {
        assert_eq!(check(good).unwrap().issued_ms(), issued_ms);
    }
    let early = issued_ms - policy.skew_ms - 1;
    let refused = check(early).unwrap_err();
    assert_eq!(refused, ChallengeError::FromTheFuture { issued_ms, now_ms: early });
    assert_eq!(refused.code().as_str(), "challenge-from-the-future");
    let expires_ms = issued_ms + policy.challenge_lifetime_ms;
    let refused = check(expires_ms + 1).unwrap_err();
    assert_eq!(refused, ChallengeError::Expired { expires_ms, now_ms: expires_ms + 1 });
    assert_eq!(refused.code().as_str(), "challenge-expired");
}

#[test]
fn a_challenge_is_for_one_device_and_recipe_of_one_authority() {
    let mut pair = Pair::new(Setup::new(HOURLY));
    let (challenge, recipe, policy) = (pair.offer().1.challenge, pair.recipe(), pair.setup.policy.clone());
    let (now_ms, own) = (pair.now_ms, pair.record.device().clone());
    let tenant = wardein_ddkg::DeviceName { tenant: "klinik-sued".parse().unwrap(), ..own.clone() };
    let reversed = Recipe::new(recipe.names().iter().rev().cloned().collect()).unwrap();
    let other_key = ChallengeKey::new(Secret::copied_from(&[8; 32]));
    for (what, key, device, recipe) in [
        ("device", &pair.key, &name("pump-0002"), &recipe),
        ("tenant", &pair.key, &tenant, &recipe),
        ("order of the recipe", &pair.key, &own, &reversed),
        ("recipe", &pair.key, &own, &Recipe::default()),
        ("authority", &other_key, &own, &recipe),
    ] {
        let refused = key.check(&challenge, device, recipe, now_ms, &policy).unwrap_err();
        assert_eq!(
            (refused, refused.code().as_str()),
            (ChallengeError::Unknown, "challenge-unknown"),
            "{what}"
        );
    }
    let bytes = challenge.as_bytes();
    for bit in 0..8 * bytes.len() {
        let changed = Challenge::new(&flipped(bytes, bit)).unwrap();
        let refused = pair.key.check(&changed, &own, &recipe, now_ms, &policy).err();
        assert_eq!(refused, Some(ChallengeError::Unknown), "bit {bit}");
    }
    for length in [1, bytes.len() - 1, bytes.len() + 1, Challenge::MAX_LEN] {
        let mut other = bytes.to_vec();
        other.resize(length, 0);
        let refused = pair.key.check(&Challenge::new(&other).unwrap(), &own, &recipe, now_ms, &policy).err();
        assert_eq!(refused, Some(ChallengeError::Unknown), "{length} bytes");
    }
    let again = pair.key.issue(&own, &recipe, now_ms, &mut Counter(9)).unwrap();
    assert_ne!(again, challenge, "no two are alike");
}
