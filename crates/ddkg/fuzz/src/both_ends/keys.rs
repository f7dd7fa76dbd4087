//! Tokens, payloads and files: a key of the device each, on its way to the authority.

use super::super::world;
use super::authority::Place;
use super::{Ends, Orders, on_the_way, pick};
use wardein_crypto::Secret;
use wardein_ddkg::AuthorityTime;
use wardein_ddkg::authority::Expected;
use wardein_ddkg::message::{SealedPayload, Token};

impl Ends {
    pub(super) fn token(&mut self, orders: &mut Orders<'_>) {
        let clock = self.clock(orders);
        let audience = "platform.example".parse().expect("an audience");
        let mut fresh = None;
        if let Ok(unsaved) = self.device.token(clock, audience, b"nonce") {
            let token = world::save(unsaved, &mut self.saved);
            self.tokens.push(token.encode());
            fresh = Some(token.key_name());
        }
        if let Some(name) = fresh {
            self.use_up(name);
        }
        let Some((token, is_changed)) = on_the_way(&self.tokens, orders, Token::decode) else { return };
        let expected = Expected {
            audience: &"platform.example".parse().expect("an audience"),
            platform_nonce: b"nonce",
        };
        let time = AuthorityTime::sure(self.now());
        let Some((place, stored)) = self.authority.at(&token.key_name().owner) else { return };
        // A device that has yet to arrive is pending, and its tokens are refused by its state.
        if place == Place::Arriving {
            return;
        }
        let before = world::bytes(&stored.record);
        match stored.record.verify_token(&token, expected, time, &world::policy()) {
            Ok(spend) => {
                assert_eq!(place, Place::Home, "a device logged in where it had left");
                assert!(!is_changed && spend.0 == token.key_name(), "a changed token was accepted");
            }
            Err(_) => assert!(world::bytes(&stored.record) == before),
        }
        stored.store();
    }

    pub(super) fn payload(&mut self, orders: &mut Orders<'_>) {
        let clock = self.clock(orders);
        let mut fresh = None;
        if let Ok(unsaved) = self.device.seal(clock, b"ward 3", b"37.2", &mut self.entropy) {
            let sealed = world::save(unsaved, &mut self.saved);
            self.payloads.push(sealed.encode());
            fresh = Some(sealed.name().clone());
        }
        if let Some(name) = fresh {
            self.use_up(name);
        }
        let Some((sealed, is_changed)) = on_the_way(&self.payloads, orders, SealedPayload::decode) else {
            return;
        };
        let now = self.now();
        let Some((_, stored)) = self.authority.at(&sealed.name().owner) else { return };
        let before = world::bytes(&stored.record);
        match stored.record.open(&sealed, b"ward 3", now, &world::policy()) {
            Ok((plain, _)) => assert!(!is_changed && plain.expose() == b"37.2"),
            Err(_) => assert!(world::bytes(&stored.record) == before),
        }
        stored.store();
    }

    pub(super) fn file(&mut self, orders: &mut Orders<'_>) {
        let clock = self.clock(orders);
        if let Ok(unsaved) = self.device.wrap_file_key(clock, &Secret::copied_from(&[5; 16])) {
            let stanza = world::save(unsaved, &mut self.saved);
            self.stanzas.push(stanza.clone());
            self.use_up(stanza.name().clone());
        }
        let Some(stanza) = pick(self.stanzas.len(), orders).map(|which| self.stanzas[which].clone()) else {
            return;
        };
        let now = self.now();
        let Some((_, stored)) = self.authority.at(&stanza.name().owner) else { return };
        let before = world::bytes(&stored.record);
        match stored.record.unwrap_file_key(&stanza, now, &world::policy()) {
            Ok((key, _)) => assert_eq!(key.expose(), &[5; 16]),
            Err(_) => assert!(world::bytes(&stored.record) == before),
        }
        stored.store();
    }
}
