//! What strace saw a process do to its files, in order: writes, changes of size, names, syncs, and the lines that it printed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A file or a directory, by a number of its own, whatever its name is just then.
pub(super) type Inode = usize;

/// What a process did, with the contents from which it began.
#[derive(Default)]
pub struct Trace {
    /// What was there before; all of it is on the disk.
    pub(super) before: BTreeMap<Inode, Node>,
    pub(super) done: Vec<Done>,
    /// Those that were made.
    pub(super) directories: HashSet<Inode>,
    /// The lines on standard output, each with the moment at which it was out.
    pub lines: Vec<(usize, String)>,
    /// Syncs that failed, with the file's path and the moment.
    pub failed_syncs: Vec<(usize, PathBuf)>,
    /// Files that were opened, each with the moment.
    pub opened: Vec<(usize, PathBuf)>,
    /// Moments are numbered from zero to this.
    pub moments: usize,
}

pub(super) enum Node {
    File(Vec<u8>),
    Directory(BTreeMap<String, Inode>),
}

/// Something that a call did, if it was allowed to.
pub(super) struct Done {
    pub(super) inode: Inode,
    /// The moment at which the call began.
    pub(super) begin: usize,
    pub(super) end: usize,
    /// The thread that called.
    thread: String,
    pub(super) what: What,
    /// From which moment on it is on the disk for certain: the end of the next sync, if that did not fail.
    pub(super) settled: Option<usize>,
}

pub(super) enum What {
    Write {
        at: usize,
        bytes: Vec<u8>,
    },
    Resize(usize),
    Link(String, Inode),
    Unlink(String),
    /// To a name in the same directory.
    Rename(String, String),
}

/// The root of the place, which is always there.
pub(super) const ROOT: Inode = 0;

impl Trace {
    /// Runs a program, and all that it starts, whose files are at `place`, an absolute path without links. `more` are further
    /// arguments for strace, such as faults. `None` where strace is missing or refused.
    pub fn of(place: &Path, more: &[&str], program: &Command) -> Option<Self> {
        let mut reader = Reader { place: place.to_owned(), ..Reader::default() };
        reader.take_in(place);
        let output = tempfile::NamedTempFile::new().unwrap();
        let mut strace = Command::new("strace");
        strace.args(["-f", "-y", "-xx", "-qq", "-s", "16777216", "-e", "signal=none", "-e"]);
        strace.arg(format!("trace={CALLS}")).args(more).arg("-o").arg(output.path());
        strace.arg(program.get_program()).args(program.get_args());
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => strace.env(name, value),
                None => strace.env_remove(name),
            };
        }
        // The program may fail where a fault was too much for it.
        strace.stdout(Stdio::null()).stderr(Stdio::null()).status().ok()?;
        let text = std::fs::read_to_string(output.path()).unwrap();
        if text.is_empty() {
            return None;
        }
        text.lines().for_each(|line| reader.line(line));
        Some(reader.trace)
    }
}

/// The calls to be traced: all that alter a file, or the position at which one is written.
const CALLS: &str = "openat,write,pwrite64,writev,pwritev,pwritev2,ftruncate,truncate,fallocate,lseek,fsync,fdatasync,\
    rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,link,linkat,copy_file_range,sendfile";

#[derive(Default)]
struct Reader {
    place: PathBuf,
    trace: Trace,
    names: HashMap<PathBuf, Inode>,
    inodes: usize,
    /// The thread whose call is looked at.
    thread: String,
    /// Where the next `write` of a descriptor goes.
    positions: HashMap<String, usize>,
    /// Descriptors whose writes go to the end.
    appending: HashSet<String>,
    sizes: HashMap<PathBuf, usize>,
    /// The lines of calls that were not over when another thread's came, by thread.
    unfinished: HashMap<String, (usize, String)>,
}

