//! The file of credentials that AWS's tools share (docs.aws.amazon.com/sdkref/latest/guide/file-format.html).

use super::{Credentials, no_credentials, read as read_file};
use crate::{Environment, KmsError};
use std::fs;
use std::path::{Path, PathBuf};

/// The access key of the profile that is chosen; none where neither a file nor a profile is named, and there is no file.
pub(super) fn read(environment: &Environment) -> Result<Option<Credentials>, KmsError> {
    let named = environment.get("AWS_SHARED_CREDENTIALS_FILE").map(PathBuf::from);
    let chosen = environment.get("AWS_PROFILE");
    let path = match (&named, environment.get("HOME")) {
        (Some(path), _) => path.clone(),
        (None, Some(home)) => Path::new(home).join(".aws/credentials"),
        (None, None) => return Ok(None),
    };
    let failed = |reason: String| KmsError::File { path: path.clone(), reason };
    let facts = match fs::metadata(&path) {
        Ok(facts) => facts,
        Err(_) if named.is_none() && chosen.is_none() => return Ok(None),
        Err(error) => return Err(failed(error.to_string())),
    };
    if !wardein_durable::is_private(&facts) {
        return Err(failed("it is for its owner alone: chmod 600 it".to_owned()));
    }
    let content = read_file(&path, MOST)?;
    let text = std::str::from_utf8(content.expose()).map_err(|_| failed("it is not UTF-8".to_owned()))?;
    let profile = chosen.unwrap_or("default");
    match find(text, profile) {
        Some(found) => Ok(Some(found)),
        None if named.is_none() && chosen.is_none() => Ok(None),
        None => Err(no_credentials(format!(
            "{} has no aws_access_key_id and aws_secret_access_key of profile {profile:?} (roles, single sign-on and credential_process of a \
             profile are not used)",
            path.display()
        ))),
    }
}

fn find(text: &str, profile: &str) -> Option<Credentials> {
    let (mut is_within, mut id, mut secret, mut token) = (false, None, None, None);
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            is_within = name.trim() == profile;
        } else if let (true, Some((key, value))) = (is_within, line.split_once('=')) {
            match key.trim() {
                "aws_access_key_id" => id = Some(value.trim()),
                "aws_secret_access_key" => secret = Some(value.trim()),
                "aws_session_token" => token = Some(value.trim()),
                _ => {}
            }
        }
    }
    Credentials::of(id?, secret?.as_bytes(), token.map(str::as_bytes))
}

/// Bytes of the file.
const MOST: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_profile_that_is_chosen_is_read_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credentials");
        let text = "# ours\n[default]\naws_access_key_id = AKIDDEFAULT\naws_secret_access_key=one\n\n[other]\n\
                    aws_access_key_id=AKIDOTHER\naws_secret_access_key = two\naws_session_token = three\n[role]\nrole_arn = arn\n";
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let path = path.to_str().unwrap();
        let of = |profile: &str| {
            let named = Environment::of([("AWS_SHARED_CREDENTIALS_FILE", path), ("AWS_PROFILE", profile)]);
            read(&named)
        };
        let found = of("").unwrap().unwrap();
        assert_eq!(
            (found.id.as_str(), found.secret.expose(), found.token.is_none()),
            ("AKIDDEFAULT", &b"one"[..], true)
        );
        let found = of("other").unwrap().unwrap();
        assert_eq!((found.id.as_str(), found.token.unwrap().expose()), ("AKIDOTHER", &b"three"[..]));
        for profile in ["role", "none"] {
            let refused = of(profile).err().unwrap().to_string();
            assert!(refused.contains(profile) && !refused.contains("AKID"), "{refused}");
        }
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(of("").err().unwrap().to_string().contains("chmod 600"));
    }

    #[test]
    fn a_home_without_a_file_has_none_and_a_file_that_is_named_must_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_str().unwrap();
        assert!(read(&Environment::of([("HOME", home)])).unwrap().is_none());
        assert!(read(&Environment::default()).unwrap().is_none());
        assert!(read(&Environment::of([("HOME", home), ("AWS_PROFILE", "other")])).is_err());
        let named = Environment::of([("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")]);
        assert!(matches!(read(&named), Err(KmsError::File { .. })));
    }
}
