//! All but the agreements.

use super::Skipped;
use super::form::{File, Hex};
use crate::attribute::{AttributeDigests, Attributes, Recipe};
use crate::challenge::Challenge;
use crate::derive::{Transcript, expand_into};
use crate::key::{DeviceName, EpochSecret, KeyName};
use crate::message::{
    FileStanza, ProofRequest, RekeyAnswer, RekeyAsk, SealedPayload, SignatureClaim, Token, ack_transcript,
    rekey_transcript,
};
use crate::rekey::{NextStep, next_root};
use crate::suite::{Agreed, AuthorityShare, DeviceShare};
use crate::tree::{Cover, GenerationRoot, NODE_LEN};
use crate::wire::Sink;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::{Debug, Display};
use core::str::FromStr;
use wardein_crypto::{Digest, Secret, Tag};
use wardein_domain::{AttributeName, Purpose, Schedule};

pub(super) type Checked<T = ()> = Result<T, String>;

pub(super) fn file(file: &File) -> Checked<Skipped> {
    // For the reader: it says that the private values were made for tests.
    same("seed_note", &file.seed_note.is_empty(), &false)?;
    let device = owner(file)?;
    expand(file)?;
    transcripts(file)?;
    tree(file)?;
    keys(file, &device)?;
    schedules(file)?;
    let digests = attributes(file)?;
    proof(file, &device, &digests)?;
    signature(file, device.clone())?;
    sealed(file, device.clone())?;
    token(file, device.clone())?;
    wrapped(file, device)?;
    one_generation_for_each_root(file)?;
    rekey(file)
}

pub(super) fn owner(file: &File) -> Checked<DeviceName> {
    let (tenant, device) = (parse("tenant", &file.tenant)?, parse("device_id", &file.device_id)?);
    Ok(DeviceName { tenant, device })
}

pub(super) fn same<T: PartialEq + Debug + ?Sized>(field: &str, computed: &T, given: &T) -> Checked {
    (computed == given)
        .then_some(())
        .ok_or_else(|| format!("{field}: computed {computed:02x?}, given {given:02x?}"))
}

pub(super) fn parse<T: FromStr<Err: Display>>(field: &str, text: &str) -> Checked<T> {
    text.parse().map_err(wrong(field))
}

pub(super) fn wrong<E: Display>(field: &str) -> impl Fn(E) -> String {
    move |error| format!("{field}: {error}")
}

pub(super) fn array<const N: usize>(field: &str, hex: &Hex) -> Checked<[u8; N]> {
    hex.0.as_slice().try_into().map_err(|_| format!("{field}: has {} bytes, not {N}", hex.0.len()))
}

pub(super) fn secret<const N: usize>(field: &str, hex: &Hex) -> Checked<Secret<N>> {
    array(field, hex).map(|bytes| Secret::copied_from(&bytes))
}

pub(super) fn digest(field: &str, hex: &Hex) -> Checked<Digest> {
    array(field, hex).map(Digest)
}

pub(super) fn challenge(field: &str, hex: &Hex) -> Checked<Challenge> {
    Challenge::new(&hex.0).map_err(wrong(field))
}

pub(super) fn epoch_secret(field: &str, root: &Hex, purpose: Purpose, epoch: u32) -> Checked<EpochSecret> {
    let root = GenerationRoot::new(secret(field, root)?);
    root.tree(purpose).epoch_secret(epoch).map_err(wrong(field))
}

fn expand(file: &File) -> Checked {
    for (i, entry) in file.expand.iter().enumerate() {
        let at = format!("expand[{i}]");
        // A length that the output cannot have is found before it is allocated.
        same(&format!("{at}.length"), &entry.out.0.len(), &entry.length)?;
        let mut out = vec![0; entry.length];
        expand_into(&secret(&at, &entry.secret)?, &entry.label, &entry.context.0, &mut out)
            .map_err(wrong(&at))?;
        same(&format!("{at}.out"), &out, &entry.out.0)?;
    }
    Ok(())
}

fn transcripts(file: &File) -> Checked {
    for (i, entry) in file.transcript.iter().enumerate() {
        let fields = entry.fields.iter().map(|field| &field.0);
        let out = fields.fold(Transcript::new(&entry.label), Transcript::field).finish();
        same(&format!("transcript[{i}].out"), out.as_ref(), &entry.out.0)?;
    }
    Ok(())
}

