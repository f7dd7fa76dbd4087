//! Reads a receipt with Veraison's `ear`: `wardein-verdicts-ear RECEIPT JWKS AUDIENCE STATUS`.

use ear::{Ear, TrustTier};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [receipt, jwks, audience, status] = &args[..] else {
        return Err("wardein-verdicts-ear RECEIPT JWKS AUDIENCE STATUS".into());
    };
    let receipt = std::fs::read_to_string(receipt)?;
    let keys: JwkSet = serde_json::from_str(&std::fs::read_to_string(jwks)?)?;
    let kid = decode_header(receipt.trim())?.kid.ok_or("the receipt names no key")?;
    let key = DecodingKey::from_jwk(keys.find(&kid).ok_or("no key of that name is published")?)?;
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_audience(&[audience]);
    validation.set_required_spec_claims(&["exp", "aud"]);
    validation.leeway = 0;
    let result = decode::<Ear>(receipt.trim(), &key, &validation)?.claims;
    let device = result.submods.get("device").ok_or("it has no submod `device`")?;
    println!(
        "{} by {} {}: {}, instance-identity {}",
        result.profile,
        result.vid.developer,
        result.vid.build,
        device.status,
        device.trust_vector.instance_identity.value(),
    );
    if device.status != TrustTier::try_from(status.as_str())? {
        return Err(format!("its status is {}", device.status).into());
    }
    Ok(())
}
