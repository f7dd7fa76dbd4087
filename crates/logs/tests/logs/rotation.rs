//! One file and what it is rotated to: every line is read once, or counted in a gap.

use crate::testkit::{Bench, Random};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use wardein_logs::{Gap, GapReason, WarningKind};

const FILE: &str = "file = \"DIR/app.log\"";
const NO_LIMIT: usize = 1 << 20;

/// How a log is rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// By name, `app.log.1`, and the program goes on writing to the old file until it opens the new one.
    Rename,
    /// By name, with a number for the time, `app.log-00000017`.
    Dated,
    /// Copied to `app.log.1`, then cut.
    Copy,
    /// Cut, without a copy.
    Cut,
}

/// A program that logs, and the tool that rotates its log.
struct Program {
    bench: Bench,
    file: Option<File>,
    /// All that was written.
    written: String,
    /// What is written next.
    coming: String,
    seed: u64,
    /// What was written since the log was cut last.
    present: usize,
    lines: usize,
    rotations: usize,
}

impl Program {
    fn new(bench: Bench) -> Self {
        Self {
            bench,
            file: None,
            written: String::new(),
            coming: String::new(),
            seed: 1,
            present: 0,
            lines: 0,
            rotations: 0,
        }
    }

    fn open(&mut self) {
        self.file =
            Some(OpenOptions::new().create(true).append(true).open(self.bench.path("app.log")).unwrap());
    }

    /// Writes the next `length` bytes of lines that are each another, wherever that cuts them.
    fn write(&mut self, length: usize) {
        while self.coming.len() < length {
            self.lines += 1;
            // Of many lengths, and no stretch of them twice.
            let mut line = format!("line {:06} ", self.lines);
            for _ in 0..self.lines % 7 {
                self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                line += &format!("{:012x}", self.seed >> 16);
            }
            self.coming += &line;
            self.coming.push('\n');
        }
        let rest = self.coming.split_off(length);
        let bytes = std::mem::replace(&mut self.coming, rest);
        self.pending(&bytes);
        self.written += &bytes;
    }

    fn pending(&mut self, bytes: &str) {
        if self.file.is_none() {
            self.open();
        }
        self.file.as_mut().unwrap().write_all(bytes.as_bytes()).unwrap();
        self.present += bytes.len();
    }

    /// Moves the names up: app.log.1 becomes app.log.2, and so on; the highest goes.
    fn shift(&self, keep: usize) {
        for number in (1..=keep).rev() {
            let from = self.bench.path(&format!("app.log.{number}"));
            if number == keep {
                drop(fs::remove_file(&from));
            } else if from.exists() {
                fs::rename(&from, self.bench.path(&format!("app.log.{}", number + 1))).unwrap();
            }
        }
    }

    /// Whether it was worth it.
    fn rotate(&mut self, kind: Kind, keep: usize) -> bool {
        // A file of a few bytes, with which another begins, may be taken for a copy of it.
        if self.present < 24 || !self.bench.path("app.log").exists() {
            return false;
        }
        self.rotations += 1;
        match kind {
            Kind::Rename => {
                self.shift(keep);
                self.bench.rename("app.log", "app.log.1");
            }
            Kind::Dated => self.bench.rename("app.log", &format!("app.log-{:08}", self.rotations)),
            Kind::Copy => {
                self.shift(keep);
                fs::copy(self.bench.path("app.log"), self.bench.path("app.log.1")).unwrap();
                File::options().write(true).open(self.bench.path("app.log")).unwrap().set_len(0).unwrap();
                self.present = 0;
            }
            Kind::Cut => {
                File::options().write(true).open(self.bench.path("app.log")).unwrap().set_len(0).unwrap();
                self.present = 0;
            }
        }
        true
    }

    /// The program opens the log again, as daemons do after a rotation.
    fn reopen(&mut self) {
        self.file = None;
        self.present = 0;
        self.open();
    }

    /// A last line by which every file before is seen to be over, and all that is waited for.
    fn end(&mut self) {
        self.write(self.coming.len() + 1);
        self.write(self.coming.len());
        self.bench.drain();
        self.bench.wait(3_600);
        self.bench.drain();
    }
}

fn joined(text: &str) -> String {
    text.replace('\n', "")
}

