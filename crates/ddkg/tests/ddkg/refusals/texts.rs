//! Names and texts within messages, and what is made of values rather than bytes.

use super::decoding::{find, length, range, with};
use crate::common::{HOURLY, NO_CLOCK, Pair, Setup, save, suites};
use wardein_crypto::Secret;
use wardein_ddkg::authority::Delegation;
use wardein_ddkg::message::{EnrollRequest, FileStanza, ProofRequest, SealedPayload, Token};
use wardein_ddkg::{
    Attributes, AuthorityShare, Challenge, Cover, DecodeError, DeviceShare, KeyName, MAX_ATTRIBUTE_LEN,
    MAX_ATTRIBUTES, MAX_COVER_NODES, NODE_LEN, Problem, Recipe, Suite, expand_into,
};
use wardein_domain::{AttributeName, Purpose};

fn name_of<T>(result: Result<T, DecodeError>) -> (&'static str, bool) {
    let error = result.err().unwrap();
    (error.field, matches!(error.problem, Problem::Name(_)))
}

#[test]
fn a_name_that_is_none_is_refused_under_its_field() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let proof = pair.ask("certificate", b"").request.encode();
    let token = pair.token(b"").encode();
    let request = pair.setup.begin(&mut pair.entropy).request().encode();
    let spoil = |bytes: &[u8], part: &[u8]| with(bytes, find(bytes, part), b"\n");
    assert_eq!(name_of(ProofRequest::decode(&spoil(&proof, b"klinik"))), ("tenant", true));
    assert_eq!(name_of(ProofRequest::decode(&spoil(&proof, b"pump"))), ("device id", true));
    assert_eq!(name_of(ProofRequest::decode(&spoil(&proof, b"certificate"))), ("action", true));
    assert_eq!(name_of(Token::decode(&spoil(&token, b"platform"))), ("audience", true));
    assert_eq!(name_of(EnrollRequest::decode(&spoil(&request, b"firmware"))), ("attribute name", true));
    let not_text = with(&proof, find(&proof, b"klinik"), &[0xff]);
    assert_eq!(
        ProofRequest::decode(&not_text).err(),
        Some(Problem::NotCanonical("is not UTF-8").of("tenant"))
    );
    let delegation = pair.record.delegate(Purpose::Data, 0, 0).unwrap().encode();
    let other = spoil(delegation.expose(), b"data");
    assert_eq!(name_of(Delegation::decode(&other)), ("purpose", true));
}

#[test]
fn attributes_have_one_order_and_their_bounds() {
    let attribute = |name: &str| [&[0, 0, 0, name.len() as u8], name.as_bytes(), &[0, 0, 0, 0]].concat();
    let order = Problem::NotCanonical("is out of byte order or given twice").of("attribute name");
    for (first, second) in [("b", "a"), ("a", "a")] {
        let refused = Attributes::decode(&[attribute(first), attribute(second)].concat()).err();
        assert_eq!(refused, Some(order.clone()));
    }
    let name = |text: &str| text.parse::<AttributeName>().unwrap();
    let mut attributes = Attributes::new();
    for i in 0..MAX_ATTRIBUTES {
        attributes.insert(name(&format!("a{i:02}")), &[0; MAX_ATTRIBUTE_LEN]).unwrap();
    }
    assert_eq!(attributes.insert(name("b"), b""), Err(range(65, 0, 64).of("attributes")));
    let twice = Problem::NotCanonical("is given twice").of("attribute name");
    assert_eq!(attributes.insert(name("a00"), b""), Err(twice));
    let long = Attributes::new().insert(name("b"), &[0; MAX_ATTRIBUTE_LEN + 1]);
    assert_eq!(long, Err(length(4097, 0, 4096).of("attribute value")));
    let more = [attributes.encode(), attribute("b")].concat();
    assert_eq!(Attributes::decode(&more), Err(range(65, 0, 64).of("attributes")));
    let names = |count: usize| (0..count).map(|i| name(&format!("a{i}"))).collect();
    assert!(Recipe::new(names(MAX_ATTRIBUTES)).is_ok());
    assert_eq!(Recipe::new(names(MAX_ATTRIBUTES + 1)), Err(range(65, 0, 64).of("recipe")));
    let twice = Problem::NotCanonical("names an attribute twice").of("recipe");
    assert_eq!(Recipe::new(vec![name("a"), name("a")]), Err(twice));
}

