//! Messages in a stream of syslog over TLS, by octet counting (RFC 5425 section 4.3): `MSG-LEN SP SYSLOG-MSG`.
//!
//! Sans-IO: bytes go in as they come, and messages come out. Nothing is reserved for what a length announces, and a message that is
//! too long is passed over without being kept.

/// Takes a stream apart.
#[derive(Debug)]
pub struct Frames {
    max: usize,
    state: State,
}

/// What a stream gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A message.
    Message(Vec<u8>),
    /// A message of so many bytes, which is too long.
    TooLong(u64),
}

/// The stream is not of the form; nothing in it can be found any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stream is not of syslog with octet counting (RFC 5425 section 4.3): {0}")]
pub struct FrameError(&'static str);

#[derive(Debug)]
enum State {
    /// Between two messages, or within a length that is this so far.
    Length(u32),
    /// Within a message of this length.
    Message { length: usize, so_far: Vec<u8> },
    /// Within a message of this length that is too long.
    TooLong { length: u32, left: u32 },
    /// Nothing can be found any more.
    Broken(FrameError),
}

impl Frames {
    /// The longest message that is counted and passed over. A greater length is taken for a stream of another form.
    pub const MAX_LENGTH: u32 = 1_000_000_000;

    /// At the start of a stream, of whose messages each may have `max` bytes.
    pub fn new(max: usize) -> Self {
        Self { max, state: State::Length(0) }
    }

    /// Takes what came, and gives each message that ends in it. After an error there is nothing but that error.
    pub fn take(&mut self, mut bytes: &[u8], give: &mut dyn FnMut(Frame)) -> Result<(), FrameError> {
        while !bytes.is_empty() {
            bytes = self.step(bytes, give)?;
        }
        Ok(())
    }

    /// How many bytes of a message have come that has not ended; none between two messages.
    pub fn unfinished(&self) -> Option<u64> {
        match &self.state {
            State::Length(0) | State::Broken(_) => None,
            State::Length(_) => Some(0),
            State::Message { so_far, .. } => Some(so_far.len() as u64),
            State::TooLong { length, left } => Some(u64::from(length - left)),
        }
    }

    /// Takes a part of `bytes`, which are not empty, and returns the rest.
    fn step<'a>(&mut self, bytes: &'a [u8], give: &mut dyn FnMut(Frame)) -> Result<&'a [u8], FrameError> {
        match &mut self.state {
            State::Broken(error) => Err(*error),
            State::Length(so_far) => {
                let Some((first, rest)) = bytes.split_first() else { return Ok(bytes) };
                self.state = match (first, *so_far) {
                    (b'0', 0) => State::Broken(FrameError("a length begins with a zero")),
                    (b'0'..=b'9', so_far) => {
                        // `so_far` is at most MAX_LENGTH.
                        let length = so_far.saturating_mul(10).saturating_add(u32::from(first - b'0'));
                        match length <= Self::MAX_LENGTH {
                            true => State::Length(length),
                            false => State::Broken(FrameError("a message has more than a gigabyte")),
                        }
                    }
                    (b' ', length @ 1..) => self.begin(length),
                    _ => State::Broken(FrameError("a length is not digits and a space")),
                };
                match &self.state {
                    State::Broken(error) => Err(*error),
                    _ => Ok(rest),
                }
            }
            State::Message { length, so_far } => {
                let (now, rest) = bytes.split_at(bytes.len().min(*length - so_far.len()));
                so_far.extend_from_slice(now);
                if so_far.len() == *length {
                    give(Frame::Message(std::mem::take(so_far)));
                    self.state = State::Length(0);
                }
                Ok(rest)
            }
            State::TooLong { length, left } => {
                let now = u32::try_from(bytes.len()).unwrap_or(u32::MAX).min(*left);
                *left -= now;
                if *left == 0 {
                    give(Frame::TooLong(u64::from(*length)));
                    self.state = State::Length(0);
                }
                Ok(bytes.get(now as usize..).unwrap_or_default())
            }
        }
    }

    fn begin(&self, length: u32) -> State {
        match usize::try_from(length) {
            Ok(short) if short <= self.max => State::Message { length: short, so_far: Vec::new() },
            _ => State::TooLong { length, left: length },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a stream gives that comes in pieces of so many bytes.
    fn frames(stream: &[u8], piece: usize) -> (Vec<Frame>, Result<(), FrameError>, Option<u64>) {
        let (mut frames, mut given) = (Frames::new(10), Vec::new());
        let mut taken = Ok(());
        for bytes in stream.chunks(piece) {
            taken = frames.take(bytes, &mut |frame| given.push(frame));
        }
        (given, taken, frames.unfinished())
    }

    fn message(text: &str) -> Frame {
        Frame::Message(text.as_bytes().to_vec())
    }

    #[test]
    fn messages_are_counted_out_wherever_the_stream_is_cut() {
        let stream = b"3 one10 <30>1 - \n\n11 01234567890 1 x4 12 3";
        for piece in 1..=stream.len() {
            let (given, taken, unfinished) = frames(stream, piece);
            // Behind the message of 11 bytes comes a space, where a length would begin.
            assert_eq!(given, [message("one"), message("<30>1 - \n\n"), Frame::TooLong(11)], "{piece}");
            assert!(taken.is_err() && unfinished.is_none(), "{piece}");
        }
        let stream = b"3 one10 <30>1 - \n\n11 0123456789a1 x4 12 3";
        for piece in 1..=stream.len() {
            let (given, taken, unfinished) = frames(stream, piece);
            let all =
                [message("one"), message("<30>1 - \n\n"), Frame::TooLong(11), message("x"), message("12 3")];
            assert_eq!((&given[..], taken, unfinished), (&all[..], Ok(()), None), "{piece}");
        }
    }

    #[test]
    fn what_is_not_a_length_ends_the_stream() {
        for stream in [
            "x",
            " 1 x",
            "0 ",
            "01 x",
            "-1 x",
            "+1 x",
            "1\tx",
            "1x",
            "1000000001 x",
            "99999999999999999999 x",
            "<30>1 - x\n",
        ] {
            let (given, taken, _) = frames(stream.as_bytes(), stream.len());
            assert!(given.is_empty() && taken.is_err(), "{stream}");
            // Nothing is found behind it, however much comes.
            let (given, taken, _) = frames(format!("{stream}3 one").as_bytes(), 1);
            assert!(given.is_empty() && taken.is_err(), "{stream}");
        }
    }

    #[test]
    fn a_message_that_does_not_come_whole_is_unfinished_and_takes_no_memory_ahead() {
        for (stream, so_far) in [("7", 0), ("7 ", 0), ("7 abc", 3), ("1000000000 abcd", 4)] {
            assert_eq!(frames(stream.as_bytes(), 2).2, Some(so_far), "{stream}");
        }
        let mut frames = Frames::new(64 << 10);
        frames.take(b"65536 ", &mut |_| {}).unwrap();
        let State::Message { so_far, .. } = &frames.state else { panic!("within a message") };
        assert_eq!(so_far.capacity(), 0);
    }
}
