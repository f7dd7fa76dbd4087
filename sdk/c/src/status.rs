//! What a call answers, and what a refusal asks for: numbers that C programs are compiled with.

use std::ffi::CStr;
use wardein_domain::DeviceAction;

/// What a call did. A number never gets another meaning; later releases add some, so treat one that you do not know as a failure.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(non_camel_case_types, reason = "these are the names that C sees, and that people search for")]
pub enum Status {
    /// It is done.
    WARDEIN_OK = 0,
    /// An argument is null, too short, too long, malformed, out of range, or overlaps another. Nothing was done.
    WARDEIN_ERR_ARGUMENT = 1,
    /// A buffer is too small. Nothing was done, and `*length` is the capacity that suffices.
    WARDEIN_ERR_BUFFER = 2,
    /// The call does not fit the ones before it, such as a proof without a challenge that was asked for. Nothing was done.
    WARDEIN_ERR_ORDER = 3,
    /// Another call on the same handle is not over yet. Nothing was done.
    WARDEIN_ERR_BUSY = 4,
    /// A fault of this library. The handle takes no more calls: free it, and go on with the state that was saved last.
    WARDEIN_ERR_PANIC = 5,
    /// The source of randomness, a thread or a key of the device failed.
    WARDEIN_ERR_FAULT = 6,
    /// The state could not be saved, so there is no message. Call again: the state is saved before the next message.
    WARDEIN_ERR_SAVE = 7,
    /// The bytes are not a message or a state of their kind.
    WARDEIN_ERR_MALFORMED = 8,
    /// The message is not the authority's, or not for this request, and is not believed. Start over.
    WARDEIN_ERR_UNAUTHENTIC = 9,
    /// The message answers an earlier request than the last. Ask again.
    WARDEIN_ERR_OVERTAKEN = 10,
    /// An attribute that the authority asks for was not measured.
    WARDEIN_ERR_NOT_MEASURED = 11,
    /// The device keeps no keys for this purpose.
    WARDEIN_ERR_NOT_KEPT = 12,
    /// No key is left for this purpose. Rekey.
    WARDEIN_ERR_EXHAUSTED = 13,
    /// The authority has not acknowledged a proof of this generation yet. Prove a request first.
    WARDEIN_ERR_PROVE_FIRST = 14,
    /// The key of the payload is another device's or another generation's, or is erased.
    WARDEIN_ERR_KEY_GONE = 15,
    /// The payload was changed, or its additional data is not what it was sealed with.
    WARDEIN_ERR_OPEN = 16,
    /// The state is older than the counter allows: an old image was restored.
    WARDEIN_ERR_ROLLED_BACK = 17,
    /// The authority refuses. `wardein_session_refusal` has its code.
    WARDEIN_ERR_REFUSED = 18,
    /// The authority cannot be reached.
    WARDEIN_ERR_UNREACHABLE = 19,
    /// The deadline passed. What was asked may have been done or not; asking again is safe.
    WARDEIN_ERR_DEADLINE = 20,
    /// A file of the state directory cannot be read or written, is damaged, or is open to others.
    WARDEIN_ERR_DIRECTORY = 21,
    /// Another process is at work in the state directory.
    WARDEIN_ERR_LOCKED = 22,
    /// A setting in device.toml is wrong, or not for this call.
    WARDEIN_ERR_SETTING = 23,
    /// The device is not enrolled.
    WARDEIN_ERR_NOT_ENROLLED = 24,
    /// The device signs with the key of a TPM (`signs_with` in device.toml): it derives no keys, and this library signs nothing. Nothing
    /// was asked of the authority. `wardein-device` works in such a directory.
    WARDEIN_ERR_SIGNS = 25,
}

