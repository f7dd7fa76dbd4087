//! From the text of logs.toml to what it says, or to the line, the key and the fault.

use super::raw::{self, Text};
use super::value::{self, Wrong};
use super::{Audience, Destination, Input, LogsConfig, Parse, Readers, Source, Spool};
use crate::filter::{Condition, How, Keep, LINE, Rule};
use crate::name::{AudienceName, SourceName};
use crate::polled::Outgoing;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use toml::Spanned;

/// What is wrong with logs.toml.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// The line, from 1; none where the whole file is meant.
    pub line: Option<usize>,
    /// The key, such as `source.pattern`; empty where the file is not TOML.
    pub key: String,
    /// What is wrong with it.
    pub why: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.why)
    }
}

impl LogsConfig {
    /// The most bytes of logs.toml.
    pub const MAX_LEN: usize = 256 << 10;

    /// What the text of a logs.toml says.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let place = Place { text };
        if text.len() > Self::MAX_LEN {
            return Err(place.whole("", format!("has more than {} bytes", Self::MAX_LEN)));
        }
        let file: raw::File = toml::from_str(text).map_err(|error| ConfigError {
            line: error.span().map(|span| place.line(span.start)),
            key: String::new(),
            why: error.message().to_owned(),
        })?;
        let audiences = place.audiences(&file.audience)?;
        let spool = place.spool(&file.spool)?;
        let pseudonym_key =
            file.pseudonym.as_ref().map(|pseudonym| place.of("pseudonym.key", &pseudonym.key, value::path));
        let pseudonym_key = pseudonym_key.transpose()?;
        if file.source.len() > MAX_SOURCES {
            return Err(
                place.whole("source", format!("there are {}; at most {MAX_SOURCES}", file.source.len()))
            );
        }
        let mut sources: Vec<Source> = Vec::new();
        for raw in &file.source {
            let source = place.source(raw, &audiences, pseudonym_key.is_some())?;
            if sources.iter().any(|other| other.name == source.name) {
                return Err(place.wrong("source.name", &raw.get_ref().name, "is there twice"));
            }
            if sources.iter().any(|other| other.input == source.input) {
                return Err(place.wrong(
                    "source.name",
                    &raw.get_ref().name,
                    "reads what another source reads; give that one more rules",
                ));
            }
            sources.push(source);
        }
        let collector = place.collector(file.collector.as_ref(), &sources)?;
        Ok(Self { audiences, spool, pseudonym_key, collector, sources })
    }
}

/// The text, to find lines in.
pub(super) struct Place<'a> {
    text: &'a str,
}