#[test]
fn shares_and_challenges_have_their_lengths() {
    for suite in suites() {
        let [device, authority] = if suite == Suite::P256 { [65, 65] } else { [65 + 1184, 65 + 1088] };
        for (given, exact) in [(device - 1, device), (device + 1, device)] {
            let refused = DeviceShare::new(suite, &vec![4; given]).err();
            assert_eq!(refused, Some(length(given, exact, exact).of("device share")));
        }
        for (given, exact) in [(authority - 1, authority), (authority + 1, authority)] {
            let refused = AuthorityShare::new(suite, &vec![4; given]).err();
            assert_eq!(refused, Some(length(given, exact, exact).of("authority share")));
        }
    }
    for given in [0, 256] {
        assert_eq!(Challenge::new(&vec![0; given]).err(), Some(length(given, 1, 255).of("challenge")));
    }
}

#[test]
fn a_key_name_has_one_form() {
    let shape = "is not ddkg1:<tenant>/<device>/<g>.<p>.<e>.<n>";
    let plain = "is not a plain decimal number";
    let long = "x".repeat(KeyName::MAX_LEN + 1);
    for (text, error) in [
        ("ddkg2:t/d/1.data.0.0", Problem::NotCanonical(shape).of("key name")),
        ("ddkg1:t/d", Problem::NotCanonical(shape).of("key name")),
        ("ddkg1:t/d/1.data.0", Problem::NotCanonical(shape).of("key name")),
        ("ddkg1:t/d/1.data.0.0.", Problem::NotCanonical(shape).of("key name")),
        (long.as_str(), length(KeyName::MAX_LEN + 1, 1, KeyName::MAX_LEN).of("key name")),
        ("ddkg1:t/d/0.data.0.0", range(0, 1, u64::MAX).of("generation")),
        ("ddkg1:t/d/01.data.0.0", Problem::NotCanonical(plain).of("generation")),
        ("ddkg1:t/d/1.data.-1.0", Problem::NotCanonical(plain).of("epoch")),
        ("ddkg1:t/d/1.data.4294967296.0", range(1 << 32, 0, (1 << 32) - 1).of("epoch")),
        ("ddkg1:t/d/1.data.0.", Problem::NotCanonical(plain).of("number")),
        (
            "ddkg1:t/d/1.data.0.18446744073709551616",
            Problem::NotCanonical("does not fit in 64 bits").of("number"),
        ),
    ] {
        assert_eq!(text.parse::<KeyName>().err(), Some(error), "{text}");
    }
    assert_eq!(name_of("ddkg1:T/d/1.data.0.0".parse::<KeyName>()), ("tenant", true));
    assert_eq!(name_of("ddkg1:t/ /1.data.0.0".parse::<KeyName>()), ("device id", true));
    assert_eq!(name_of("ddkg1:t/d/1.log.0.0".parse::<KeyName>()), ("purpose", true));
}

