//! What would leave of a file, to whom and as what, without anything leaving: for those who write and approve filters.

use crate::config::{Input, LogsConfig, Source};
use crate::filter::{Filter, Judged};
use crate::name::SourceName;
use crate::polled::Counts;
use crate::source::{Behind, SourceError, Step, pseudonym_key};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// A source of a configuration, to try a file with.
pub struct Trial<'a> {
    source: &'a Source,
    filter: Filter,
}

/// Why no file can be tried.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrialError {
    /// There is no such source.
    #[error("there is no source {name}; there are: {there}")]
    NoSource {
        /// What was asked for.
        name: SourceName,
        /// What there is.
        there: String,
    },
    /// It is not clear which source is meant.
    #[error("no source reads that path; name one with --source: {0}")]
    Which(String),
    /// The key of pseudonyms is not there.
    #[error("{0}")]
    Source(#[from] SourceError),
}

/// A part of the file, and what would become of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// Its first line, from 1.
    pub line: u64,
    /// What it is.
    pub part: Part,
}

/// A part of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// An entry.
    Entry {
        /// Its text.
        text: String,
        /// Whether bytes of it were replaced.
        is_replaced: bool,
        /// What would become of it.
        judged: Judged,
    },
    /// A line that is too long. It leaves for nobody, and is counted as a gap.
    TooLong {
        /// Its bytes.
        bytes: u64,
    },
}

impl<'a> Trial<'a> {
    /// A trial with the source of that name; without one, with the source that reads `path`, or with the only one there is.
    pub fn new(config: &'a LogsConfig, name: Option<&SourceName>, path: &Path) -> Result<Self, TrialError> {
        let there =
            || config.sources.iter().map(|source| source.name.as_str()).collect::<Vec<_>>().join(", ");
        let source = match (name, &config.sources[..]) {
            (Some(name), sources) => sources
                .iter()
                .find(|source| source.name == *name)
                .ok_or_else(|| TrialError::NoSource { name: name.clone(), there: there() })?,
            (None, [only]) => only,
            (None, sources) => {
                sources.iter().find(|source| reads(source, path)).ok_or_else(|| TrialError::Which(there()))?
            }
        };
        let filter = Filter::new(
            source.name.clone(),
            source.parse.clone(),
            source.rules.clone(),
            pseudonym_key(config)?,
        );
        Ok(Self { source, filter })
    }

    /// The source.
    pub fn source(&self) -> &Source {
        self.source
    }

    /// Reads `input` to its end, in bounded memory, and shows each part of it. What is at the end is taken for complete.
    pub fn run(
        &self,
        mut input: impl Read,
        show: &mut dyn FnMut(Tried) -> io::Result<()>,
    ) -> io::Result<Counts> {
        let joiner = self.source.joiner();
        let (mut counts, mut line) = (Counts::default(), 1);
        let mut window: Vec<u8> = Vec::new();
        let (mut is_over, mut skipped) = (false, None);
        loop {
            is_over = is_over || fill(&mut input, &mut window, joiner.window())?;
            let behind = if is_over { Behind::Nothing } else { Behind::More };
            let mut at = 0;
            loop {
                let bytes = window.get(at..).unwrap_or_default();
                match joiner.step(bytes, skipped.is_some(), behind) {
                    Step::Wait => break,
                    Step::Entry { length, text, is_replaced } => {
                        let judged = self.filter.judge(&text);
                        counts.count(&judged, is_replaced);
                        let lines = 1 + text.matches('\n').count() as u64;
                        show(Tried { line, part: Part::Entry { text, is_replaced, judged } })?;
                        line += lines;
                        at += length;
                    }
                    Step::Skip { length, goes_on, .. } => {
                        let bytes = skipped.unwrap_or(0) + length as u64;
                        skipped = Some(bytes);
                        at += length;
                        if !goes_on {
                            show(Tried { line, part: Part::TooLong { bytes } })?;
                            skipped = None;
                            line += 1;
                        }
                    }
                }
            }
            if is_over {
                if let Some(bytes) = skipped {
                    show(Tried { line, part: Part::TooLong { bytes } })?;
                }
                return Ok(counts);
            }
            window.drain(..at);
        }
    }
}

/// Fills the window; whether the input is at its end.
fn fill(input: &mut impl Read, window: &mut Vec<u8>, to: usize) -> io::Result<bool> {
    let mut filled = window.len();
    window.resize(to.max(filled), 0);
    let end = loop {
        let Some(rest) = window.get_mut(filled..).filter(|rest| !rest.is_empty()) else { break false };
        match input.read(rest) {
            Ok(0) => break true,
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    };
    window.truncate(filled);
    Ok(end)
}

/// Whether a source reads the file of that path.
fn reads(source: &Source, path: &Path) -> bool {
    match &source.input {
        Input::File(file) => file == path,
        Input::Directory { path: directory, .. } => path.parent() == Some(directory),
        Input::SyslogUnix(_) | Input::SyslogUdp(_) | Input::SyslogTls(_) => false,
    }
}
