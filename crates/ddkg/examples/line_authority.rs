//! The authority's end on a line: messages on standard input and output, each behind its length in four bytes.
//!
//! `deploy/mcu.sh` puts a device in an emulated microcontroller at the other end (`sdk/mcu`). A message that has no answer is
//! answered by an empty one, a refused one by the reason. When the line ends it succeeds if nothing was refused.

use std::error::Error;
use std::io::{self, Read, Write};
use wardein_crypto::{Digest, P256SigningKey, Secret, SystemEntropy};
use wardein_ddkg::authority::{EnrollTerms, Expected, Record};
use wardein_ddkg::message::{
    ChallengeOffer, Confirmation, EnrollRequest, ProofRequest, RekeyAsk, SealedPayload, Token,
};
use wardein_ddkg::{AuthorityTime, ChallengeKey, Policy, Purposes};
use wardein_domain::Schedule;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let document = P256SigningKey::generate_pkcs8().map_err(|_| "no random bytes")?;
    let mut authority = Authority {
        identity: P256SigningKey::from_pkcs8(&document).map_err(|_| "no identity key")?,
        challenges: ChallengeKey::new(Secret::copied_from(&[7; 32])),
        record: None,
        body: Vec::new(),
        now: 1_800_000_000,
    };
    let (mut heard, mut refused) = (0, 0);
    while let Some(message) = take()? {
        heard += 1;
        // Time goes by.
        authority.now += 1;
        give(&authority.answer(&message).unwrap_or_else(|reason| {
            refused += 1;
            eprintln!("refused: {reason}");
            reason.to_string().into_bytes()
        }))?;
    }
    eprintln!("the authority heard {heard} messages and refused {refused}");
    if heard == 0 || refused > 0 { Err("the device was not heard to the end".into()) } else { Ok(()) }
}

/// The next message; none where the line has ended.
fn take() -> Outcome<Option<Vec<u8>>> {
    let mut length = [0; 4];
    if let Err(error) = io::stdin().read_exact(&mut length) {
        return if error.kind() == io::ErrorKind::UnexpectedEof { Ok(None) } else { Err(error.into()) };
    }
    let length = u32::from_be_bytes(length);
    if length > 4096 {
        return Err(format!("a message of {length} bytes is longer than any").into());
    }
    let mut message = vec![0; length as usize];
    io::stdin().read_exact(&mut message)?;
    Ok(Some(message))
}

fn give(answer: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(&u32::try_from(answer.len()).map_err(io::Error::other)?.to_be_bytes())?;
    out.write_all(answer)?;
    out.flush()
}

struct Authority {
    identity: P256SigningKey,
    challenges: ChallengeKey,
    record: Option<Record>,
    /// The body of the proof that comes next.
    body: Vec<u8>,
    /// Unix seconds.
    now: u64,
}

impl Authority {
    fn answer(&mut self, message: &[u8]) -> Outcome<Vec<u8>> {
        if message == b"identity" {
            return Ok(self.identity.verifying_key().0.to_vec());
        }
        if message.first() == Some(&1) {
            return self.enroll(&EnrollRequest::decode(message)?);
        }
        let (policy, time) = (Policy::default(), AuthorityTime::sure(self.now));
        let record = self.record.as_mut().ok_or("there is no device yet")?;
        let recipe = record.attributes().names();
        match message.first() {
            _ if message == b"challenge" => {
                let entropy = &mut SystemEntropy::default();
                let challenge = self.challenges.issue(record.device(), &recipe, time.now_ms, entropy);
                let challenge = challenge.map_err(|_| "no random bytes")?;
                return Ok(ChallengeOffer { challenge, server_time: self.now, recipe }.encode());
            }
            Some(3) => {
                record.confirm(&Confirmation::decode(message)?)?;
            }
            Some(5) => {
                let (request, body) = (ProofRequest::decode(message)?, std::mem::take(&mut self.body));
                let checked = self.challenges.check(
                    &request.challenge,
                    record.device(),
                    &recipe,
                    time.now_ms,
                    &policy,
                )?;
                let accepted = record.verify(&request, checked, &recipe, &body, time, &policy)?;
                let mut reply = Vec::new();
                if request.action.is_rekey() {
                    let schedule = Schedule { not_before: self.now, ..*record.schedule() };
                    let ask = RekeyAsk::decode(&body)?;
                    reply = record.rekey(&accepted, &ask, schedule, &mut SystemEntropy::default())?.encode();
                }
                return Ok(accepted.reply(self.now, reply).encode());
            }
            Some(7) => {
                let audience = "platform.example".parse()?;
                let expected = Expected { audience: &audience, platform_nonce: b"nonce" };
                // The one that answers more than one device records that the key is spent.
                let _spent = record.verify_token(&Token::decode(message)?, expected, time, &policy)?;
            }
            Some(8) => {
                let (plain, _) =
                    record.open(&SealedPayload::decode(message)?, b"ward 3", self.now, &policy)?;
                (plain.expose() == [b'7'; 256]).then_some(()).ok_or("something else was sealed")?;
            }
            // What begins like no message is the body of the next one.
            _ => self.body = message.to_vec(),
        }
        Ok(Vec::new())
    }

    fn enroll(&mut self, request: &EnrollRequest) -> Outcome<Vec<u8>> {
        let schedule = Schedule { period: 3_600, max_uses: 0, not_before: self.now };
        let terms = EnrollTerms { generation: 1, schedule, purposes: Purposes::ENROLLED };
        let sign = |digest: &Digest| self.identity.sign(digest.as_ref());
        let enrolled = Record::enroll(None, request, &terms, sign, &mut SystemEntropy::default())?;
        self.record = enrolled.record;
        Ok(enrolled.reply.encode())
    }
}