fn tree(file: &File) -> Checked {
    let purpose = parse("tree.purpose", &file.tree.purpose)?;
    let whole =
        GenerationRoot::new(secret("tree.generation_root", &file.tree.generation_root)?).tree(purpose);
    same("tree.root", &whole.encode().expose()[NODE_LEN - 32..], &file.tree.root.0)?;
    for (i, leaf) in file.tree.leaves.iter().enumerate() {
        let at = format!("tree.leaves[{i}]");
        let computed = whole.epoch_secret(leaf.epoch).map_err(wrong(&at))?;
        same(&at, &computed.expose()[..], &leaf.secret.0)?;
    }
    let frontiers = file.tree.frontiers.iter().enumerate().map(|(i, entry)| {
        same(&format!("tree.frontiers[{i}].nodes"), &(entry.encoded.0.len() / NODE_LEN), &entry.nodes)?;
        Ok::<_, String>((format!("tree.frontiers[{i}]"), entry.epoch, u32::MAX, &entry.encoded.0))
    });
    let covers = file.tree.covers.iter().enumerate();
    let covers =
        covers.map(|(i, entry)| Ok((format!("tree.covers[{i}]"), entry.from, entry.to, &entry.encoded.0)));
    for range in frontiers.chain(covers) {
        let (at, first, last, encoded) = range?;
        let cover = whole.narrow(first, last).map_err(wrong(&at))?;
        same(&at, cover.encode().expose(), encoded)?;
        let decoded = Cover::decode(encoded).map_err(wrong(&at))?;
        same(&at, &(decoded.first(), decoded.last()), &(first, last))?;
        same(&at, decoded.encode().expose(), encoded)?;
        if last == u32::MAX {
            let mut advanced = whole.narrow(0, last).map_err(wrong(&at))?;
            advanced.advance(first).map_err(wrong(&at))?;
            same(&at, advanced.encode().expose(), encoded)?;
        }
    }
    Ok(())
}

fn keys(file: &File, owner: &DeviceName) -> Checked {
    for (i, entry) in file.keys.entries.iter().enumerate() {
        let at = format!("keys.entries[{i}]");
        let name: KeyName = parse(&format!("{at}.name"), &entry.name)?;
        let purpose = parse(&format!("{at}.purpose"), &entry.purpose)?;
        let generation = name.generation;
        let (owner, epoch, number) = (owner.clone(), entry.epoch, entry.number);
        same(&format!("{at}.name"), &name, &KeyName { owner, generation, purpose, epoch, number })?;
        same(&format!("{at}.name"), &name.to_string(), &entry.name)?;
        let key = epoch_secret(&at, &file.keys.generation_root, purpose, epoch)?.key(number);
        same(&format!("{at}.key"), &key.expose()[..], &entry.key.0)?;
    }
    Ok(())
}

fn schedules(file: &File) -> Checked {
    for (i, entry) in file.schedule.iter().enumerate() {
        let schedule = Schedule { period: entry.period, max_uses: 0, not_before: entry.not_before };
        same(&format!("schedule[{i}].due"), &schedule.due(entry.time), &entry.due)?;
    }
    Ok(())
}

/// The attributes that the agreements and the proof are made with.
pub(super) fn values(file: &File) -> Checked<Attributes> {
    measured("attributes.values", &file.attributes.values)
}

pub(super) fn measured(field: &str, values: &BTreeMap<String, String>) -> Checked<Attributes> {
    let mut attributes = Attributes::new();
    for (name, value) in values {
        let name: AttributeName = parse(field, name)?;
        attributes.insert(name, value.as_bytes()).map_err(wrong(field))?;
    }
    Ok(attributes)
}

pub(super) fn recipe(field: &str, names: &[String]) -> Checked<Recipe> {
    let names = names.iter().map(|name| parse(field, name)).collect::<Checked<_>>()?;
    Recipe::new(names).map_err(wrong(field))
}

fn attributes(file: &File) -> Checked<AttributeDigests> {
    let attributes = values(file)?;
    let digests = attributes.digests();
    let named = |names: &Recipe| names.names().iter().map(ToString::to_string).collect::<Vec<_>>();
    let given: Vec<_> = file.attributes.digests.keys().cloned().collect();
    same("attributes.digests", &named(&digests.names()), &given)?;
    for name in digests.names().names() {
        let (computed, given) = (digests.get(name), &file.attributes.digests[name.as_str()]);
        same(&format!("attributes.digests.{name}"), &computed.copied(), &Some(digest("digest", given)?))?;
    }
    same("attributes.digest", digests.digest().as_ref(), &file.attributes.digest.0)?;
    let decoded = Attributes::decode(&attributes.encode()).map_err(wrong("attributes.values"))?;
    same("attributes.values", &decoded, &attributes)?;
    Ok(digests)
}

