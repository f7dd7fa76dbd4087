//! Progress on long work, for a person at a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar as `template` draws it, of so many in all; without a number it turns until it is done.
pub fn progress(template: &str, total: Option<u64>) -> ProgressBar {
    let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        // Only looks are lost.
        Err(_) => bar,
    }
}