impl Reader {
    fn take_in(&mut self, path: &Path) -> Inode {
        let inode = self.name(path);
        let node = if path.is_dir() {
            let entries = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap());
            let names = entries.map(|entry| (entry.file_name().into_string().unwrap(), entry.path()));
            let names: Vec<_> = names.collect();
            Node::Directory(names.into_iter().map(|(name, path)| (name, self.take_in(&path))).collect())
        } else {
            let bytes = std::fs::read(path).unwrap();
            self.sizes.insert(path.to_owned(), bytes.len());
            Node::File(bytes)
        };
        self.trace.before.insert(inode, node);
        inode
    }

    fn name(&mut self, path: &Path) -> Inode {
        self.inodes += 1;
        self.names.insert(path.to_owned(), self.inodes - 1);
        self.inodes - 1
    }

    /// A line is `THREAD CALL(ARGUMENTS) = RESULT`, or its first part and, later, the rest (strace(1)).
    fn line(&mut self, line: &str) {
        let Some((thread, call)) = line.split_once(' ') else { return };
        let call = call.trim_start();
        self.trace.moments += 1;
        let now = self.trace.moments;
        thread.clone_into(&mut self.thread);
        if let Some(begun) = call.strip_suffix(" <unfinished ...>") {
            self.unfinished.insert(thread.to_owned(), (now, begun.to_owned()));
        } else if let Some(rest) = call.strip_prefix("<... ") {
            let rest = rest.split_once(" resumed>").unwrap().1;
            let (begin, begun) = self.unfinished.remove(thread).unwrap();
            self.call(begin, now, &format!("{begun}{rest}"));
        } else {
            self.call(now, now, call);
        }
    }

    fn call(&mut self, begin: usize, end: usize, call: &str) {
        let Some((name, rest)) = call.split_once('(') else { return };
        let Some((arguments, result)) = rest.rsplit_once(") = ").or_else(|| rest.rsplit_once(") ")) else {
            return;
        };
        let result = result.trim_start_matches([' ', '=']);
        let arguments: Vec<&str> = arguments.split(", ").map(str::trim).collect();
        let result = match result.split([' ', '<']).next().unwrap().parse::<i64>() {
            Ok(result) => result,
            // The process ended in the middle of it.
            Err(_) => return,
        };
        if let "fsync" | "fdatasync" = name {
            let (_, path) = descriptor(arguments[0]);
            return self.sync(begin, end, &path, result == 0);
        }
        if result < 0 {
            return;
        }
        let result = usize::try_from(result).unwrap();
        match name {
            "openat" => self.open(begin, end, &text(arguments[1]), arguments[2], result),
            "write" => {
                let (number, path) = descriptor(arguments[0]);
                let mut bytes = unescaped(arguments[1]);
                bytes.truncate(result);
                if number == "1" {
                    let lines = String::from_utf8_lossy(&bytes).into_owned();
                    self.trace.lines.extend(lines.lines().map(|line| (end, line.to_owned())));
                    return;
                }
                if self.appending.contains(&number) {
                    let size = self.sizes.get(&path).copied().unwrap_or(0);
                    self.positions.insert(number.clone(), size);
                }
                let at = self.positions.entry(number).or_default();
                *at += result;
                let at = *at - result;
                self.alter(begin, end, &path, What::Write { at, bytes });
            }
            "pwrite64" => {
                let mut bytes = unescaped(arguments[1]);
                bytes.truncate(result);
                let at = arguments[3].parse().unwrap();
                self.alter(begin, end, &descriptor(arguments[0]).1, What::Write { at, bytes });
            }
            "lseek" => drop(self.positions.insert(descriptor(arguments[0]).0, result)),
            "ftruncate" => {
                self.alter(
                    begin,
                    end,
                    &descriptor(arguments[0]).1,
                    What::Resize(arguments[1].parse().unwrap()),
                );
            }
            // Room beyond the end, which no content is in.
            "fallocate" if arguments[1].contains("KEEP_SIZE") => {}
            // Of a mode that makes a file longer: the spare of the reserve.
            "fallocate" => self.alter(
                begin,
                end,
                &descriptor(arguments[0]).1,
                What::Resize(arguments[2].parse::<usize>().unwrap() + arguments[3].parse::<usize>().unwrap()),
            ),
            "mkdir" => {
                let made = self.link(begin, end, &text(arguments[0]));
                self.trace.directories.extend(made);
            }
            "unlink" => self.unlink(begin, end, &text(arguments[0])),
            "unlinkat" => self.unlink(begin, end, &text(arguments[1])),
            "rename" => self.rename(begin, end, &text(arguments[0]), &text(arguments[1])),
            "renameat" | "renameat2" => self.rename(begin, end, &text(arguments[1]), &text(arguments[3])),
            other => {
                let concerns = arguments.iter().any(|argument| text(argument).starts_with(&self.place));
                assert!(!concerns, "{other} alters files, and is not simulated");
            }
        }
    }

    fn sync(&mut self, begin: usize, end: usize, path: &Path, is_done: bool) {
        let Some(&inode) = self.names.get(path) else { return };
        if !is_done {
            self.trace.failed_syncs.push((end, path.to_owned()));
        }
        let is_directory = path.is_dir();
        for done in self.trace.done.iter_mut().filter(|done| done.inode == inode && done.end < begin) {
            // A failed one is the caller's: Linux takes its pages for written (fsync(2), "EIO"), and nothing later settles them. It
            // tells everybody else who has the file open, as strace does not; and what it has of directories it keeps.
            let concerns = is_done || !is_directory && done.thread == self.thread;
            if concerns && done.settled.is_none() {
                done.settled = Some(if is_done { end } else { usize::MAX });
            }
        }
    }

    fn open(&mut self, begin: usize, end: usize, path: &Path, flags: &str, number: usize) {
        self.positions.insert(number.to_string(), 0);
        self.appending.remove(&number.to_string());
        if !path.starts_with(&self.place) {
            return;
        }
        self.trace.opened.push((end, path.to_owned()));
        if !self.names.contains_key(path) {
            let _ = self.link(begin, end, path);
        } else if flags.contains("O_TRUNC") {
            self.alter(begin, end, path, What::Resize(0));
        }
        if flags.contains("O_APPEND") {
            self.appending.insert(number.to_string());
        }
    }

    fn alter(&mut self, begin: usize, end: usize, path: &Path, what: What) {
        // SQLite's index of its log is memory that processes share; after a crash it is made from the log
        // (sqlite.org/walformat.html).
        let is_index = path.to_str().is_some_and(|path| path.ends_with("-shm"));
        if let (false, Some(&inode)) = (is_index, self.names.get(path)) {
            let size = self.sizes.entry(path.to_owned()).or_default();
            match &what {
                What::Write { at, bytes } => *size = (*size).max(at + bytes.len()),
                What::Resize(to) => *size = *to,
                What::Link(..) | What::Unlink(_) | What::Rename(..) => {}
            }
            let thread = self.thread.clone();
            self.trace.done.push(Done { inode, begin, end, thread, what, settled: None });
        }
    }

    fn link(&mut self, begin: usize, end: usize, path: &Path) -> Option<Inode> {
        let (directory, name) = self.split(path)?;
        let inode = self.name(path);
        self.alter(begin, end, &directory, What::Link(name, inode));
        Some(inode)
    }

    fn unlink(&mut self, begin: usize, end: usize, path: &Path) {
        if let Some((directory, name)) = self.split(path) {
            self.names.remove(path);
            self.sizes.remove(path);
            self.alter(begin, end, &directory, What::Unlink(name));
        }
    }

    fn rename(&mut self, begin: usize, end: usize, from: &Path, to: &Path) {
        let (Some((directory, from_name)), Some((other, to_name))) = (self.split(from), self.split(to))
        else {
            return;
        };
        assert_eq!(directory, other, "a file that changes its directory is not simulated");
        // With what is in it, where it is a directory.
        let moved: Vec<_> = self.names.keys().filter(|path| path.starts_with(from)).cloned().collect();
        for path in moved {
            let inode = self.names.remove(&path).unwrap();
            let rest = path.strip_prefix(from).unwrap();
            let is_itself = rest.as_os_str().is_empty();
            let moved_to = if is_itself { to.to_owned() } else { to.join(rest) };
            if let Some(size) = self.sizes.remove(&path) {
                self.sizes.insert(moved_to.clone(), size);
            }
            self.names.insert(moved_to, inode);
        }
        self.alter(begin, end, &directory, What::Rename(from_name, to_name));
    }

    fn split(&self, path: &Path) -> Option<(PathBuf, String)> {
        let directory = path.parent().filter(|_| path.starts_with(&self.place) && path != self.place)?;
        Some((directory.to_owned(), path.file_name()?.to_str()?.to_owned()))
    }
}

/// Number and path of `3</path>`.
fn descriptor(argument: &str) -> (String, PathBuf) {
    let (number, path) = argument.split_once('<').unwrap_or((argument, ""));
    (number.to_owned(), text(path))
}

/// A path, in quotes or in angles.
fn text(argument: &str) -> PathBuf {
    String::from_utf8_lossy(&unescaped(argument)).into_owned().into()
}

/// strace writes each byte as `\x00`, with `-xx`.
fn unescaped(argument: &str) -> Vec<u8> {
    assert!(!argument.ends_with("..."), "strace cut it off");
    let hex = argument.split('\\').skip(1).map(|byte| &byte[1..3]);
    hex.map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}
