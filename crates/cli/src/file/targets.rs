//! Where the files of one command are opened to.

use crate::{Failure, files};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Where each file goes: under its name without `.age`. Each can be written there, and under its temporary name is nothing.
pub(super) fn targets(files: &[PathBuf], directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    if !directory.is_dir() {
        return Err(Failure::file("write into", directory, "it is not a directory"));
    }
    let (mut targets, mut seen) = (Vec::new(), BTreeSet::new());
    for file in files {
        let name = file.file_name().ok_or_else(|| Failure::file("open", file, "it has no name"))?;
        let is_age = Path::new(name).extension().is_some_and(|extension| extension == "age");
        let name = if is_age { Path::new(name).with_extension("") } else { PathBuf::from(name) };
        let target = directory.join(name);
        drop(files::begin(&target, files::PRIVATE)?);
        if !seen.insert(target.clone()) {
            return Err(Failure::file("write", &target, "two of the files have that name"));
        }
        targets.push(target);
    }
    for target in &targets {
        let temporary = wardein_durable::temporary(target);
        if seen.contains(&temporary) {
            let why = format!("{} is another one's name; open them one by one", temporary.display());
            return Err(Failure::file("write", target, why));
        }
    }
    Ok(targets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_files_go_is_judged_before_any_key_is_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        let at =
            |names: &[&str]| targets(&names.iter().map(PathBuf::from).collect::<Vec<_>>(), directory.path());
        let good = at(&["logs/pump.log.age", "b.bin"]).unwrap();
        assert_eq!(good, ["pump.log", "b.bin"].map(|name| directory.path().join(name)));
        std::fs::write(directory.path().join("there"), "").unwrap();
        std::fs::write(directory.path().join("somebody.part"), "somebody's").unwrap();
        let long = format!("{}.age", "x".repeat(251));
        for (names, words) in [
            (&["a/x.age", "b/x.age"][..], "two of the files have that name"),
            (&["there.age"], "it is there already"),
            (&["x.part.age", "x.age"], "x.part is another one's name"),
            (&["x.age", "x.part.age"], "x.part is another one's name"),
            (&["somebody.age"], "somebody.part is in the way"),
            // It would have a name, and no temporary one.
            (&["good.age", long.as_str()], "File name too long"),
            (&["a/.."], "it has no name"),
        ] {
            let failure = at(names).unwrap_err().to_string();
            assert!(failure.contains(words), "{failure}");
        }
        assert!(targets(&["a.age".into()], &directory.path().join("there")).is_err());
        let mut left: Vec<_> =
            std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["somebody.part", "there"], "nothing is left of trying");
        assert_eq!(std::fs::read(directory.path().join("somebody.part")).unwrap(), b"somebody's");
    }
}
