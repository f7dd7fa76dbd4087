//! An entry taken apart into fields.

use super::quoted;
use crate::config::Parse;
use std::borrow::Cow;
use std::fmt;

/// Why an entry has no fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotParsed {
    /// It does not match the pattern.
    NoMatch,
    /// It is not JSON.
    NotJson,
    /// It is JSON, and not an object.
    NotAnObject,
    /// It has no `key=value`.
    NoPair,
    /// It has a key twice, and it is not certain which value a reader would go by.
    Twice,
    /// A quotation mark is not closed.
    Unclosed,
    /// It has more fields than the limit.
    TooMany,
}

impl fmt::Display for NotParsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoMatch => "it does not match `pattern`",
            Self::NotJson => "it is not JSON",
            Self::NotAnObject => "it is JSON, but not an object",
            Self::NoPair => "it has no key=value",
            Self::Twice => "it has a key twice",
            Self::Unclosed => "a quotation mark is not closed",
            Self::TooMany => "it has more than 256 fields",
        })
    }
}

/// The value of a field.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value<'a> {
    /// Text.
    Text(Cow<'a, str>),
    /// A number, true, false or null, as JSON writes it.
    Plain(String),
}

impl Value<'_> {
    /// The text that conditions, masks and pseudonyms go by.
    pub(super) fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Plain(plain) => Cow::Borrowed(plain),
        }
    }

    /// The value in a record.
    pub(super) fn json(&self) -> String {
        match self {
            Self::Text(text) => quoted(text),
            Self::Plain(plain) => plain.clone(),
        }
    }
}

/// The fields of an entry, each once.
#[derive(Debug)]
pub(super) struct Fields<'a>(Vec<(Cow<'a, str>, Value<'a>)>);

impl<'a> Fields<'a> {
    pub(super) fn parse(parse: &'a Parse, entry: &'a str) -> Result<Self, NotParsed> {
        let mut fields = Self(Vec::new());
        match parse {
            Parse::None => fields.add(LINE.into(), Value::Text(entry.into()))?,
            Parse::Regex(pattern) => {
                let captures = pattern.captures(entry).ok_or(NotParsed::NoMatch)?;
                for name in pattern.capture_names().flatten() {
                    if let Some(found) = captures.name(name) {
                        fields.add(name.into(), Value::Text(found.as_str().into()))?;
                    }
                }
            }
            Parse::Json => {
                // serde_json refuses more than 128 levels.
                let value = serde_json::from_str(entry).map_err(|_| NotParsed::NotJson)?;
                let serde_json::Value::Object(object) = value else { return Err(NotParsed::NotAnObject) };
                fields.flatten("", object)?;
            }
            Parse::KeyValue => {
                for (key, value) in key_value(entry)? {
                    fields.add(key.into(), Value::Text(value))?;
                }
            }
        }
        Ok(fields)
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value<'a>> {
        self.0.iter().find(|(field, _)| field == name).map(|(_, value)| value)
    }

    fn add(&mut self, name: Cow<'a, str>, value: Value<'a>) -> Result<(), NotParsed> {
        if self.get(&name).is_some() {
            return Err(NotParsed::Twice);
        }
        if self.0.len() == MAX_FIELDS {
            return Err(NotParsed::TooMany);
        }
        self.0.push((name, value));
        Ok(())
    }

    /// The plain values of an object, those of an object in it as `outer.inner`. Lists have no names to be kept by, and are left
    /// out.
    fn flatten(
        &mut self,
        prefix: &str,
        object: serde_json::Map<String, serde_json::Value>,
    ) -> Result<(), NotParsed> {
        for (key, value) in object {
            let name = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
            match value {
                serde_json::Value::Object(inner) => self.flatten(&name, inner)?,
                serde_json::Value::Array(_) => {}
                serde_json::Value::String(text) => self.add(name.into(), Value::Text(text.into()))?,
                plain => self.add(name.into(), Value::Plain(plain.to_string()))?,
            }
        }
        Ok(())
    }
}

