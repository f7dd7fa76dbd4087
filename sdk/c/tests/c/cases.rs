//! Every entry that takes a pointer, with arguments that it takes, for the tests that make one of them wrong.

use crate::authority::Authority;
use crate::common::{Dev, ID, TENANT, attributes};
use std::ptr::null_mut;
use wardein::Status::*;
use wardein::*;

/// What a call is given: (pointer, length) pairs that are read, buffers with their capacity and place of the length, places of
/// values.
#[derive(Clone)]
pub(crate) struct Given {
    pub(crate) reads: Vec<(*const u8, usize)>,
    pub(crate) outs: Vec<(*mut u8, usize, *mut usize)>,
    pub(crate) places: Vec<*mut u64>,
}

/// An entry with arguments that it takes.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) dev: Dev,
    #[cfg(feature = "transport")]
    session: Ses,
    /// Aligned, so that a place of a value may overlap it.
    pub(crate) read: Vec<(Vec<u64>, usize)>,
    pub(crate) outs: usize,
    places: usize,
    /// Of the values in the places, in bytes.
    pub(crate) size: usize,
    /// What the call answers as it is given.
    pub(crate) answer: Status,
    pub(crate) call: fn(&Handles, &Given) -> Status,
}

pub(crate) struct Handles {
    pub(crate) device: *mut Device,
    #[cfg(feature = "transport")]
    pub(crate) session: *mut Session,
}

#[cfg(feature = "transport")]
struct Ses(*mut Session);

#[cfg(feature = "transport")]
impl Drop for Ses {
    fn drop(&mut self) {
        unsafe { wardein_session_free(self.0) };
    }
}

impl Case {
    pub(crate) fn handles(&self) -> Handles {
        Handles {
            device: self.dev.handle,
            #[cfg(feature = "transport")]
            session: self.session.0,
        }
    }

    /// Calls with null handles.
    pub(crate) fn without_handle(&self, given: &Given) -> Status {
        let none = Handles {
            device: null_mut(),
            #[cfg(feature = "transport")]
            session: null_mut(),
        };
        (self.call)(&none, given)
    }
}

fn case(
    name: &'static str,
    dev: Dev,
    read: &[(&[u8], usize)],
    (outs, places, size): (usize, usize, usize),
    answer: Status,
    call: fn(&Handles, &Given) -> Status,
) -> Case {
    let aligned = |(bytes, length): &(&[u8], usize)| {
        let mut memory = vec![0u64; bytes.len().div_ceil(8) + 4];
        // SAFETY: it has room for them.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), memory.as_mut_ptr().cast(), bytes.len()) };
        (memory, *length)
    };
    #[cfg(feature = "transport")]
    let session = {
        let (path, mut session) = ("/nonexistent/wardein", null_mut());
        let made = unsafe { wardein_session_new(path.as_ptr().cast(), path.len(), &mut session) };
        assert_eq!(made, WARDEIN_OK);
        Ses(session)
    };
    Case {
        name,
        dev,
        #[cfg(feature = "transport")]
        session,
        read: read.iter().map(aligned).collect(),
        outs,
        places,
        size,
        answer,
        call,
    }
}