/// Random writes, rotations, polls with random limits, and restarts. Nothing is lost, nothing comes twice, nothing changes places.
fn every_line_once(kind: Kind, seed: u64) {
    let mut random = Random(seed);
    let mut program = Program::new(Bench::new(FILE));
    let mut unopened = false;
    // What was rotated before the agent's first look is not read.
    program.bench.poll(1);
    for _ in 0..60 {
        match random.below(12) {
            0..=4 => {
                let length = 1 + random.below(400);
                program.write(length);
            }
            5 if unopened => {
                program.reopen();
                unopened = false;
            }
            5 | 6 if !unopened => {
                if program.rotate(kind, 50) && kind != Kind::Copy {
                    // Some tools make the new file at once; the program writes to the old one until it hears of it.
                    if random.below(2) == 0 {
                        File::create(program.bench.path("app.log")).unwrap();
                    }
                    unopened = true;
                    if random.below(2) == 0 {
                        program.reopen();
                        unopened = false;
                    }
                }
            }
            7 => program.bench.stop(),
            _ => {
                let limit = 1 + random.below(600);
                program.bench.poll(limit);
            }
        }
    }
    program.reopen();
    program.end();
    let Program { bench, written, .. } = program;
    assert_eq!(bench.lines.concat(), joined(&written), "{kind:?}, seed {seed}");
    assert_eq!(bench.gaps, [], "{kind:?}, seed {seed}");
}

/// How many seeds are tried of each kind: more with `WARDEIN_ROTATIONS`.
fn seeds() -> u64 {
    std::env::var("WARDEIN_ROTATIONS")
        .map_or(60, |count| count.parse().expect("WARDEIN_ROTATIONS is a number"))
}

#[test]
fn every_line_is_read_once_through_renames() {
    for seed in 0..seeds() {
        every_line_once(Kind::Rename, seed);
    }
}

#[test]
fn every_line_is_read_once_through_dated_names() {
    for seed in 0..seeds() {
        every_line_once(Kind::Dated, seed);
    }
}

#[test]
fn every_line_is_read_once_through_copies() {
    for seed in 0..seeds() {
        every_line_once(Kind::Copy, seed);
    }
}

/// A rotation after each number of bytes of a text, with a poll before it at each.
#[test]
fn a_rotation_at_every_byte_loses_nothing() {
    for kind in [Kind::Rename, Kind::Dated, Kind::Copy] {
        for at in 1..90 {
            for polled in [0, at / 2, at] {
                let mut program = Program::new(Bench::new(FILE));
                program.open();
                let text = "first line\nsecond line, longer\nthird\n4\n5 is the last line before the end of this text\n and more\n";
                program.pending(&text[..polled]);
                program.bench.poll(NO_LIMIT);
                program.pending(&text[polled..at]);
                program.present = usize::MAX / 2;
                program.rotate(kind, 5);
                if kind == Kind::Copy {
                    program.pending(&text[at..]);
                } else {
                    program.reopen();
                    program.pending(&text[at..]);
                }
                program.bench.drain();
                assert_eq!(
                    program.bench.lines.concat(),
                    joined(text),
                    "{kind:?} at {at}, polled at {polled}"
                );
                assert_eq!(program.bench.gaps, []);
            }
        }
    }
}

/// Where a log is cut without a copy, what was seen and not read is a gap of so many bytes, and nothing else is lost.
#[test]
fn what_is_cut_away_is_a_gap() {
    for seed in 0..seeds() {
        let mut random = Random(seed);
        let mut program = Program::new(Bench::new(FILE));
        let (mut lost, mut cuts) = (0, 0);
        for _ in 0..40 {
            match random.below(6) {
                0..=2 => {
                    let length = 1 + random.below(300);
                    program.write(length);
                }
                3 if program.present >= 24 => {
                    // What is there is seen, and read up to some limit.
                    let limit = 1 + random.below(400);
                    program.bench.poll(limit);
                    let before: usize = program.bench.lines.iter().map(|line| line.len() + 1).sum();
                    lost = program.written.len() - before;
                    cuts += 1;
                    program.rotate(Kind::Cut, 0);
                    program.bench.poll(NO_LIMIT);
                    let gap = program.bench.gaps.last().map(|gap| (gap.why, gap.bytes));
                    assert_eq!(gap, Some((GapReason::Truncated, lost as u64)), "seed {seed}");
                    // From here on, what was lost counts as read.
                    if lost > 0 {
                        program.bench.lines.push("x".repeat(lost - 1));
                    }
                }
                _ => {
                    let limit = 1 + random.below(600);
                    program.bench.poll(limit);
                }
            }
        }
        program.end();
        let accounted: usize = program.bench.lines.iter().map(|line| line.len() + 1).sum();
        assert_eq!(accounted, program.written.len(), "seed {seed}: {lost} bytes were lost last");
        let gaps = &program.bench.gaps;
        assert!(gaps.iter().all(|gap| gap.why == GapReason::Truncated) && gaps.len() == cuts, "seed {seed}");
    }
}

