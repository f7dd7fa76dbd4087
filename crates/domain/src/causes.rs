//! An error and its causes, in one line.

use alloc::format;
use alloc::string::{String, ToString};
use core::error::Error;

/// The message of `error` and those of its causes, separated by colons. Some errors include their cause; it is not repeated.
pub fn with_causes(error: &dyn Error) -> String {
    let mut words = error.to_string();
    let mut beneath = error.source();
    while let Some(cause) = beneath {
        let said = cause.to_string();
        if !words.ends_with(&said) {
            words = format!("{words}: {said}");
        }
        beneath = cause.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::boxed::Box;

    #[derive(Debug, thiserror::Error)]
    enum Layer {
        #[error("the disk is full")]
        Disk,
        #[error("the file was not written")]
        File(#[source] Box<Layer>),
        #[error("cannot save: {0}")]
        Saying(#[source] Box<Layer>),
        #[error(transparent)]
        Transparent(Box<Layer>),
    }

    #[test]
    fn each_cause_is_said_once() {
        let disk = || Box::new(Layer::Disk);
        let file = || Box::new(Layer::File(disk()));
        for (error, words) in [
            (Layer::Disk, "the disk is full"),
            (Layer::File(disk()), "the file was not written: the disk is full"),
            (Layer::Saying(disk()), "cannot save: the disk is full"),
            (Layer::Saying(file()), "cannot save: the file was not written: the disk is full"),
            (Layer::Transparent(file()), "the file was not written: the disk is full"),
            (
                Layer::File(Box::new(Layer::Saying(disk()))),
                "the file was not written: cannot save: the disk is full",
            ),
        ] {
            assert_eq!(with_causes(&error), words);
        }
    }
}