fn proof(file: &File, device: &DeviceName, digests: &AttributeDigests) -> Checked {
    let given = &file.proof;
    let recipe = recipe("proof.recipe", &given.recipe)?;
    let binding = digests.binding(&given.challenge.0, &recipe).map_err(wrong("proof.binding"))?;
    same("proof.binding", binding.as_ref(), &given.binding.0)?;
    let request = ProofRequest {
        device: device.clone(),
        challenge: challenge("proof.challenge", &given.challenge)?,
        nonce: array("proof.device_nonce", &given.device_nonce)?,
        generation: given.generation,
        epoch: given.epoch,
        number: given.number,
        action: parse("proof.action", &given.action)?,
        body_digest: digest("proof.body_digest", &given.body_digest)?,
        mac: Tag(array("proof.mac", &given.mac)?),
    };
    let transcript = request.transcript();
    same("proof.transcript", transcript.as_ref(), &given.transcript.0)?;
    let key = epoch_secret("proof.generation_root", &given.generation_root, Purpose::Proof, given.epoch)?
        .key(given.number);
    same("proof.mac", &key.device_mac(&binding).tag(&transcript).0[..], &given.mac.0)?;
    key.device_mac(&binding).verify(&transcript, &request.mac).map_err(|_| "proof.mac: is not verified")?;
    let decoded = ProofRequest::decode(&request.encode()).map_err(wrong("proof"))?;
    same("proof", &decoded.encode(), &request.encode())?;
    // The reply's body is not given, so its transcript is written out; `ack_transcript` is held against that form.
    let acked =
        |digest| Transcript::new("ack").field(transcript).integer(given.server_time).field(digest).finish();
    same(
        "ack_transcript",
        &ack_transcript(&transcript, given.server_time, b"body"),
        &acked(Digest::of(b"body")),
    )?;
    let ack = key.ack(&binding).tag(&acked(digest("proof.reply_digest", &given.reply_digest)?));
    same("proof.ack", &ack.0[..], &given.ack.0)
}

fn signature(file: &File, device: DeviceName) -> Checked {
    let given = &file.signature;
    let claim = SignatureClaim {
        device,
        challenge: challenge("signature.challenge", &given.challenge)?,
        nonce: array("signature.device_nonce", &given.device_nonce)?,
        key_id: digest("signature.key_id", &given.key_id)?,
        action: parse("signature.action", &given.action)?,
        body_digest: digest("signature.body_digest", &given.body_digest)?,
    };
    same("signature.transcript", claim.transcript().as_ref(), &given.transcript.0)
}

fn rekey(file: &File) -> Checked<Skipped> {
    let given = &file.rekey;
    let Some(suite) = super::agreement::suite(given.suite, &given.device_share, &given.authority_share)?
    else {
        return Ok(vec![format!("rekey: suite {} is built with feature suite2 only", given.suite)]);
    };
    let device_share = DeviceShare::new(suite, &given.device_share.0).map_err(wrong("rekey.device_share"))?;
    let share =
        AuthorityShare::new(suite, &given.authority_share.0).map_err(wrong("rekey.authority_share"))?;
    super::agreement::point("rekey.device_share", device_share.as_bytes())?;
    super::agreement::point("rekey.authority_share", share.as_bytes())?;
    let (period, max_uses, not_before) = (given.period, given.max_uses, given.not_before);
    let schedule = Schedule { period, max_uses, not_before };
    let (ask, answer) = (
        RekeyAsk { share: device_share, purposes: None },
        RekeyAnswer { share, generation: given.generation, schedule, purposes: None },
    );
    same("rekey", &RekeyAsk::decode(&ask.encode()).as_ref(), &Ok(&ask))?;
    same("rekey", &RekeyAnswer::decode(suite, &answer.encode()).as_ref(), &Ok(&answer))?;
    let proof = digest("rekey.proof_transcript", &given.proof_transcript)?;
    let transcript = rekey_transcript(&proof, &ask, &answer);
    same("rekey.transcript", transcript.as_ref(), &given.transcript.0)?;
    same("rekey.ikm", &given.ikm.0.len(), &(32 * usize::from(given.suite)))?;
    let secret = epoch_secret("rekey.generation_root", &given.generation_root, Purpose::Proof, given.epoch)?;
    let root = next_root(NextStep::Rekey, &secret, Agreed::from_ikm(&given.ikm.0), &transcript);
    same("rekey.new_generation_root", &root.0.expose()[..], &given.new_generation_root.0)?;
    Ok(vec![])
}

