//! What a person sees of a station's lines while it works: each line's state, and how many devices there are.

use crate::progress;
use indicatif::{MultiProgress, ProgressBar};
use wardein_station::Event;

/// Lines of a terminal; nothing where standard error is not one.
pub(super) struct Screen {
    lines: Vec<ProgressBar>,
    devices: ProgressBar,
}

impl Screen {
    /// For lines of these names, and so many devices, if that is known.
    pub(super) fn new(names: &[String], devices: Option<u64>) -> Self {
        let all = MultiProgress::new();
        let line = |name: &String| all.add(progress(LINE, None)).with_prefix(name.clone());
        Self { lines: names.iter().map(line).collect(), devices: all.add(progress(DEVICES, devices)) }
    }

    pub(super) fn show(&self, event: &Event<'_>) {
        match event {
            Event::Line(at, status) => {
                let text =
                    format!("{} enrolled, {} failed; {}", status.enrolled, status.failed, status.state);
                self.lines.iter().skip(*at).take(1).for_each(|line| line.set_message(text.clone()));
            }
            Event::Outcome(outcome) => {
                let text = format!("{} {} {}", outcome.device_id, outcome.result, outcome.code);
                self.devices.set_message(text);
                self.devices.inc(u64::from(!outcome.has_failed()));
            }
        }
    }

    pub(super) fn end(self) {
        self.lines.iter().chain([&self.devices]).for_each(ProgressBar::finish_and_clear);
    }
}

const LINE: &str = "{prefix}: {msg}";
const DEVICES: &str = "{bar:30} {pos}/{len} devices; {msg}";
