//! The file of devices, as its options say it is to be read.

use crate::Failure;
use clap::Args;
use std::path::Path;
use wardein_station::{Batch, HeadMap};

/// How the columns of the file are named.
#[derive(Debug, Args)]
pub(super) struct HeadArgs {
    /// What a column of the file is, such as `--map id=Seriennummer`. May be repeated
    #[arg(long = "map", value_name = "NAME=HEAD", value_parser = mapped)]
    names: Vec<(String, String)>,
    /// A column of the file that says nothing of the device. May be repeated
    #[arg(long = "ignore", value_name = "HEAD")]
    ignored: Vec<String>,
}

impl HeadArgs {
    pub(super) fn read(&self, file: &Path) -> Result<Batch, Failure> {
        Ok(Batch::read(file, &self.map())?)
    }

    pub(super) fn map(&self) -> HeadMap {
        let names = self.names.iter().map(|(name, head)| (head.clone(), name.clone())).collect();
        HeadMap { names, ignored: self.ignored.iter().cloned().collect() }
    }
}

fn mapped(text: &str) -> Result<(String, String), &'static str> {
    let (name, head) = text.split_once('=').ok_or("is not NAME=HEAD")?;
    Ok((name.to_owned(), head.to_owned()))
}