/// What a device does about a refusal (DDKG-1, section 13).
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(non_camel_case_types, reason = "these are the names that C sees, and that people search for")]
pub enum Advice {
    /// The code is of a later release: go by the transport's status, as section 13 says.
    WARDEIN_ADVICE_NONE = 0,
    /// Ask for a challenge and prove the request again, at once, at most six times in a row.
    WARDEIN_ADVICE_ASK_AGAIN = 1,
    /// The same; the next proof takes the epoch that was named.
    WARDEIN_ADVICE_TAKE_EPOCH = 2,
    /// Send the confirmation of the enrollment, then the request again.
    WARDEIN_ADVICE_CONFIRM = 3,
    /// Rekey, then send the request again.
    WARDEIN_ADVICE_REKEY = 4,
    /// Rekey with suite 2, never with a lower one.
    WARDEIN_ADVICE_TAKE_SUITE = 5,
    /// Send the same again after a pause that doubles, or that the refusal names.
    WARDEIN_ADVICE_WAIT = 6,
    /// Report it, and try again in a pause that doubles up to an hour: an administrator, or time, must change something first.
    WARDEIN_ADVICE_SEEK_HELP = 7,
    /// Report it, and ask for nothing more but once a day: the decision is final.
    WARDEIN_ADVICE_STOP = 8,
    /// Report it: the request is wrong, and the same one never succeeds.
    WARDEIN_ADVICE_MEND = 9,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 26] = {
        use Status::*;
        [
            WARDEIN_OK,
            WARDEIN_ERR_ARGUMENT,
            WARDEIN_ERR_BUFFER,
            WARDEIN_ERR_ORDER,
            WARDEIN_ERR_BUSY,
            WARDEIN_ERR_PANIC,
            WARDEIN_ERR_FAULT,
            WARDEIN_ERR_SAVE,
            WARDEIN_ERR_MALFORMED,
            WARDEIN_ERR_UNAUTHENTIC,
            WARDEIN_ERR_OVERTAKEN,
            WARDEIN_ERR_NOT_MEASURED,
            WARDEIN_ERR_NOT_KEPT,
            WARDEIN_ERR_EXHAUSTED,
            WARDEIN_ERR_PROVE_FIRST,
            WARDEIN_ERR_KEY_GONE,
            WARDEIN_ERR_OPEN,
            WARDEIN_ERR_ROLLED_BACK,
            WARDEIN_ERR_REFUSED,
            WARDEIN_ERR_UNREACHABLE,
            WARDEIN_ERR_DEADLINE,
            WARDEIN_ERR_DIRECTORY,
            WARDEIN_ERR_LOCKED,
            WARDEIN_ERR_SETTING,
            WARDEIN_ERR_NOT_ENROLLED,
            WARDEIN_ERR_SIGNS,
        ]
    };

    /// The status in a few words.
    pub(crate) const fn text(self) -> &'static CStr {
        match self {
            Self::WARDEIN_OK => c"done",
            Self::WARDEIN_ERR_ARGUMENT => c"an argument is wrong",
            Self::WARDEIN_ERR_BUFFER => c"a buffer is too small",
            Self::WARDEIN_ERR_ORDER => c"the call does not fit the ones before it",
            Self::WARDEIN_ERR_BUSY => c"another call on the handle is not over yet",
            Self::WARDEIN_ERR_PANIC => c"a fault of the library; free the handle",
            Self::WARDEIN_ERR_FAULT => c"randomness, a thread or a key failed",
            Self::WARDEIN_ERR_SAVE => c"the state could not be saved",
            Self::WARDEIN_ERR_MALFORMED => c"the bytes are malformed",
            Self::WARDEIN_ERR_UNAUTHENTIC => c"the message is not the authority's for this request",
            Self::WARDEIN_ERR_OVERTAKEN => c"the message answers an earlier request",
            Self::WARDEIN_ERR_NOT_MEASURED => c"an attribute was not measured",
            Self::WARDEIN_ERR_NOT_KEPT => c"the device keeps no keys for this purpose",
            Self::WARDEIN_ERR_EXHAUSTED => c"no key is left for this purpose; rekey",
            Self::WARDEIN_ERR_PROVE_FIRST => c"a request must be proved first",
            Self::WARDEIN_ERR_KEY_GONE => c"the key of the payload is not available",
            Self::WARDEIN_ERR_OPEN => c"the payload was changed",
            Self::WARDEIN_ERR_ROLLED_BACK => c"an old image of the state was restored",
            Self::WARDEIN_ERR_REFUSED => c"the authority refuses",
            Self::WARDEIN_ERR_UNREACHABLE => c"the authority cannot be reached",
            Self::WARDEIN_ERR_DEADLINE => c"the deadline passed",
            Self::WARDEIN_ERR_DIRECTORY => c"a file of the state directory cannot be used",
            Self::WARDEIN_ERR_LOCKED => c"another process is at work in the state directory",
            Self::WARDEIN_ERR_SETTING => c"a setting is wrong",
            Self::WARDEIN_ERR_NOT_ENROLLED => c"the device is not enrolled",
            Self::WARDEIN_ERR_SIGNS => c"the device signs with a TPM, and derives no keys",
        }
    }
}

impl From<DeviceAction> for Advice {
    fn from(action: DeviceAction) -> Self {
        match action {
            DeviceAction::AskAgain => Self::WARDEIN_ADVICE_ASK_AGAIN,
            DeviceAction::TakeEpoch => Self::WARDEIN_ADVICE_TAKE_EPOCH,
            DeviceAction::Confirm => Self::WARDEIN_ADVICE_CONFIRM,
            DeviceAction::Rekey => Self::WARDEIN_ADVICE_REKEY,
            DeviceAction::TakeSuite => Self::WARDEIN_ADVICE_TAKE_SUITE,
            DeviceAction::Wait => Self::WARDEIN_ADVICE_WAIT,
            DeviceAction::SeekHelp => Self::WARDEIN_ADVICE_SEEK_HELP,
            DeviceAction::Stop => Self::WARDEIN_ADVICE_STOP,
            DeviceAction::Mend => Self::WARDEIN_ADVICE_MEND,
        }
    }
}
