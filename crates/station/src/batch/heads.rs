//! What the first line names.

use super::sheet::Cells;
use super::text;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use wardein_domain::AttributeName;

/// Names of columns as the file has them.
#[derive(Debug, Default)]
pub struct HeadMap {
    /// The column's name by the head that it has in the file.
    pub names: BTreeMap<String, String>,
    /// Heads of columns that say nothing of the device.
    pub ignored: BTreeSet<String>,
}

/// What a column holds.
pub(super) enum Column {
    Id,
    Model,
    Udi,
    Profile,
    Attribute(AttributeName),
    /// Its head.
    Ignored(String),
    /// Spreadsheets end lines with a separator.
    Unnamed,
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id => f.write_str("id"),
            Self::Model => f.write_str("model"),
            Self::Udi => f.write_str("udi"),
            Self::Profile => f.write_str("profile"),
            Self::Attribute(name) => write!(f, "attr.{name}"),
            Self::Ignored(head) => write!(f, "{head:?}"),
            Self::Unnamed => f.write_str("a column without a name"),
        }
    }
}

pub(super) fn columns(first: &Cells, heads: &HeadMap) -> Result<Vec<Column>, String> {
    let (mut columns, mut seen) = (Vec::new(), BTreeSet::new());
    for cell in first.iter() {
        let head = text(cell).map_err(|error| format!("a head of the first line {error}"))?;
        if !head.is_empty() && !seen.insert(head) {
            return Err(format!("column {head:?} is named twice"));
        }
        columns.push(column(head, heads)?);
    }
    if let Some(missing) = heads.names.keys().chain(&heads.ignored).find(|head| !seen.contains(head.as_str()))
    {
        return Err(format!("the first line names no column {missing:?}"));
    }
    let mut taken = BTreeSet::new();
    let is_data = |column: &&Column| !matches!(column, Column::Ignored(_) | Column::Unnamed);
    if let Some(twice) = columns.iter().filter(is_data).find(|column| !taken.insert(column.to_string())) {
        return Err(format!("two columns are the {twice}"));
    }
    match columns.iter().any(|column| matches!(column, Column::Id)) {
        true => Ok(columns),
        false => Err("the first line names no column id; say which one it is: --map id=NAME".to_owned()),
    }
}

fn column(head: &str, heads: &HeadMap) -> Result<Column, String> {
    // What a file of failures says for people.
    if heads.ignored.contains(head) || head.starts_with('#') {
        return Ok(Column::Ignored(head.to_owned()));
    }
    Ok(match heads.names.get(head).map_or(head, String::as_str) {
        "" => Column::Unnamed,
        "id" => Column::Id,
        "model" => Column::Model,
        "udi" => Column::Udi,
        "profile" => Column::Profile,
        other => match other.strip_prefix("attr.") {
            Some(name) => {
                Column::Attribute(name.parse().map_err(|error| format!("column {other:?}: {error}"))?)
            }
            None => {
                return Err(format!(
                    "column {other:?} is none of id, model, udi, profile, attr.NAME; say what it is (--map id={other:?}), or \
                     leave it out (--ignore {other:?})"
                ));
            }
        },
    })
}