/// Every entry that takes a pointer, but for those that free one.
pub(crate) fn cases() -> Vec<Case> {
    let mut authority = Authority::new();
    let identity = authority.identity_key();
    let list = attributes();
    // As the bytes that the array is of; they hold pointers to constants.
    let bytes_of_list = unsafe { std::slice::from_raw_parts(list.as_ptr().cast::<u8>(), size_of_val(&list)) };
    let list = (bytes_of_list, 2);
    let of = |bytes| -> (&[u8], usize) { (bytes, <[u8]>::len(bytes)) };

    let mut enrolling = Dev::new();
    let enroll_reply = authority.enroll(&enrolling.begin(&identity, 1).unwrap()).unwrap();
    let asked = || {
        let mut authority = Authority::new();
        let mut dev = Dev::proven(&mut authority);
        assert_eq!(dev.ask(), WARDEIN_OK);
        let offer = authority.offer();
        (authority, dev, offer)
    };
    let confirming = {
        let (mut authority, mut dev) = (Authority::new(), Dev::new());
        let request = dev.begin(&authority.identity_key(), 1).unwrap();
        dev.finish(&authority.enroll(&request).unwrap(), 15).unwrap();
        dev
    };
    let (_, proving, prove_offer) = asked();
    let (_, rekeying, rekey_offer) = asked();
    let (mut peer, mut acking, offer) = asked();
    let proof = acking.prove(&offer, "authenticate", b"").unwrap();
    let ack = peer.prove(&proof, b"").unwrap();
    let (_, mut opening, _) = asked();
    let sealed = opening.seal(b"ward", b"37.2").unwrap();
    let dev = || asked().1;
    let state = opening.flash.state.clone();

    #[allow(unused_mut, reason = "only with the feature transport it grows")]
    let mut cases = vec![
        case("wardein_device_new", dev(), &[], (0, 1, 8), WARDEIN_ERR_ARGUMENT, |_, g| unsafe {
            wardein_device_new(None, null_mut(), g.places[0].cast())
        }),
        case("wardein_device_error", dev(), &[], (1, 0, 0), WARDEIN_OK, |h, g| unsafe {
            let (out, capacity, length) = g.outs[0];
            wardein_device_error(h.device, out.cast(), capacity, length)
        }),
        case("wardein_device_restore", Dev::new(), &[of(&state)], (0, 0, 0), WARDEIN_OK, |h, g| unsafe {
            wardein_device_restore(h.device, g.reads[0].0, g.reads[0].1, 0)
        }),
        case("wardein_device_get", dev(), &[], (0, 1, 8), WARDEIN_OK, |h, g| unsafe {
            wardein_device_get(h.device, WARDEIN_SUITE, g.places[0])
        }),
        case(
            "wardein_enroll_begin",
            Dev::new(),
            &[of(&identity), of(TENANT.as_bytes()), of(ID.as_bytes()), list],
            (1, 0, 0),
            WARDEIN_OK,
            |h, g| unsafe {
                let [identity, tenant, id, list] = g.reads[..] else { unreachable!() };
                let (out, capacity, length) = g.outs[0];
                wardein_enroll_begin(
                    h.device,
                    identity.0,
                    identity.1,
                    1,
                    tenant.0.cast(),
                    tenant.1,
                    id.0.cast(),
                    id.1,
                    list.0.cast(),
                    list.1,
                    out,
                    capacity,
                    length,
                )
            },
        ),
        case(
            "wardein_enroll_finish",
            enrolling,
            &[of(&enroll_reply)],
            (1, 0, 0),
            WARDEIN_OK,
            |h, g| unsafe {
                let (out, capacity, length) = g.outs[0];
                wardein_enroll_finish(h.device, g.reads[0].0, g.reads[0].1, 15, out, capacity, length)
            },
        ),
        case("wardein_confirm", confirming, &[], (1, 0, 0), WARDEIN_OK, |h, g| unsafe {
            let (out, capacity, length) = g.outs[0];
            wardein_confirm(h.device, out, capacity, length)
        }),
        case("wardein_ask", dev(), &[], (0, 0, 0), WARDEIN_OK, |h, _| unsafe { wardein_ask(h.device) }),
        case(
            "wardein_challenge_asks",
            dev(),
            &[of(&prove_offer), of(b"firmware")],
            (0, 1, 1),
            WARDEIN_OK,
            |_, g| unsafe {
                let [offer, name] = g.reads[..] else { unreachable!() };
                wardein_challenge_asks(offer.0, offer.1, name.0.cast(), name.1, g.places[0].cast())
            },
        ),
        case(
            "wardein_prove",
            proving,
            &[of(&prove_offer), list, of(b"certificate"), of(b"a request for one")],
            (1, 0, 0),
            WARDEIN_OK,
            |h, g| unsafe {
                let [offer, list, action, body] = g.reads[..] else { unreachable!() };
                let (out, capacity, length) = g.outs[0];
                let (device, list, action) = (h.device, (list.0.cast(), list.1), (action.0.cast(), action.1));
                wardein_prove(
                    device, offer.0, offer.1, list.0, list.1, action.0, action.1, body.0, body.1, out,
                    capacity, length,
                )
            },
        ),
        case("wardein_rekey", rekeying, &[of(&rekey_offer), list], (2, 0, 0), WARDEIN_OK, |h, g| unsafe {
            let [offer, list] = g.reads[..] else { unreachable!() };
            let [(proof, room, length), (body, body_room, body_length)] = g.outs[..] else { unreachable!() };
            let list = (list.0.cast(), list.1);
            wardein_rekey(
                h.device,
                offer.0,
                offer.1,
                list.0,
                list.1,
                1,
                proof,
                room,
                length,
                body,
                body_room,
                body_length,
            )
        }),
        case("wardein_acknowledge", acking, &[of(&ack)], (1, 0, 0), WARDEIN_OK, |h, g| unsafe {
            let (out, capacity, length) = g.outs[0];
            wardein_acknowledge(h.device, g.reads[0].0, g.reads[0].1, out, capacity, length)
        }),
        case("wardein_refused", dev(), &[of(b"epoch-spent")], (0, 1, 4), WARDEIN_OK, |h, g| unsafe {
            wardein_refused(h.device, g.reads[0].0.cast(), g.reads[0].1, 0, g.places[0].cast())
        }),
        case(
            "wardein_token",
            dev(),
            &[of(b"platform"), of(b"nonce")],
            (1, 0, 0),
            WARDEIN_OK,
            |h, g| unsafe {
                let [audience, nonce] = g.reads[..] else { unreachable!() };
                let (out, capacity, length) = g.outs[0];
                wardein_token(
                    h.device,
                    0,
                    audience.0.cast(),
                    audience.1,
                    nonce.0,
                    nonce.1,
                    out,
                    capacity,
                    length,
                )
            },
        ),
        case("wardein_seal", dev(), &[of(b"ward"), of(b"37.2")], (1, 0, 0), WARDEIN_OK, |h, g| unsafe {
            let [additional, plain] = g.reads[..] else { unreachable!() };
            let (out, capacity, length) = g.outs[0];
            wardein_seal(h.device, 0, 0, additional.0, additional.1, plain.0, plain.1, out, capacity, length)
        }),
        case("wardein_open", opening, &[of(b"ward"), of(&sealed)], (1, 0, 0), WARDEIN_OK, |h, g| unsafe {
            let [additional, sealed] = g.reads[..] else { unreachable!() };
            let (out, capacity, length) = g.outs[0];
            wardein_open(h.device, additional.0, additional.1, sealed.0, sealed.1, out, capacity, length)
        }),
    ];
    #[cfg(feature = "transport")]
    cases.extend(of_sessions());
    cases
}

