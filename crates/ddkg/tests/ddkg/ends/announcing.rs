//! Attributes that change: announced, then shown; with a reply lost, an update that fails, and an update that is called off.

use crate::common::{HOURLY, Pair, Setup, attributes};
use wardein_ddkg::Attributes;
use wardein_ddkg::authority::Refusal;

/// The same hardware with another firmware, and with a name beside where `more` gives one.
fn updated(firmware: &[u8], more: Option<&str>) -> Attributes {
    let mut attributes = Attributes::new();
    attributes.insert("firmware".parse().unwrap(), firmware).unwrap();
    attributes.insert("mac".parse().unwrap(), b"02:00:5e:10:00:01").unwrap();
    if let Some(name) = more {
        attributes.insert(name.parse().unwrap(), b"v").unwrap();
    }
    attributes
}

/// The device, which measures `measured`, announces `next`; what the authority makes of it.
fn announce(pair: &mut Pair, measured: &Attributes, next: &Attributes) -> Result<(), Refusal> {
    let sent = pair.ask_showing(measured, "attributes", &next.encode());
    let accepted = pair.receive(&sent)?;
    let announced = pair.record.announce(&accepted, Attributes::decode(&sent.body).unwrap().digests());
    pair.store();
    announced
}

fn shows(pair: &mut Pair, measured: &Attributes) -> Result<bool, Refusal> {
    let sent = pair.ask_showing(measured, "authenticate", b"");
    pair.receive(&sent).map(|accepted| accepted.has_adopted_attributes())
}

#[test]
fn both_hold_until_the_new_ones_are_shown() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let (old, new) = (attributes(), updated(b"2.0", None));
    assert_eq!(shows(&mut pair, &new), Err(Refusal::MacWrong), "not announced");
    for _ in 0..2 {
        announce(&mut pair, &old, &new).expect("its reply may have been lost");
        assert_eq!(shows(&mut pair, &old), Ok(false), "the update has not come yet, or was rolled back");
    }
    assert_eq!(shows(&mut pair, &new), Ok(true));
    assert_eq!(shows(&mut pair, &new), Ok(false), "adopted once");
    assert_eq!(shows(&mut pair, &old), Err(Refusal::MacWrong), "the old ones are over");
}

#[test]
fn the_last_announcement_counts_and_can_be_called_off() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let (old, second, third) = (attributes(), updated(b"2.0", None), updated(b"3.0", None));
    announce(&mut pair, &old, &second).unwrap();
    announce(&mut pair, &old, &third).unwrap();
    assert_eq!(shows(&mut pair, &second), Err(Refusal::MacWrong));
    announce(&mut pair, &old, &old).unwrap();
    assert_eq!(shows(&mut pair, &third), Err(Refusal::MacWrong));
    assert_eq!(shows(&mut pair, &old), Ok(false));
}

#[test]
fn an_announcement_that_was_overtaken_does_not_take_the_place_of_a_later_one() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let (old, second, third) = (attributes(), updated(b"2.0", None), updated(b"3.0", None));
    let late = pair.ask_showing(&old, "attributes", &second.encode());
    announce(&mut pair, &old, &third).unwrap();
    assert_eq!(pair.receive(&late).map(drop), Err(Refusal::Replayed));
    assert_eq!(shows(&mut pair, &third), Ok(true), "the device has the last one that was acknowledged");
    let late = pair.ask_showing(&third, "authenticate", b"");
    announce(&mut pair, &third, &old).unwrap();
    assert!(pair.receive(&late).is_ok(), "what has no order may come late");
}

#[test]
fn names_may_be_added_and_none_left_out() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let mut fewer = Attributes::new();
    fewer.insert("firmware".parse().unwrap(), b"sha256:5f2c").unwrap();
    let dropped = announce(&mut pair, &attributes(), &fewer).unwrap_err();
    assert_eq!(
        (dropped.code().as_str(), dropped),
        ("attribute-dropped", Refusal::AttributeDropped("mac".parse().unwrap()))
    );
    let more = updated(b"sha256:5f2c", Some("serial"));
    announce(&mut pair, &attributes(), &more).unwrap();
    assert_eq!(pair.recipe().names().len(), 2);
    assert_eq!(shows(&mut pair, &more), Ok(true), "what is asked for is the same");
    assert_eq!(pair.recipe().names().len(), 3, "the new one is asked for from now on");
    assert_eq!(shows(&mut pair, &more), Ok(false));
}

#[test]
fn the_ack_is_under_what_was_shown() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let new = updated(b"2.0", None);
    announce(&mut pair, &attributes(), &new).unwrap();
    let sent = pair.ask_showing(&new, "authenticate", b"");
    let accepted = pair.receive(&sent).unwrap();
    let reply = accepted.reply(pair.now(), vec![]);
    assert!(pair.device.acknowledge(sent.in_flight, reply).is_ok());
}