impl Place<'_> {
    fn line(&self, offset: usize) -> usize {
        let before = self.text.as_bytes().get(..offset).unwrap_or_default();
        1 + before.iter().filter(|byte| **byte == b'\n').count()
    }

    pub(super) fn wrong<T>(&self, key: &str, at: &Spanned<T>, why: impl Into<String>) -> ConfigError {
        ConfigError { line: Some(self.line(at.span().start)), key: key.to_owned(), why: why.into() }
    }

    pub(super) fn whole(&self, key: &str, why: impl Into<String>) -> ConfigError {
        ConfigError { line: None, key: key.to_owned(), why: why.into() }
    }

    pub(super) fn of<T>(
        &self,
        key: &str,
        text: &Text,
        judge: impl FnOnce(&str) -> Result<T, Wrong>,
    ) -> Result<T, ConfigError> {
        judge(text.get_ref()).map_err(|why| self.wrong(key, text, why))
    }

    pub(super) fn named<T: FromStr>(&self, key: &str, text: &Text) -> Result<T, ConfigError>
    where
        T::Err: fmt::Display,
    {
        self.of(key, text, |text| text.parse().map_err(|why: T::Err| why.to_string()))
    }

    fn size(
        &self,
        key: &str,
        size: Option<&Spanned<raw::Size>>,
        default: u64,
        min: u64,
        max: u64,
    ) -> Result<u64, ConfigError> {
        let Some(size) = size else { return Ok(default) };
        value::size(size.get_ref(), min, max).map_err(|why| self.wrong(key, size, why))
    }

    fn audiences(
        &self,
        raw: &BTreeMap<Text, Spanned<raw::Audience>>,
    ) -> Result<BTreeMap<AudienceName, Audience>, ConfigError> {
        if raw.len() > MAX_AUDIENCES {
            return Err(self.whole("audience", format!("there are {}; at most {MAX_AUDIENCES}", raw.len())));
        }
        raw.iter()
            .map(|(name, raw)| Ok((self.named("audience", name)?, self.audience(raw.get_ref())?)))
            .collect()
    }

    fn audience(&self, raw: &raw::Audience) -> Result<Audience, ConfigError> {
        let to = self.destination(raw)?;
        let unpinned = match &raw.unpinned {
            None => false,
            Some(text) if text.get_ref() == "allow" && !matches!(to, Destination::Directory(_)) => true,
            Some(text) => {
                return Err(self.wrong(
                    "audience.unpinned",
                    text,
                    "takes \"allow\", for a target of https:// alone",
                ));
            }
        };
        let readers = match &raw.readers {
            None => Readers::OfTheTenant,
            Some(readers) => {
                let wrong = |why: String| self.wrong("audience.readers", readers, why);
                match readers.get_ref() {
                    raw::Readers::Word(word) if word == "authority" => Readers::Authority,
                    raw::Readers::Keys(keys) if (1..=MAX_READERS).contains(&keys.len()) => Readers::Keys(
                        keys.iter().map(|key| value::reader(key).map_err(wrong)).collect::<Result<_, _>>()?,
                    ),
                    _ => {
                        return Err(wrong(format!(
                            "takes \"authority\" or 1 to {MAX_READERS} keys, age1..."
                        )));
                    }
                }
            }
        };
        Ok(Audience { readers, to, unpinned, patient_data: raw.patient_data })
    }

    fn destination(&self, raw: &raw::Audience) -> Result<Destination, ConfigError> {
        let to = self.of("audience.to", &raw.to, value::destination)?;
        match (to, &raw.s3) {
            (to, None) => Ok(to),
            (Destination::Https(url), Some(s3)) => Ok(Destination::S3 {
                url,
                region: self.of("audience.s3.region", &s3.get_ref().region, value::region)?,
                credentials: self.of("audience.s3.credentials", &s3.get_ref().credentials, value::path)?,
            }),
            (_, Some(s3)) => Err(self.wrong("audience.s3", s3, "is for a target of https:// alone")),
        }
    }

    fn spool(&self, raw: &Spanned<raw::Spool>) -> Result<Spool, ConfigError> {
        let at = raw;
        let raw = raw.get_ref();
        let age =
            raw.batch_age.as_ref().map(|age| self.of("spool.batch-age", age, value::duration)).transpose()?;
        let spool = Spool {
            directory: self.of("spool.directory", &raw.directory, value::path)?,
            max_bytes: self.size("spool.max-bytes", raw.max_bytes.as_ref(), 256 << 20, 1 << 20, 1 << 40)?,
            batch_bytes: self.size(
                "spool.batch-bytes",
                raw.batch_bytes.as_ref(),
                1 << 20,
                64 << 10,
                4 << 20,
            )? as usize,
            batch_age: age.unwrap_or(Duration::from_secs(60)),
        };
        // A batch is at most a little larger sealed than it is uncompressed; with room for two, one can wait while another is made.
        if spool.max_bytes < 2 * spool.batch_bytes as u64 {
            return Err(self.wrong("spool.max-bytes", at, "is less than two batches (batch-bytes)"));
        }
        Ok(spool)
    }

    fn source(
        &self,
        raw: &Spanned<raw::Source>,
        audiences: &BTreeMap<AudienceName, Audience>,
        has_key: bool,
    ) -> Result<Source, ConfigError> {
        let at = raw;
        let raw = raw.get_ref();
        let name: SourceName = self.named("source.name", &raw.name)?;
        let input = self.input(at)?;
        let max_entry =
            self.size("source.max-line", raw.max_line.as_ref(), MAX_ENTRY, 256, MAX_ENTRY)? as usize;
        let device = self.device(at, &input)?;
        let is_socket = matches!(input, Input::SyslogUnix(_) | Input::SyslogUdp(_) | Input::SyslogTls(_));
        let start = match &raw.start {
            Some(start) if is_socket => {
                return Err(self.wrong(
                    "source.start",
                    start,
                    "is for files; each message of syslog is one entry",
                ));
            }
            start => {
                start.as_ref().map(|start| self.of("source.start", start, value::pattern)).transpose()?
            }
        };
        let parse = self.parsing(raw)?;
        let encoding =
            raw.encoding.as_ref().map(|encoding| self.named("source.encoding", encoding)).transpose()?;
        let mut rules: Vec<Rule> = Vec::new();
        for raw in &raw.r#for {
            let rule = self.rule(raw.get_ref(), &parse, audiences, has_key)?;
            if rules.iter().any(|other| other.audience == rule.audience) {
                return Err(self.wrong(
                    "source.for.audience",
                    &raw.get_ref().audience,
                    "has a rule of this source already",
                ));
            }
            rules.push(rule);
        }
        let encoding = encoding.unwrap_or_default();
        Ok(Source { name, input, device, encoding, max_entry, start, parse, rules })
    }

    fn input(&self, at: &Spanned<raw::Source>) -> Result<Input, ConfigError> {
        let raw = at.get_ref();
        match (&raw.file, &raw.directory, &raw.syslog, &raw.r#match) {
            (Some(file), None, None, None) => self.of("source.file", file, value::path).map(Input::File),
            (None, Some(directory), None, Some(matching)) => {
                let judge = |text: &str| match text {
                    "" | "." | ".." => Err("takes a name, with * for any characters".to_owned()),
                    text if text.contains('/') || text.len() > 255 => {
                        Err("is not the name of a file".to_owned())
                    }
                    text => Ok(text.to_owned()),
                };
                Ok(Input::Directory {
                    path: self.of("source.directory", directory, value::path)?,
                    matching: self.of("source.match", matching, judge)?,
                })
            }
            (None, None, Some(syslog), None) => self.of("source.syslog", syslog, value::syslog),
            _ => Err(self.wrong("source", at, "takes one of: file; directory with match; syslog")),
        }
    }

    fn parsing(&self, raw: &raw::Source) -> Result<Parse, ConfigError> {
        let word = raw.parse.as_ref().map_or("none", |parse| parse.get_ref().as_str());
        let parse = match (word, &raw.pattern) {
            ("regex", Some(pattern)) => {
                return self.of("source.pattern", pattern, value::pattern).map(Parse::Regex);
            }
            ("none", None) => Parse::None,
            ("json", None) => Parse::Json,
            ("key-value", None) => Parse::KeyValue,
            ("none" | "json" | "key-value", Some(pattern)) => {
                return Err(self.wrong("source.pattern", pattern, "goes with parse = \"regex\" alone"));
            }
            _ => {
                let why = "takes none, json, key-value, or regex with pattern";
                return Err(raw.parse.as_ref().map_or_else(
                    || self.whole("source.parse", why),
                    |at| self.wrong("source.parse", at, why),
                ));
            }
        };
        Ok(parse)
    }

    fn rule(
        &self,
        raw: &raw::Rule,
        parse: &Parse,
        audiences: &BTreeMap<AudienceName, Audience>,
        has_key: bool,
    ) -> Result<Rule, ConfigError> {
        let audience: AudienceName = self.named("source.for.audience", &raw.audience)?;
        let Some(known) = audiences.get(&audience) else {
            return Err(self.wrong(
                "source.for.audience",
                &raw.audience,
                format!("there is no [audience.{audience}]"),
            ));
        };
        let mut keep: Vec<Keep> = Vec::new();
        for field in &raw.keep {
            self.field("source.for.keep", field, parse)?;
            if keep.iter().any(|other| other.field == *field.get_ref()) {
                return Err(self.wrong("source.for.keep", field, "is there twice"));
            }
            keep.push(Keep { field: field.get_ref().clone(), how: How::Plain });
        }
        let changed = [
            ("source.for.mask", &raw.mask, How::Mask),
            ("source.for.pseudonym", &raw.pseudonym, How::Pseudonym),
        ];
        for (key, fields, how) in changed {
            for field in fields {
                let Some(kept) = keep.iter_mut().find(|kept| kept.field == *field.get_ref()) else {
                    return Err(self.wrong(key, field, "is not in keep"));
                };
                if kept.how != How::Plain {
                    return Err(self.wrong(key, field, "is there twice, or is both masked and a pseudonym"));
                }
                if how == How::Pseudonym && !has_key {
                    return Err(self.wrong(key, field, "takes a key: [pseudonym] key = \"/FILE\""));
                }
                kept.how = how;
            }
        }
        if keep.len() > MAX_FIELDS || raw.only.len() > MAX_CONDITIONS || raw.drop.len() > MAX_CONDITIONS {
            let why = format!("has more than {MAX_FIELDS} fields, or than {MAX_CONDITIONS} conditions");
            return Err(self.wrong("source.for", &raw.audience, why));
        }
        Ok(Rule {
            audience,
            keep,
            only: self.conditions("source.for.only", &raw.only, parse)?,
            drop: self.conditions("source.for.drop", &raw.drop, parse)?,
            patient_data: known.patient_data,
        })
    }

    fn conditions(
        &self,
        key: &str,
        raw: &BTreeMap<Text, Text>,
        parse: &Parse,
    ) -> Result<Vec<Condition>, ConfigError> {
        let condition = |(field, pattern): (&Text, &Text)| {
            self.field(key, field, parse)?;
            Ok(Condition { field: field.get_ref().clone(), pattern: self.of(key, pattern, value::pattern)? })
        };
        raw.iter().map(condition).collect()
    }

    /// A field that a rule names must be one that entries can have: a slip of the pen is found here, and not by what does not
    /// arrive.
    fn field(&self, key: &str, field: &Text, parse: &Parse) -> Result<(), ConfigError> {
        let name = field.get_ref().as_str();
        let wrong = |why: String| Err(self.wrong(key, field, why));
        match parse {
            _ if name.is_empty() || name.len() > MAX_FIELD => {
                wrong(format!("takes a name of 1 to {MAX_FIELD} bytes"))
            }
            Parse::None if name != LINE => wrong(format!("without parse, there is one field: {LINE}")),
            Parse::Regex(pattern) if !pattern.capture_names().flatten().any(|group| group == name) => {
                wrong(format!("pattern has no group (?<{name}>...)"))
            }
            _ => Ok(()),
        }
    }
}

/// The most bytes of an entry: a record of it has as many, with what JSON adds.
const MAX_ENTRY: u64 = Outgoing::MAX_RECORD as u64;
const MAX_SOURCES: usize = 32;
const MAX_AUDIENCES: usize = 8;
/// As many as a sealed file takes, with the authority's stanza and one to spare.
const MAX_READERS: usize = 62;
const MAX_FIELDS: usize = 64;
const MAX_CONDITIONS: usize = 16;
const MAX_FIELD: usize = 128;
