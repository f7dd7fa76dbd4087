//! Names that become the name of a file and a segment of a SPIFFE id.

/// Why something new is not given a name, though its kind has the characters for it. What has such a name already keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileNameError {
    /// It has a character that a path segment of a SPIFFE id does not take.
    #[error("has {0:?}, which a SPIFFE id does not take; letters, digits, '.', '_' and '-' are")]
    Character(char),
    /// It begins as an option, a hidden file or a relative path does.
    #[error("begins with {0:?}, as an option or a hidden file does; begin with a letter, a digit or '_'")]
    Begins(char),
    /// It ends with a dot, which Windows drops.
    #[error("ends with '.', which some file systems drop")]
    EndsWithDot,
    /// It is the name of a device of Windows, which is no file there, whatever its ending.
    #[error("is {0}, the name of a device in Windows, with or without an ending; choose another")]
    Reserved(&'static str),
}

/// Judges the name of something new: one or more characters of a path segment (SPIFFE-ID §2.2), and a file's name that no shell
/// takes for an option and every file system takes.
pub fn check_file_name(name: &str) -> Result<(), FileNameError> {
    let is_allowed = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if let Some(c) = name.chars().find(|c| !is_allowed(c)) {
        return Err(FileNameError::Character(c));
    }
    if let Some(c @ ('.' | '-')) = name.chars().next() {
        return Err(FileNameError::Begins(c));
    }
    if name.ends_with('.') {
        return Err(FileNameError::EndsWithDot);
    }
    let stem = name.split('.').next().unwrap_or_default();
    match RESERVED.into_iter().find(|reserved| reserved.eq_ignore_ascii_case(stem)) {
        Some(reserved) => Err(FileNameError::Reserved(reserved)),
        None => Ok(()),
    }
}

/// Microsoft, "Naming Files, Paths, and Namespaces".
const RESERVED: [&str; 24] = [
    "CON", "PRN", "AUX", "NUL", "COM0", "COM1", "COM2", "COM3", "COM4", "COM5", "COM6", "COM7", "COM8",
    "COM9", "LPT0", "LPT1", "LPT2", "LPT3", "LPT4", "LPT5", "LPT6", "LPT7", "LPT8", "LPT9",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_file_everywhere_and_no_option() {
        for good in ["pump-1", "A.b_c-9", "_", "0", "console", "con-1", "com10", "a.con"] {
            assert_eq!(check_file_name(good), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("a:b", FileNameError::Character(':')),
            ("a/b", FileNameError::Character('/')),
            ("ä", FileNameError::Character('ä')),
            ("-rf", FileNameError::Begins('-')),
            ("--help", FileNameError::Begins('-')),
            (".", FileNameError::Begins('.')),
            ("..", FileNameError::Begins('.')),
            ("...", FileNameError::Begins('.')),
            (".hidden", FileNameError::Begins('.')),
            ("a.", FileNameError::EndsWithDot),
            ("CON", FileNameError::Reserved("CON")),
            ("nul", FileNameError::Reserved("NUL")),
            ("Aux.tar.gz", FileNameError::Reserved("AUX")),
            ("lpt9", FileNameError::Reserved("LPT9")),
        ] {
            assert_eq!(check_file_name(bad), Err(why), "{bad}");
        }
    }
}