#[test]
fn a_gap_has_the_bytes_that_were_seen() {
    let mut bench = Bench::new(FILE);
    bench.append("app.log", "first line\nsecond line\nthird line\n");
    bench.poll(1);
    assert_eq!(bench.lines, ["first line"]);
    fs::write(bench.path("app.log"), "other\n").unwrap();
    bench.drain();
    assert_eq!(bench.lines, ["first line", "other"]);
    let gap = Gap { source: "app".parse().unwrap(), lines: None, bytes: 23, why: GapReason::Truncated };
    assert_eq!(bench.gaps, [gap]);
}

/// Where what was read is still there, it is not read again. It is known by its first 256 bytes.
#[test]
fn what_is_cut_behind_the_position_is_a_gap_and_nothing_is_read_twice() {
    let mut bench = Bench::new(FILE);
    let long = "x".repeat(300);
    bench.append("app.log", format!("{long}\none\ntwo\n"));
    bench.poll(1);
    File::options().write(true).open(bench.path("app.log")).unwrap().set_len(307).unwrap();
    bench.drain();
    let gap = Gap { source: "app".parse().unwrap(), lines: None, bytes: 2, why: GapReason::Truncated };
    assert_eq!((bench.lines, bench.gaps), (vec![long, "one".to_owned()], vec![gap]));
}

#[test]
fn contents_that_were_replaced_in_place_are_read_whatever_their_length() {
    for text in ["b\n", "bb bb\n", "bbbb bbbb bbbb\n"] {
        let mut bench = Bench::new(FILE);
        bench.append("app.log", "aa aa\n");
        bench.drain();
        fs::write(bench.path("app.log"), text).unwrap();
        bench.drain();
        assert_eq!(bench.lines, ["aa aa", text.trim_end()]);
    }
}

#[test]
fn a_rotated_file_that_is_removed_before_it_was_read_is_a_gap() {
    let mut bench = Bench::new(FILE);
    bench.append("app.log", "first line\nsecond line\n");
    bench.poll(1);
    // While the agent runs, it has the file open.
    fs::remove_file(bench.path("app.log")).unwrap();
    bench.append("app.log", "new\n");
    bench.drain();
    assert_eq!((bench.lines.len(), bench.gaps.len()), (3, 0));
    bench.append("app.log", "seen\n");
    bench.poll(1);
    bench.append("app.log", "unseen\n");
    bench.poll(1);
    bench.stop();
    fs::remove_file(bench.path("app.log")).unwrap();
    bench.append("app.log", "newest\n");
    bench.drain();
    assert_eq!(bench.lines[3..], ["seen", "unseen", "newest"]);
    // It is not known whether there was more, and that is said. The new file may have the old one's inode.
    let gaps: Vec<_> = bench.gaps.iter().map(|gap| (gap.lines, gap.bytes)).collect();
    assert_eq!(gaps, [(None, 0)]);
    assert!(matches!(bench.gaps[0].why, GapReason::LostByRotation | GapReason::Truncated));
}

#[test]
fn nothing_is_followed_that_is_not_a_file() {
    type Put = fn(&Bench);
    let put: [(&str, Put); 3] = [
        ("a link", |bench| std::os::unix::fs::symlink("/etc/passwd", bench.path("app.log")).unwrap()),
        ("a directory", |bench| fs::create_dir(bench.path("app.log")).unwrap()),
        ("a socket", |bench| drop(std::os::unix::net::UnixDatagram::bind(bench.path("app.log")).unwrap())),
    ];
    for (what, put) in put {
        let mut bench = Bench::new(FILE);
        bench.append("app.log", "before\n");
        bench.poll(NO_LIMIT);
        fs::remove_file(bench.path("app.log")).unwrap();
        put(&bench);
        for _ in 0..3 {
            bench.poll(NO_LIMIT);
        }
        assert_eq!(bench.lines, ["before"], "{what}");
        assert_eq!(
            bench.gaps.iter().map(|gap| gap.why).collect::<Vec<_>>(),
            [GapReason::ReplacedByLink],
            "{what}, said once"
        );
        // The file is back.
        let path = bench.path("app.log");
        if path.is_dir() {
            fs::remove_dir(&path).unwrap()
        } else {
            fs::remove_file(&path).unwrap()
        }
        bench.append("app.log", "after\n");
        bench.drain();
        assert_eq!(bench.lines, ["before", "after"], "{what}");
    }
}

