//! The vectors of DDKG-1 through the ABI, where it makes no random choice: tokens, and the opening of payloads. The state that
//! they rest on is written here, from its form (`crates/ddkg/src/device/codec.rs`) and section 2 of the specification.

use crate::common::{Dev, ID, TENANT};
use serde_json::Value;
use wardein_crypto::{Digest, Secret, hex};
use wardein_ddkg::expand_into;

fn vectors() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../crates/ddkg/vectors/ddkg-1.vectors.json");
    let vectors: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!((vectors["tenant"].as_str(), vectors["device_id"].as_str()), (Some(TENANT), Some(ID)));
    vectors
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

fn frame(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_be_bytes()[..], bytes].concat()
}

/// The state of a device whose generation has this root, whose next numbers are `reserved`, and for which it is `epoch` 1 at
/// `time`.
fn state(root: &[u8], generation: u64, reserved: u64, time: u64) -> Vec<u8> {
    let period = 1_000_000u64;
    let mut out = vec![1];
    out.extend(1u64.to_be_bytes());
    out.extend([frame(TENANT.as_bytes()), frame(ID.as_bytes())].concat());
    out.extend([4; 65]);
    out.extend(1u16.to_be_bytes());
    out.extend([generation, period, 0, time - period].map(u64::to_be_bytes).concat());
    // Proven, and so without a confirmation.
    out.push(2);
    out.extend([0; 32]);
    out.extend(time.to_be_bytes());
    out.extend(0u32.to_be_bytes());
    out.extend(0u64.to_be_bytes());
    out.push(0b1111);
    for purpose in ["proof", "token", "data", "file"] {
        let mut tree = [0; 32];
        let root = Secret::copied_from(root.try_into().unwrap());
        expand_into(&root, "purpose", purpose.as_bytes(), &mut tree).unwrap();
        out.extend([reserved, 0].map(u64::to_be_bytes).concat());
        out.extend([0, u32::MAX].map(u32::to_be_bytes).concat());
        out.extend(tree);
    }
    let checksum = Digest::of(&out);
    out.extend(&checksum.as_ref()[..16]);
    out
}

#[test]
fn a_token_is_that_of_the_vectors() {
    let vectors = vectors();
    let token = &vectors["token"];
    assert_eq!(token["epoch"], 1);
    let issued_at = number(&token["issued_at"]);
    // Three seconds of a monotonic clock after the last ack.
    let state = state(&bytes(&token["generation_root"]), 1, number(&token["number"]), issued_at - 3);
    let mut dev = Dev::restored(&state, 0).unwrap();
    let (audience, nonce) = (token["audience"].as_str().unwrap(), bytes(&token["platform_nonce"]));
    let made = dev.token(3, audience, &nonce).unwrap();
    let expected = [
        vec![7],
        frame(TENANT.as_bytes()),
        frame(ID.as_bytes()),
        number(&token["generation"]).to_be_bytes().to_vec(),
        1u32.to_be_bytes().to_vec(),
        number(&token["number"]).to_be_bytes().to_vec(),
        frame(audience.as_bytes()),
        frame(&nonce),
        issued_at.to_be_bytes().to_vec(),
        bytes(&token["mac"]),
    ];
    assert_eq!(hex::encode(&made), hex::encode(&expected.concat()));
}

#[test]
fn a_payload_of_the_vectors_opens() {
    let vectors = vectors();
    let sealed = &vectors["sealed"];
    let name = format!("ddkg1:{TENANT}/{ID}/1.data.{}.{}", sealed["epoch"], sealed["number"]);
    let message =
        [vec![8], frame(name.as_bytes()), bytes(&sealed["nonce"]), frame(&bytes(&sealed["ciphertext"]))];
    let state = state(&bytes(&sealed["generation_root"]), 1, 0, 1_800_000_000);
    let mut dev = Dev::restored(&state, 0).unwrap();
    let additional = bytes(&sealed["additional_data"]);
    assert_eq!(dev.open(&additional, &message.concat()).unwrap(), bytes(&sealed["plaintext"]));
}
