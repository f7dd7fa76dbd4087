//! RSA moduli that are seen to be weak by dividing them by small primes.

/// A modulus that gives its key away, or may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeakModulus {
    /// It has a prime factor below 752 (SP 800-89 §5.3.3; CA/B Baseline Requirements §6.1.6).
    SmallFactor,
    /// It has the fingerprint of primes that can be factored (ROCA, CVE-2017-15361).
    Roca,
}

pub(super) fn weakness(modulus: &[u8]) -> Option<WeakModulus> {
    if modulus.last().is_none_or(|last| last & 1 == 0)
        || PRIMES.iter().any(|prime| remainder(modulus, *prime) == 0)
    {
        return Some(WeakModulus::SmallFactor);
    }
    has_roca_fingerprint(modulus).then_some(WeakModulus::Roca)
}

/// The primes of Infineon's library are k·M + (65537^a mod M), M being a product of the first primes: the modulus is a power of 65537
/// modulo each of them (Nemec et al., "The Return of Coppersmith's Attack", CCS 2017, §2.3). The published test takes the 38 odd
/// primes up to 167, and is wrong about one good modulus of 2^27.8.
fn has_roca_fingerprint(modulus: &[u8]) -> bool {
    PRIMES
        .iter()
        .take_while(|prime| **prime <= 167)
        .all(|prime| is_power_of_65537(remainder(modulus, *prime), *prime))
}

fn is_power_of_65537(number: u32, prime: u32) -> bool {
    let mut power = 1;
    loop {
        if power == number {
            return true;
        }
        power = power * 65_537 % prime;
        // The powers come back to where they began: 65537 is prime itself, and larger than any of these.
        if power == 1 {
            return false;
        }
    }
}

fn remainder(number: &[u8], prime: u32) -> u32 {
    number.iter().fold(0, |rest, byte| (rest << 8 | u32::from(*byte)) % prime)
}

/// The odd primes below 752.
const PRIMES: [u32; 132] = {
    let (mut primes, mut found, mut number) = ([0; 132], 0, 3_u32);
    while number < 752 {
        let mut divisor = 3;
        while divisor * divisor <= number && !number.is_multiple_of(divisor) {
            divisor += 2;
        }
        if divisor * divisor > number {
            primes[found] = number;
            found += 1;
        }
        number += 2;
    }
    primes
};

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;

    /// Little endian, as arithmetic wants it here.
    fn times(number: &[u8], factor: u32) -> Vec<u8> {
        let mut carry = 0;
        let mut product: Vec<u8> = number
            .iter()
            .map(|byte| {
                let sum = u64::from(*byte) * u64::from(factor) + carry;
                carry = sum >> 8;
                sum as u8
            })
            .collect();
        while carry > 0 {
            product.push(carry as u8);
            carry >>= 8;
        }
        product
    }

    /// 65537^exponent.
    fn power(exponent: usize) -> Vec<u8> {
        (0..exponent).fold(vec![1], |power, _| times(&power, 65_537))
    }

    /// `length` bytes, big endian, of 65537^exponent + 2^shift·primorial: a power of 65537 modulo each of the primes, as a modulus of
    /// such a library is.
    fn of_roca(exponent: usize, length: usize) -> Vec<u8> {
        let mut sum = power(exponent);
        let primorial = PRIMES.iter().take_while(|prime| **prime <= 167).fold(vec![1], |m, p| times(&m, *p));
        let mut multiple = primorial;
        while multiple.len() < length || multiple[length - 1] < 0x80 {
            multiple = times(&multiple, 2);
        }
        sum.resize(length, 0);
        let mut carry = 0;
        for (byte, other) in sum.iter_mut().zip(&multiple) {
            let both = u32::from(*byte) + u32::from(*other) + carry;
            (*byte, carry) = (both as u8, both >> 8);
        }
        assert_eq!((multiple.len(), carry), (length, 0));
        sum.reverse();
        sum
    }

    #[test]
    fn the_primes_are_those_below_752() {
        assert_eq!((PRIMES[0], PRIMES[37], PRIMES[131]), (3, 167, 751));
        assert!(PRIMES.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn moduli_of_the_weak_library_are_recognized() {
        for (exponent, length) in [(7, 256), (50, 256), (91, 384), (100, 512)] {
            let modulus = of_roca(exponent, length);
            assert_eq!(weakness(&modulus), Some(WeakModulus::Roca), "{exponent}");
            // The next odd number but one has lost the fingerprint, whatever else it is.
            let mut next = modulus;
            let last = next.len() - 1;
            next[last] ^= 2;
            assert_ne!(weakness(&next), Some(WeakModulus::Roca), "{exponent}");
        }
    }

    #[test]
    fn a_modulus_with_a_small_factor_is_recognized() {
        for factor in [2, 3, 5, 167, 173, 751] {
            let mut modulus = times(&power(127), factor);
            modulus.reverse();
            assert_eq!(weakness(&modulus), Some(WeakModulus::SmallFactor), "{factor}");
        }
        // It has no factor but 65537, and the fingerprint.
        let mut modulus = power(127);
        modulus.reverse();
        assert_eq!(weakness(&modulus), Some(WeakModulus::Roca));
        assert_eq!(weakness(&[]), Some(WeakModulus::SmallFactor));
    }

    #[cfg(feature = "authority")]
    #[test]
    fn a_fresh_key_has_no_weakness() {
        use super::super::{KeyAlgorithm, Signer, SigningKey, VerifyingKey};
        let document = SigningKey::generate_pkcs8(KeyAlgorithm::Rsa3072).unwrap();
        let key = SigningKey::from_pkcs8(KeyAlgorithm::Rsa3072.signature(), &document).unwrap();
        let VerifyingKey::Rsa(key) = key.verifying_key() else { panic!("another key") };
        assert_eq!(key.weakness(), None);
    }
}