/// The pairs of `key=value key="with \"spaces\""`. Words without `=` have no key, and are passed over.
fn key_value(entry: &str) -> Result<Vec<(&str, Cow<'_, str>)>, NotParsed> {
    let mut pairs = Vec::new();
    let mut rest = entry.trim_start();
    while !rest.is_empty() {
        let end = rest.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(rest.len());
        let (key, behind) = rest.split_at(end);
        let Some(value) = behind.strip_prefix('=').filter(|_| !key.is_empty()) else {
            // A word, or a `=` without a key before it, which takes its word with it.
            let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
            rest = rest[end..].trim_start();
            continue;
        };
        let (value, behind) = match value.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let end = value.find(char::is_whitespace).unwrap_or(value.len());
                (Cow::Borrowed(&value[..end]), &value[end..])
            }
        };
        pairs.push((key, value));
        rest = behind.trim_start();
    }
    if pairs.is_empty() { Err(NotParsed::NoPair) } else { Ok(pairs) }
}

/// What is before the closing quotation mark, and what is behind it. A backslash takes the next character as it is.
fn unquote(text: &str) -> Result<(Cow<'_, str>, &str), NotParsed> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return Ok((Cow::Owned(value), &text[at + 1..])),
            '\\' => value.push(characters.next().ok_or(NotParsed::Unclosed)?.1),
            c => value.push(c),
        }
    }
    Err(NotParsed::Unclosed)
}

/// The one field of an entry that is not taken apart.
pub(crate) const LINE: &str = "line";

/// The most fields of an entry.
const MAX_FIELDS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use regex::Regex;

    fn text(fields: &Fields<'_>, name: &str) -> Option<String> {
        fields.get(name).map(|value| value.json())
    }

    #[test]
    fn pairs_are_read_with_and_without_quotation_marks() {
        let pairs =
            key_value(r#"  started level=INFO msg="a \"b\" \\ = c" empty= =odd x="" y=a=b "#).unwrap();
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(key, value)| (*key, &**value)).collect();
        assert_eq!(
            pairs,
            [("level", "INFO"), ("msg", r#"a "b" \ = c"#), ("empty", ""), ("x", ""), ("y", "a=b")]
        );
        assert_eq!(key_value("nothing here"), Err(NotParsed::NoPair));
        assert_eq!(key_value(r#"a="open"#), Err(NotParsed::Unclosed));
        assert_eq!(key_value(r#"a="open\"#), Err(NotParsed::Unclosed));
        // What is behind a closing mark is a word of its own: nothing of it is in the value.
        assert_eq!(key_value(r#"a="x"y b=1"#).unwrap().len(), 2);
    }

    #[test]
    fn a_key_twice_is_not_guessed_at() {
        assert_eq!(Fields::parse(&Parse::KeyValue, "a=1 a=2").unwrap_err(), NotParsed::Twice);
        assert_eq!(Fields::parse(&Parse::Json, r#"{"a.b":1,"a":{"b":2}}"#).unwrap_err(), NotParsed::Twice);
    }

    #[test]
    fn json_is_flattened_and_lists_are_left_out() {
        let entry = r#"{"a":{"b":{"c":"x"},"n":1.50},"ok":true,"none":null,"list":["secret"],"s":"é\n"}"#;
        let fields = Fields::parse(&Parse::Json, entry).unwrap();
        for (name, json) in
            [("a.b.c", r#""x""#), ("a.n", "1.5"), ("ok", "true"), ("none", "null"), ("s", r#""é\n""#)]
        {
            assert_eq!(text(&fields, name).as_deref(), Some(json), "{name}");
        }
        for name in ["a", "a.b", "list", "list.0", "b"] {
            assert_eq!(text(&fields, name), None, "{name}");
        }
        for (entry, why) in
            [("[1]", NotParsed::NotAnObject), ("{", NotParsed::NotJson), ("", NotParsed::NotJson)]
        {
            assert_eq!(Fields::parse(&Parse::Json, entry).unwrap_err(), why);
        }
        let deep = format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
        assert_eq!(Fields::parse(&Parse::Json, &deep).unwrap_err(), NotParsed::NotJson);
        let wide: Vec<String> = (0..=MAX_FIELDS).map(|n| format!("\"{n}\":0")).collect();
        assert_eq!(
            Fields::parse(&Parse::Json, &format!("{{{}}}", wide.join(","))).unwrap_err(),
            NotParsed::TooMany
        );
    }

    #[test]
    fn a_pattern_gives_its_named_groups() {
        let parse = Parse::Regex(Regex::new(r"^(?<level>\w+)(?: code=(?<code>\w+))? (.*)$").unwrap());
        let fields = Fields::parse(&parse, "ERROR E7 x").unwrap();
        assert_eq!((text(&fields, "level").as_deref(), text(&fields, "code")), (Some("\"ERROR\""), None));
        assert_eq!(Fields::parse(&parse, "ERROR").unwrap_err(), NotParsed::NoMatch);
    }
}
