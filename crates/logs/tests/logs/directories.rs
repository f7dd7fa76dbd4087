//! The files of a directory: dated ones, ones that change their names, and what is no file.

use crate::testkit::{Bench, Random};
use std::fs::{self, File};
use wardein_logs::GapReason;

const DIRECTORY: &str = "directory = \"DIR\"\nmatch = \"*.log\"";
const NO_LIMIT: usize = 1 << 20;

fn reasons(bench: &Bench) -> Vec<GapReason> {
    bench.gaps.iter().map(|gap| gap.why).collect()
}

#[test]
fn dated_files_are_read_in_order_and_each_once() {
    let mut bench = Bench::new(DIRECTORY);
    for day in [3, 1, 2] {
        bench.append(&format!("pump-2026-11-0{day}.log"), format!("day {day}, one\nday {day}, two\n"));
    }
    bench.append("notes.txt", "not a log\n");
    fs::create_dir(bench.path("directory.log")).unwrap();
    bench.drain();
    assert_eq!(
        bench.lines,
        ["day 1, one", "day 1, two", "day 2, one", "day 2, two", "day 3, one", "day 3, two"]
    );
    bench.stop();
    bench.append("pump-2026-11-02.log", "late\n");
    bench.append("pump-2026-11-04.log", "next\n");
    bench.drain();
    assert_eq!(bench.lines[6..], ["late", "next"]);
    // Those that were read are removed: nothing is missing.
    fs::remove_file(bench.path("pump-2026-11-01.log")).unwrap();
    bench.drain();
    assert_eq!(bench.gaps, []);
}

/// Random writes to the file of the day, days, renames, removals of what was read, restarts and limits.
#[test]
fn every_line_is_read_once_over_days() {
    for seed in 0..40 {
        let mut random = Random(seed);
        let mut bench = Bench::new(DIRECTORY);
        let (mut day, mut line, mut written) = (1, 0, Vec::new());
        for _ in 0..80 {
            match random.below(10) {
                0..=4 => {
                    line += 1;
                    let text = format!("line {line:05} of day {day:03} {}", "y".repeat(random.below(60)));
                    bench.append(&format!("pump-{day:03}.log"), format!("{text}\n"));
                    written.push(text);
                }
                5 => day += 1,
                // A file's name changes while it is read; also to one that does not match.
                6 if bench.path(&format!("pump-{day:03}.log")).exists() => {
                    bench.poll(1 + random.below(300));
                    let to = if random.below(2) == 0 {
                        format!("old-{day:03}.log")
                    } else {
                        format!("pump-{day:03}.log.1")
                    };
                    bench.rename(&format!("pump-{day:03}.log"), &to);
                    day += 1;
                }
                7 => bench.stop(),
                8 if day > 3 => {
                    bench.drain();
                    drop(fs::remove_file(bench.path(&format!("pump-{:03}.log", day - 3))));
                }
                _ => {
                    bench.poll(1 + random.below(500));
                }
            }
        }
        bench.drain();
        assert_eq!(bench.gaps, [], "seed {seed}");
        bench.lines.sort();
        assert_eq!(bench.lines, written, "seed {seed}");
    }
}

#[test]
fn a_copy_is_not_read_twice_and_has_what_was_cut() {
    let mut bench = Bench::new(DIRECTORY);
    bench.append("pump.log", "line one\nline two\nline three\n");
    bench.poll(1);
    assert_eq!(bench.lines, ["line one"]);
    // The copy is there before the file is cut.
    fs::copy(bench.path("pump.log"), bench.path("pump-1.log")).unwrap();
    bench.poll(1);
    bench.stop();
    bench.poll(1);
    File::options().write(true).open(bench.path("pump.log")).unwrap().set_len(0).unwrap();
    bench.append("pump.log", "line four\n");
    bench.drain();
    bench.lines.sort();
    assert_eq!(bench.lines, ["line four", "line one", "line three", "line two"]);
    assert_eq!(bench.gaps, []);
}

#[test]
fn what_is_removed_or_cut_before_it_was_read_is_a_gap() {
    let mut bench = Bench::new(DIRECTORY);
    bench.append("a.log", "one\ntwo is lost\n");
    bench.poll(1);
    fs::remove_file(bench.path("a.log")).unwrap();
    bench.drain();
    assert_eq!((reasons(&bench), bench.gaps[0].bytes), (vec![GapReason::LostByRotation], 12));
    bench.append("b.log", "three\nfour is lost\n");
    bench.poll(1);
    fs::write(bench.path("b.log"), "5\n").unwrap();
    bench.drain();
    assert_eq!((reasons(&bench)[1], bench.gaps[1].bytes), (GapReason::Truncated, 13));
    assert_eq!(bench.lines, ["one", "three", "5"]);
}

#[test]
fn links_are_not_followed_and_are_counted_once() {
    let mut bench = Bench::new(DIRECTORY);
    bench.append("a.log", "one\n");
    bench.drain();
    fs::remove_file(bench.path("a.log")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", bench.path("a.log")).unwrap();
    for _ in 0..3 {
        bench.poll(NO_LIMIT);
    }
    assert_eq!(
        (bench.lines.as_slice(), reasons(&bench)),
        (&["one".to_owned()][..], vec![GapReason::ReplacedByLink])
    );
}

#[test]
fn half_a_line_at_the_end_of_a_file_is_taken_after_a_while() {
    let mut bench = Bench::new(DIRECTORY);
    bench.append("a.log", "one\ntwo");
    bench.drain();
    bench.wait(59);
    bench.drain();
    assert_eq!(bench.lines, ["one"]);
    bench.wait(2);
    bench.drain();
    assert_eq!(bench.lines, ["one", "two"]);
}

#[test]
fn many_files_are_followed_up_to_a_bound_and_the_others_wait() {
    let mut bench = Bench::new(DIRECTORY);
    for number in 0..1_030 {
        bench.append(&format!("{number:04}.log"), format!("file {number:04}\n"));
    }
    assert_eq!(bench.poll(NO_LIMIT).warnings.len(), 1);
    assert_eq!(bench.lines.len(), 1_024);
    for number in 0..10 {
        fs::remove_file(bench.path(&format!("{number:04}.log"))).unwrap();
    }
    assert_eq!(bench.poll(NO_LIMIT).warnings, []);
    assert_eq!((bench.lines.len(), bench.gaps.len()), (1_030, 0));
}