#[test]
fn a_line_of_100_megabytes_is_skipped_in_bounded_memory() {
    let mut bench = Bench::new(FILE);
    let file = File::create(bench.path("app.log")).unwrap();
    // Without a byte on the disk: zeros.
    file.set_len(100 << 20).unwrap();
    bench.append("app.log", "\nafter\n");
    let mut polls = 0;
    while bench.lines.is_empty() {
        bench.poll(4 << 20);
        polls += 1;
        // A restart in the middle of it.
        bench.stop();
        assert!(polls < 100);
    }
    assert_eq!(bench.lines, ["after"]);
    assert!(bench.gaps.iter().all(|gap| gap.why == GapReason::TooLong));
    let (lines, bytes) =
        bench.gaps.iter().fold((0, 0), |(lines, bytes), gap| (lines + gap.lines.unwrap(), bytes + gap.bytes));
    assert_eq!((lines, bytes), (1, (100 << 20) + 1));
}

#[test]
fn an_entry_of_several_lines_waits_for_the_next_or_a_while() {
    let mut bench = Bench::new("file = \"DIR/app.log\"\nstart = '^\\d'");
    bench.append("app.log", "1 first\n  more\n2 second\n");
    bench.drain();
    assert_eq!(bench.lines, ["1 first\n  more"]);
    // A restart does not lose the one that waits.
    bench.stop();
    bench.append("app.log", "  its end\n");
    bench.drain();
    assert_eq!(bench.lines.len(), 1);
    bench.wait(4);
    bench.drain();
    assert_eq!(bench.lines.len(), 1);
    bench.wait(2);
    bench.drain();
    assert_eq!(bench.lines[1..], ["2 second\n  its end"]);
}

#[test]
fn a_limit_is_kept_and_there_is_more() {
    let mut bench = Bench::new(FILE);
    let text: String = (0..1_000).map(|n| format!("line {n}\n")).collect();
    bench.append("app.log", &text);
    let mut polls = 0;
    loop {
        let polled = bench.poll(1_000);
        let bytes: usize = polled.outgoing.iter().map(|outgoing| outgoing.record.len() + 1).sum();
        assert!(bytes <= 1_000);
        polls += 1;
        if !polled.more {
            break;
        }
    }
    assert!(polls > 40);
    assert_eq!((bench.lines.len(), bench.read), (1_000, 1_000));
}

#[test]
fn a_path_without_a_file_is_said_once_and_waited_for() {
    let mut bench = Bench::new(FILE);
    let warnings: Vec<usize> = (0..3).map(|_| bench.poll(NO_LIMIT).warnings.len()).collect();
    assert_eq!(warnings, [1, 0, 0]);
    bench.append("app.log", "there\n");
    assert_eq!(bench.poll(NO_LIMIT).warnings, []);
    assert_eq!(bench.lines, ["there"]);
    fs::remove_file(bench.path("app.log")).unwrap();
    assert_eq!(bench.poll(NO_LIMIT).warnings.remove(0).what, WarningKind::NotThere);
}

#[test]
fn a_source_that_reads_another_file_now_begins_at_its_start() {
    let mut bench = Bench::new(FILE);
    bench.append("app.log", "one\n");
    bench.append("other.log", "two\n");
    bench.drain();
    bench.stop();
    bench.read_instead("file = \"DIR/other.log\"");
    bench.drain();
    assert_eq!((bench.lines.as_slice(), bench.gaps.len()), (&["one".to_owned(), "two".to_owned()][..], 0));
}

#[test]
fn what_was_rotated_before_the_first_look_is_not_read() {
    let mut bench = Bench::new(FILE);
    bench.append("app.log.1", "old, and not of the time of this agent\n");
    bench.poll(NO_LIMIT);
    // The log appears, and is rotated, between two looks.
    bench.append("app.log", "first, of the time of this agent\n");
    bench.rename("app.log.1", "app.log.2");
    bench.rename("app.log", "app.log.1");
    bench.append("app.log", "second\n");
    bench.drain();
    assert_eq!(bench.lines, ["first, of the time of this agent", "second"]);
}