/// Their directory is not there, which is found only after the arguments are judged.
#[cfg(feature = "transport")]
fn of_sessions() -> Vec<Case> {
    let of = |bytes| -> (&[u8], usize) { (bytes, <[u8]>::len(bytes)) };
    const MS: u32 = 5_000;
    let gone = WARDEIN_ERR_DIRECTORY;
    vec![
        case(
            "wardein_session_new",
            Dev::new(),
            &[of(b"/a\0b/c/d")],
            (0, 1, 8),
            WARDEIN_ERR_ARGUMENT,
            |_, g| unsafe { wardein_session_new(g.reads[0].0.cast(), g.reads[0].1, g.places[0].cast()) },
        ),
        case("wardein_session_error", Dev::new(), &[], (1, 0, 0), WARDEIN_OK, |h, g| unsafe {
            let (out, capacity, length) = g.outs[0];
            wardein_session_error(h.session, out.cast(), capacity, length)
        }),
        case("wardein_session_refusal", Dev::new(), &[], (1, 1, 4), WARDEIN_ERR_ORDER, |h, g| unsafe {
            let (out, capacity, length) = g.outs[0];
            wardein_session_refusal(h.session, out.cast(), capacity, length, g.places[0].cast())
        }),
        case("wardein_session_authenticate", Dev::new(), &[], (0, 1, 8), gone, |h, g| unsafe {
            wardein_session_authenticate(h.session, MS, g.places[0])
        }),
        case("wardein_session_certify", Dev::new(), &[], (0, 1, 8), gone, |h, g| unsafe {
            wardein_session_certify(h.session, MS, g.places[0])
        }),
        case("wardein_session_certificate", Dev::new(), &[], (1, 0, 0), gone, |h, g| unsafe {
            let (out, capacity, length) = g.outs[0];
            wardein_session_certificate(h.session, out, capacity, length)
        }),
        case("wardein_session_trust_bundle", Dev::new(), &[], (1, 0, 0), gone, |h, g| unsafe {
            let (out, capacity, length) = g.outs[0];
            wardein_session_trust_bundle(h.session, MS, out, capacity, length)
        }),
        case("wardein_session_pins", Dev::new(), &[], (0, 1, 1), gone, |h, g| unsafe {
            wardein_session_pins(h.session, MS, g.places[0].cast())
        }),
        case(
            "wardein_session_is_platform",
            Dev::new(),
            &[of(b"a certificate")],
            (0, 1, 1),
            gone,
            |h, g| unsafe {
                let (certificate, length) = g.reads[0];
                wardein_session_is_platform(h.session, certificate, length, g.places[0].cast())
            },
        ),
        case(
            "wardein_session_token",
            Dev::new(),
            &[of(b"platform"), of(b"nonce")],
            (1, 0, 0),
            gone,
            |h, g| unsafe {
                let [audience, nonce] = g.reads[..] else { unreachable!() };
                let (out, capacity, length) = g.outs[0];
                let audience = (audience.0.cast(), audience.1);
                wardein_session_token(
                    h.session, MS, audience.0, audience.1, nonce.0, nonce.1, out, capacity, length,
                )
            },
        ),
        case(
            "wardein_session_seal",
            Dev::new(),
            &[of(b"ward"), of(b"37.2")],
            (1, 0, 0),
            gone,
            |h, g| unsafe {
                let [additional, plain] = g.reads[..] else { unreachable!() };
                let (out, capacity, length) = g.outs[0];
                wardein_session_seal(
                    h.session,
                    MS,
                    additional.0,
                    additional.1,
                    plain.0,
                    plain.1,
                    out,
                    capacity,
                    length,
                )
            },
        ),
        case("wardein_session_rekey", Dev::new(), &[], (0, 1, 8), gone, |h, g| unsafe {
            wardein_session_rekey(h.session, MS, g.places[0])
        }),
        case("wardein_session_rekey_due", Dev::new(), &[], (0, 1, 1), gone, |h, g| unsafe {
            wardein_session_rekey_due(h.session, MS, g.places[0].cast())
        }),
    ]
}

