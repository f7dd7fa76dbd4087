//! JSON as TUF has it: no fractions, no name twice, not deeper than [`MAX_DEPTH`]; and the canonical form that is signed.
//!
//! A reader of our own, because what is refused here is what a general one takes: a name that occurs twice is two documents to two readers,
//! and 1e3 or a fraction has no canonical form.

use crate::Malformed;
use std::collections::BTreeMap;

/// How deep arrays and objects are nested at most. TUF's own metadata has 6 levels.
pub(crate) const MAX_DEPTH: usize = 16;

/// Whole numbers of a larger amount are not the same to every reader of JSON (RFC 8259 §6).
pub(crate) const MAX_INTEGER: i64 = (1 << 53) - 1;

/// A JSON value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number of at most 53 bits.
    Integer(i64),
    /// Text.
    Text(String),
    /// Values in order.
    Array(Vec<Value>),
    /// Names and values. A name's place is by its code points, which is the canonical order.
    Object(BTreeMap<String, Value>),
}

impl Value {
    /// The value in `bytes`, which hold it and nothing else.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let text = core::str::from_utf8(bytes).map_err(|_| Malformed::Json)?;
        let mut reader = Reader { text, at: 0 };
        let value = reader.value(0)?;
        reader.space();
        if reader.at == text.len() { Ok(value) } else { Err(Malformed::Json) }
    }

    /// The bytes that a signature is made of: OLPC's canonical JSON, in which only quotation mark and backslash are escaped.
    pub fn canonical(&self) -> Vec<u8> {
        let mut out = String::new();
        self.write(&mut out, &canonical_text);
        out.into_bytes()
    }

    /// As JSON (RFC 8259), without space. What is canonical is not always JSON: a line break in it is not escaped.
    pub fn to_json(&self) -> Vec<u8> {
        let mut out = String::new();
        self.write(&mut out, &json_text);
        out.into_bytes()
    }

    /// An object of these names and values.
    pub fn object<N: Into<String>>(fields: impl IntoIterator<Item = (N, Value)>) -> Self {
        Self::Object(fields.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }

    /// Text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// A whole number that is bounded by its type; see [`MAX_INTEGER`].
    pub(crate) fn number(number: u64) -> Self {
        Self::Integer(i64::try_from(number).unwrap_or(MAX_INTEGER).min(MAX_INTEGER))
    }

    fn write(&self, out: &mut String, text: &dyn Fn(&str, &mut String)) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(true) => out.push_str("true"),
            Self::Bool(false) => out.push_str("false"),
            Self::Integer(number) => out.push_str(&number.to_string()),
            Self::Text(content) => text(content, out),
            Self::Array(values) => {
                out.push('[');
                for (place, value) in values.iter().enumerate() {
                    if place > 0 {
                        out.push(',');
                    }
                    value.write(out, text);
                }
                out.push(']');
            }
            Self::Object(fields) => {
                out.push('{');
                for (place, (name, value)) in fields.iter().enumerate() {
                    if place > 0 {
                        out.push(',');
                    }
                    text(name, out);
                    out.push(':');
                    value.write(out, text);
                }
                out.push('}');
            }
        }
    }
}

fn canonical_text(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            out.push('\\');
        }
        out.push(character);
    }
    out.push('"');
}