fn sealed(file: &File, owner: DeviceName) -> Checked {
    let given = &file.sealed;
    let (generation, epoch, number) = (given.generation, given.epoch, given.number);
    let name = KeyName { owner, generation, purpose: Purpose::Data, epoch, number };
    let key = || {
        epoch_secret("sealed", &given.generation_root, Purpose::Data, epoch)
            .map(|es| es.key(number).payload())
    };
    let nonce = array("sealed.nonce", &given.nonce)?;
    let resealed =
        SealedPayload::seal(name.clone(), &key()?, nonce, &given.additional_data.0, &given.plaintext.0)
            .map_err(wrong("sealed"))?;
    // The message as it travels, assembled here from the given parts.
    let mut message = vec![8];
    message.frame(name.to_string().as_bytes());
    message.put(&given.nonce.0);
    message.frame(&given.ciphertext.0);
    same("sealed.ciphertext", &resealed.encode(), &message)?;
    let payload = SealedPayload::decode(&message).map_err(wrong("sealed"))?;
    let opened =
        payload.open(&key()?, &given.additional_data.0).map_err(|_| "sealed.ciphertext: does not open")?;
    same("sealed.plaintext", opened.expose(), &given.plaintext.0)
}

fn token(file: &File, device: DeviceName) -> Checked {
    let given = &file.token;
    let token = Token {
        device,
        generation: given.generation,
        epoch: given.epoch,
        number: given.number,
        audience: parse("token.audience", &given.audience)?,
        platform_nonce: given.platform_nonce.0.clone(),
        issued_at: given.issued_at,
        mac: Tag(array("token.mac", &given.mac)?),
    };
    Token::check_nonce(&token.platform_nonce).map_err(wrong("token.platform_nonce"))?;
    let key = epoch_secret("token", &given.generation_root, Purpose::Token, given.epoch)?
        .key(given.number)
        .token_mac();
    same("token.mac", &key.tag(&token.transcript()).0[..], &given.mac.0)?;
    key.verify(&token.transcript(), &token.mac).map_err(|_| "token.mac: is not verified")?;
    let decoded = Token::decode(&token.encode()).map_err(wrong("token"))?;
    same("token", &decoded.encode(), &token.encode())
}

fn wrapped(file: &File, owner: DeviceName) -> Checked {
    let given = &file.file;
    let stanza = FileStanza::parse(&given.stanza, &given.body.0).map_err(wrong("file.stanza"))?;
    let (generation, epoch, number) = (stanza.name().generation, given.epoch, given.number);
    let name = KeyName { owner, generation, purpose: Purpose::File, epoch, number };
    same("file.stanza", stanza.name(), &name)?;
    let key = epoch_secret("file", &given.generation_root, Purpose::File, epoch)?.key(number).file_wrap();
    let file_key = secret("file.file_key", &given.file_key)?;
    let rewrapped = FileStanza::wrap(name, &key, &file_key);
    same("file.stanza", &rewrapped.arguments(), &given.stanza)?;
    same("file.body", rewrapped.body(), &given.body.0)?;
    let unwrapped = stanza.unwrap_with(&key).map_err(|_| "file.body: does not unwrap")?;
    same("file.file_key", unwrapped.expose(), file_key.expose())
}

/// A root belongs to one generation, whichever name it has. Names of keys are compared with this where nothing else is given.
fn one_generation_for_each_root(file: &File) -> Checked {
    let stanza = FileStanza::parse(&file.file.stanza, &file.file.body.0).map_err(wrong("file.stanza"))?;
    let mut named = vec![
        ("proof.generation", &file.proof.generation_root, file.proof.generation),
        ("sealed.generation", &file.sealed.generation_root, file.sealed.generation),
        ("token.generation", &file.token.generation_root, file.token.generation),
        ("file.stanza", &file.file.generation_root, stanza.name().generation),
    ];
    for entry in &file.keys.entries {
        let name: KeyName = parse("keys.entries", &entry.name)?;
        named.push(("keys.entries", &file.keys.generation_root, name.generation));
    }
    for entry in &file.enrollment {
        named.push(("enrollment.generation", &entry.generation_root, entry.generation));
    }
    named.push(("rekey.generation", &file.rekey.new_generation_root, file.rekey.generation));
    let mut known = BTreeMap::new();
    named.into_iter().try_for_each(|(field, root, generation)| {
        same(field, known.entry(&root.0).or_insert(generation), &generation)
    })
}
