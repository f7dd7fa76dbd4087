//! What leaves, and for whom.
//!
//! Nothing leaves by default: a record holds the fields that a rule keeps, and no others; an entry that cannot be taken apart has
//! no fields, and leaves for nobody. A filter never guesses: what it cannot read with certainty, it withholds and says why.

mod detect;
mod fields;
mod pseudonym;

use crate::config::Parse;
use crate::name::{AudienceName, SourceName};
use crate::polled::Outgoing;
use fields::Fields;
pub(crate) use fields::LINE;
pub use fields::NotParsed;
pub use pseudonym::KeyError;
pub(crate) use pseudonym::PseudonymKey;
use regex::Regex;
use std::fmt;
use std::sync::Arc;

/// What leaves of a source for one audience.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Who gets it.
    pub audience: AudienceName,
    /// The fields that leave. Nothing leaves without.
    pub keep: Vec<Keep>,
    /// Each of these must match for the entry to leave.
    pub only: Vec<Condition>,
    /// None of these may match.
    pub drop: Vec<Condition>,
    /// Whether the audience is known to get patient data, so that nobody is warned of it.
    pub patient_data: bool,
}

/// A field that leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keep {
    /// Its name.
    pub field: String,
    /// As what.
    pub how: How,
}

/// As what a field leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// As it is.
    Plain,
    /// As asterisks: as many as it has characters, at most eight.
    Mask,
    /// As a pseudonym under the hospital's key.
    Pseudonym,
}

/// A field, and what it must look like.
#[derive(Debug, Clone)]
pub struct Condition {
    /// The field's name.
    pub field: String,
    /// What is looked for in its value.
    pub pattern: Regex,
}

/// The rules of a source, ready to judge its entries.
#[derive(Clone)]
pub(crate) struct Filter {
    source: SourceName,
    parse: Parse,
    rules: Vec<Rule>,
    key: Option<Arc<PseudonymKey>>,
}

/// What becomes of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// Why it has no fields, where it has none.
    pub not_parsed: Option<NotParsed>,
    /// One for each rule.
    pub verdicts: Vec<Verdict>,
}

/// What becomes of an entry for one audience.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Who would get it.
    pub audience: AudienceName,
    /// Whether it leaves.
    pub outcome: Outcome,
}

/// Whether an entry leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It does.
    Leaves {
        /// As this; see [`Outgoing::record`].
        record: String,
        /// Fields that leave as they are and look like patient data, and what they look like.
        looks_like: Vec<(String, &'static str)>,
    },
    /// It does not.
    Withheld(Why),
}

/// Why an entry does not leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// The rule keeps no field.
    NothingKept,
    /// The entry could not be taken apart.
    NotParsed(NotParsed),
    /// `only` asks for something that the field has not.
    Only(String),
    /// `drop` names something that the field has.
    Dropped(String),
    /// None of the fields that the rule keeps is in it.
    NoField,
    /// The record would be too long.
    TooLong,
}

impl Filter {
    /// The filter of a source. `key` is that of pseudonyms, which a rule that makes some needs.
    pub(crate) fn new(
        source: SourceName,
        parse: Parse,
        rules: Vec<Rule>,
        key: Option<Arc<PseudonymKey>>,
    ) -> Self {
        Self { source, parse, rules, key }
    }

    /// What becomes of an entry.
    pub(crate) fn judge(&self, entry: &str) -> Judged {
        // Of a source without rules nothing leaves, whatever its entries look like.
        if self.rules.is_empty() {
            return Judged { not_parsed: None, verdicts: Vec::new() };
        }
        let parsed = Fields::parse(&self.parse, entry);
        let verdict = |rule: &Rule| Verdict {
            audience: rule.audience.clone(),
            outcome: match &parsed {
                Ok(fields) => self.apply(rule, fields).unwrap_or_else(Outcome::Withheld),
                Err(_) if rule.keep.is_empty() => Outcome::Withheld(Why::NothingKept),
                Err(why) => Outcome::Withheld(Why::NotParsed(why.clone())),
            },
        };
        let verdicts = self.rules.iter().map(verdict).collect();
        Judged { not_parsed: parsed.err(), verdicts }
    }

    fn apply(&self, rule: &Rule, fields: &Fields) -> Result<Outcome, Why> {
        if rule.keep.is_empty() {
            return Err(Why::NothingKept);
        }
        let has = |condition: &&Condition| {
            fields.get(&condition.field).is_some_and(|value| condition.pattern.is_match(&value.text()))
        };
        if let Some(missing) = rule.only.iter().find(|condition| !has(condition)) {
            return Err(Why::Only(missing.field.clone()));
        }
        if let Some(dropped) = rule.drop.iter().find(has) {
            return Err(Why::Dropped(dropped.field.clone()));
        }
        let mut record = format!("{{\"source\":{},\"fields\":{{", quoted(self.source.as_str()));
        let mut looks_like = Vec::new();
        let mut is_first = true;
        for Keep { field, how } in &rule.keep {
            let Some(value) = fields.get(field) else { continue };
            let written = match how {
                How::Plain => {
                    if !rule.patient_data {
                        looks_like.extend(
                            detect::looks_like(field, &value.text()).map(|like| (field.clone(), like)),
                        );
                    }
                    value.json()
                }
                How::Mask => quoted(&"*".repeat(value.text().chars().take(MAX_MASK).count())),
                How::Pseudonym => match &self.key {
                    Some(key) => quoted(&key.pseudonym(&value.text())),
                    // Sources are not opened without the key; a filter made without one leaves the field out rather than in the
                    // clear.
                    None => continue,
                },
            };
            if !std::mem::take(&mut is_first) {
                record.push(',');
            }
            record.push_str(&quoted(field));
            record.push(':');
            record.push_str(&written);
        }
        record.push_str("}}");
        match () {
            () if is_first => Err(Why::NoField),
            () if record.len() > Outgoing::MAX_RECORD => Err(Why::TooLong),
            () => Ok(Outcome::Leaves { record, looks_like }),
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingKept => f.write_str("the rule keeps no field"),
            Self::NotParsed(why) => write!(f, "{why}"),
            Self::Only(field) => write!(f, "{field} does not match `only`"),
            Self::Dropped(field) => write!(f, "{field} matches `drop`"),
            Self::NoField => f.write_str("it has none of the fields in `keep`"),
            Self::TooLong => write!(f, "its record has more than {} bytes", Outgoing::MAX_RECORD),
        }
    }
}

/// Text as a JSON string.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

const MAX_MASK: usize = 8;

#[cfg(test)]
mod tests;