/// Memory for what a call writes, with a pattern in it.
pub(crate) struct Memory {
    pub(crate) buffers: Vec<Vec<u64>>,
    pub(crate) lengths: Vec<usize>,
    values: Vec<[u64; 2]>,
}

impl Memory {
    pub(crate) fn new(case: &Case) -> Self {
        Self {
            buffers: vec![vec![PATTERN; WORDS]; case.outs],
            lengths: vec![PATTERN as usize; case.outs],
            values: vec![[PATTERN; 2]; case.places],
        }
    }

    pub(crate) fn given(&mut self, case: &Case) -> Given {
        let lengths = self.lengths.iter_mut().map(|length| &raw mut *length);
        let buffers = self.buffers.iter_mut().map(|buffer| buffer.as_mut_ptr().cast::<u8>());
        Given {
            reads: case.read.iter().map(|(memory, length)| (memory.as_ptr().cast(), *length)).collect(),
            outs: buffers.zip(lengths).map(|(buffer, length)| (buffer, WORDS * 8, length)).collect(),
            places: self.values.iter_mut().map(|value| value.as_mut_ptr()).collect(),
        }
    }

    pub(crate) fn is_untouched(&self) -> bool {
        self.buffers.iter().flatten().chain(self.values.iter().flatten()).all(|word| *word == PATTERN)
            && self.lengths.iter().all(|length| *length == PATTERN as usize)
    }
}

pub(crate) const PATTERN: u64 = 0xa5a5_a5a5_a5a5_a5a5;
pub(crate) const WORDS: usize = 256;