#[test]
fn a_payload_and_a_stanza_name_keys_of_their_purpose() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let other = Problem::NotCanonical("is of another purpose").of("key name");
    let sealed = pair.seal(b"").encode();
    let as_file = with(&sealed, find(&sealed, b"data"), b"file");
    assert_eq!(SealedPayload::decode(&as_file).err(), Some(other.clone()));
    let not_text = with(&sealed, find(&sealed, b"data"), &[0xff]);
    assert_eq!(
        SealedPayload::decode(&not_text).err(),
        Some(Problem::NotCanonical("is not UTF-8").of("key name"))
    );
    let stanza = pair.device.wrap_file_key(NO_CLOCK, &Secret::copied_from(&[0; 16])).unwrap();
    let stanza = save(stanza, &mut pair.flash, &mut pair.saves);
    let (arguments, body) = (stanza.arguments(), stanza.body());
    let shape = Problem::NotCanonical("is not ddkg1 <key name>").of("stanza arguments");
    for wrong in [arguments.replacen("ddkg1 ", "ddkg2 ", 1), "ddkg1".into(), String::new()] {
        assert_eq!(FileStanza::parse(&wrong, body).err(), Some(shape.clone()), "{wrong}");
    }
    assert_eq!(FileStanza::parse(&arguments.replace("file", "data"), body).err(), Some(other));
    for given in [31, 33] {
        let refused = FileStanza::parse(&arguments, &vec![0; given]).err();
        assert_eq!(refused, Some(length(given, 32, 32).of("stanza body")));
    }
}

#[test]
fn a_cover_is_the_least_one_in_order() {
    let pair = Pair::proven(Setup::new(HOURLY));
    let delegation = pair.record.delegate(Purpose::Data, 1, 6).unwrap().encode();
    let header = delegation.expose().len() - 4 * NODE_LEN;
    let nodes: Vec<_> = delegation.expose()[header..].chunks(NODE_LEN).collect();
    let least = Problem::NotCanonical("is not the least cover of its epochs, in order").of("cover");
    let max = MAX_COVER_NODES * NODE_LEN;
    let node = |depth: u8, index: u32| [&[depth][..], &index.to_be_bytes(), &[0; 32]].concat();
    for (bytes, error) in [
        (vec![], length(0, NODE_LEN, max).of("cover")),
        (vec![0; NODE_LEN - 1], length(NODE_LEN - 1, NODE_LEN, max).of("cover")),
        (vec![0; max + NODE_LEN], length(max + NODE_LEN, NODE_LEN, max).of("cover")),
        ([&nodes.concat()[..], &[0]].concat(), Problem::Trailing { count: 1 }.of("cover")),
        ([nodes[1], nodes[0]].concat(), least.clone()),
        ([nodes[0], nodes[2]].concat(), least.clone()),
        ([nodes[0], nodes[0]].concat(), least.clone()),
        ([node(32, 0), node(32, 1)].concat(), least),
        (node(33, 0), range(33, 0, 32).of("node depth")),
        (node(1, 2), range(2, 0, 1).of("node index")),
        (node(0, 1), range(1, 0, 0).of("node index")),
    ] {
        assert_eq!(Cover::decode(&bytes).err(), Some(error.clone()));
        let inside = [&delegation.expose()[..header], &bytes].concat();
        assert!(Delegation::decode(&inside).is_err(), "{error}");
    }
    for given in [0, 216 + max + 1] {
        let refused = Delegation::decode(&vec![0; given]).err();
        assert_eq!(refused, Some(length(given, 1, 216 + max).of("delegation")));
    }
    let generation = 4 + 11 + 4 + 9;
    let zero = with(delegation.expose(), generation, &[0; 8]);
    assert_eq!(Delegation::decode(&zero).err(), Some(range(0, 1, u64::MAX).of("generation")));
}

#[test]
fn an_expansion_has_its_bounds() {
    let secret = Secret::copied_from(&[1; 32]);
    let refused = |label: usize, context: usize, out: usize| {
        expand_into(&secret, &"l".repeat(label), &vec![0; context], &mut vec![0; out]).err()
    };
    assert_eq!(refused(249, 255, 8160), None);
    assert_eq!(refused(250, 255, 8160), Some(length(256, 0, 255).of("label")));
    assert_eq!(refused(249, 256, 8160), Some(length(256, 0, 255).of("context")));
    assert_eq!(refused(249, 255, 8161), Some(length(8161, 0, 8160).of("output")));
}