fn json_text(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            '\n' => out.push_str("\\n"),
            control if control < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(control))),
            other => out.push(other),
        }
    }
    out.push('"');
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Result<Value, Malformed> {
        if depth > MAX_DEPTH {
            return Err(Malformed::Depth);
        }
        self.space();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => Ok(Value::Text(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.integer(),
            _ => {
                let words =
                    [("null", Value::Null), ("true", Value::Bool(true)), ("false", Value::Bool(false))];
                let rest = &self.text[self.at..];
                let (word, value) =
                    words.into_iter().find(|(word, _)| rest.starts_with(word)).ok_or(Malformed::Json)?;
                self.at += word.len();
                Ok(value)
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, Malformed> {
        let mut fields = BTreeMap::new();
        self.at += 1;
        self.space();
        if self.skip(b'}') {
            return Ok(Value::Object(fields));
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return Err(Malformed::Json);
            }
            let name = self.string()?;
            self.space();
            self.expect(b':')?;
            let value = self.value(depth + 1)?;
            if fields.insert(name, value).is_some() {
                return Err(Malformed::Twice);
            }
            self.space();
            if self.skip(b'}') {
                return Ok(Value::Object(fields));
            }
            self.expect(b',')?;
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, Malformed> {
        let mut values = Vec::new();
        self.at += 1;
        self.space();
        if self.skip(b']') {
            return Ok(Value::Array(values));
        }
        loop {
            values.push(self.value(depth + 1)?);
            self.space();
            if self.skip(b']') {
                return Ok(Value::Array(values));
            }
            self.expect(b',')?;
        }
    }

    fn integer(&mut self) -> Result<Value, Malformed> {
        let rest = &self.text[self.at..];
        let is_negative = rest.starts_with('-');
        let digits = &rest[usize::from(is_negative)..];
        let length = digits.bytes().take_while(u8::is_ascii_digit).count();
        // Fractions and exponents have no canonical form; a zero at the front or a negative one is a second spelling.
        let follows = digits.as_bytes().get(length);
        let is_one_spelling = length == 1 || !digits.starts_with('0');
        if length == 0 || !is_one_spelling || matches!(follows, Some(b'.' | b'e' | b'E')) {
            return Err(Malformed::Number);
        }
        let amount: i64 = digits[..length].parse().map_err(|_| Malformed::Number)?;
        if amount > MAX_INTEGER || (is_negative && amount == 0) {
            return Err(Malformed::Number);
        }
        self.at += usize::from(is_negative) + length;
        Ok(Value::Integer(if is_negative { -amount } else { amount }))
    }

    fn string(&mut self) -> Result<String, Malformed> {
        self.at += 1;
        let mut content = String::new();
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.find(|character| matches!(character, '"' | '\\' | '\0'..='\u{1f}'));
            let plain = plain.ok_or(Malformed::Json)?;
            content.push_str(&rest[..plain]);
            self.at += plain + 1;
            match rest.as_bytes()[plain] {
                b'"' => return Ok(content),
                b'\\' => content.push(self.escape()?),
                // A control character must be escaped (RFC 8259 §7).
                _ => return Err(Malformed::Json),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Malformed> {
        let kind = self.peek().ok_or(Malformed::Json)?;
        self.at += 1;
        Ok(match kind {
            b'"' | b'\\' | b'/' => char::from(kind),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = self.unit()?;
                if !(0xd800..0xdc00).contains(&first) {
                    return char::from_u32(first).ok_or(Malformed::Json);
                }
                self.expect(b'\\')?;
                self.expect(b'u')?;
                let second = self.unit()?;
                if !(0xdc00..0xe000).contains(&second) {
                    return Err(Malformed::Json);
                }
                char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00))
                    .ok_or(Malformed::Json)?
            }
            _ => return Err(Malformed::Json),
        })
    }

    /// Four hexadecimal digits.
    fn unit(&mut self) -> Result<u32, Malformed> {
        let digits = self.text.get(self.at..self.at + 4).ok_or(Malformed::Json)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(Malformed::Json);
        }
        self.at += 4;
        u32::from_str_radix(digits, 16).map_err(|_| Malformed::Json)
    }

    fn space(&mut self) {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }

    fn expect(&mut self, byte: u8) -> Result<(), Malformed> {
        if self.skip(byte) { Ok(()) } else { Err(Malformed::Json) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_canonical_is_sorted_and_bare() {
        let value =
            Value::parse(br#" { "b" : [ 1 , -2, true, null ], "a\u00e9": "\"\\\n\ud83d\ude00\/", "B":{} } "#);
        let value = value.unwrap();
        assert_eq!(
            String::from_utf8(value.canonical()).unwrap(),
            "{\"B\":{},\"a\u{e9}\":\"\\\"\\\\\n\u{1f600}/\",\"b\":[1,-2,true,null]}"
        );
        // In its canonical form the line break is bare, which is not JSON.
        assert_eq!(Value::parse(&value.canonical()), Err(Malformed::Json));
        assert_eq!(Value::parse(&value.to_json()), Ok(value));
        let controls = Value::text("\u{1}\u{1f}\t\u{7f}");
        assert_eq!(controls.to_json(), b"\"\\u0001\\u001f\\u0009\x7f\"");
        assert_eq!(Value::parse(&controls.to_json()), Ok(controls));
    }

    #[test]
    fn a_name_occurs_once() {
        assert_eq!(Value::parse(br#"{"a":1,"a":1}"#), Err(Malformed::Twice));
        assert_eq!(Value::parse(br#"{"a":{"b":1,"\u0062":2}}"#), Err(Malformed::Twice));
    }

    #[test]
    fn numbers_are_whole_bounded_and_spelled_once() {
        for good in ["0", "-1", "9007199254740991", "-9007199254740991"] {
            assert_eq!(Value::parse(good.as_bytes()).unwrap().canonical(), good.as_bytes());
        }
        for bad in [
            "1.0",
            "1e3",
            "1E3",
            "-",
            "-0",
            "01",
            "9007199254740992",
            "-9007199254740992",
            "99999999999999999999",
        ] {
            assert_eq!(Value::parse(bad.as_bytes()), Err(Malformed::Number), "{bad}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| ["[".repeat(depth), "]".repeat(depth)].concat();
        assert!(Value::parse(nested(MAX_DEPTH + 1).as_bytes()).is_ok());
        assert_eq!(Value::parse(nested(MAX_DEPTH + 2).as_bytes()), Err(Malformed::Depth));
        assert_eq!(Value::parse("[".repeat(4_000_000).as_bytes()), Err(Malformed::Depth));
        assert_eq!(Value::parse("{\"\":".repeat(1_000_000).as_bytes()), Err(Malformed::Depth));
    }

    #[test]
    fn what_is_not_json_is_refused() {
        let bad: [&[u8]; 22] = [
            b"",
            b" ",
            b"nul",
            b"TRUE",
            b"{",
            b"[",
            b"[1",
            b"[1,]",
            b"{,}",
            b"{\"a\"}",
            b"{\"a\":}",
            b"{a:1}",
            b"\"",
            b"\"\\x\"",
            b"\"\\ud800\"",
            b"\"\\ud800\\u0041\"",
            b"\"\\udc00\"",
            b"\"\\u00g0\"",
            b"\"\n\"",
            b"1 2",
            b"\xef\xbb\xbf1",
            b"\"\xff\"",
        ];
        for bytes in bad {
            assert_eq!(Value::parse(bytes), Err(Malformed::Json), "{}", String::from_utf8_lossy(bytes));
        }
        assert_eq!(
            Value::parse("\"\\u12\u{e9}\"".as_bytes()),
            Err(Malformed::Json),
            "cut within a character"
        );
    }
}
