//! Grants to platforms.

use crate::name::{DeviceId, NameError, ProfileName, Purpose, TenantId, is_plain};
use crate::template;
use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

/// The rights that a platform may be granted. None implies another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Right {
    /// Have tokens verified.
    Token,
    /// Have small payloads opened, without their keys.
    Open,
    /// Have the keys of payloads.
    Data,
    /// Have the keys of files.
    File,
}

impl Right {
    /// All rights.
    pub const ALL: [Self; 4] = [Self::Token, Self::Open, Self::Data, Self::File];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Open => "open",
            Self::Data => "data",
            Self::File => "file",
        }
    }

    /// The purpose of the keys that it uses up.
    pub fn purpose(self) -> Purpose {
        match self {
            Self::Token => Purpose::Token,
            Self::Open | Self::Data => Purpose::Data,
            Self::File => Purpose::File,
        }
    }
}

impl FromStr for Right {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::ALL
            .into_iter()
            .find(|right| right.as_str() == text)
            .ok_or(NameError::Unknown { kind: "right", allowed: "token, open, data, file" })
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a platform calls a device, or where it puts it: text in which `{device}`, `{tenant}` and `{profile}` are replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginTemplate(String);

impl LoginTemplate {
    /// The most bytes of a template.
    pub const MAX_LEN: usize = 128;

    /// The template as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text for one device.
    pub fn filled(&self, tenant: &TenantId, device: &DeviceId, profile: &ProfileName) -> String {
        template::filled(&self.0, tenant, device, profile)
    }
}

impl Default for LoginTemplate {
    /// The device's id alone.
    fn default() -> Self {
        Self("{device}".to_owned())
    }
}

impl FromStr for LoginTemplate {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (kind, length, min, max) = ("template", text.len(), 1, Self::MAX_LEN);
        if !(min..=max).contains(&length) {
            return Err(NameError::Length { kind, length, min, max });
        }
        let allowed = "text without control, format and line-breaking characters, with {device}, {tenant} and {profile}";
        match template::stray(text, is_plain) {
            Some((position, character)) => Err(NameError::Character { kind, position, character, allowed }),
            None => Ok(Self(text.to_owned())),
        }
    }
}

/// The template of a group. It has no comma, so that a list of groups with commas has one meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupTemplate(LoginTemplate);

impl GroupTemplate {
    /// The template as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The text for one device.
    pub fn filled(&self, tenant: &TenantId, device: &DeviceId, profile: &ProfileName) -> String {
        self.0.filled(tenant, device, profile)
    }
}

impl FromStr for GroupTemplate {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let template = text.parse()?;
        match text.find(',') {
            None => Ok(Self(template)),
            Some(position) => {
                let allowed = "text without commas, with {device}, {tenant} and {profile}";
                Err(NameError::Character { kind: "group", position, character: ',', allowed })
            }
        }
    }
}

impl fmt::Display for GroupTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for LoginTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// As whom a platform takes a device that logs in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LoginNames {
    /// Its user name; none for its id.
    pub user_name: Option<LoginTemplate>,
    /// Its organization, if it gets one.
    pub organization: Option<LoginTemplate>,
    /// Its groups, at most [`LoginNames::MAX_GROUPS`].
    pub groups: Vec<GroupTemplate>,
}

impl LoginNames {
    /// The most groups.
    pub const MAX_GROUPS: usize = 16;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name_by(template: &str) -> String {
        let (tenant, device, profile) = ("klinik", "pump:1", "default");
        let template: LoginTemplate = template.parse().unwrap();
        template.filled(&tenant.parse().unwrap(), &device.parse().unwrap(), &profile.parse().unwrap())
    }

    #[test]
    fn a_template_puts_in_what_it_names() {
        assert_eq!(name_by("edge"), "edge");
        assert_eq!(name_by("{tenant}/{profile}/Gerät {device}"), "klinik/default/Gerät pump:1");
        assert_eq!(name_by("{device}{device}"), "pump:1pump:1");
        assert_eq!(name_by(LoginTemplate::default().as_str()), "pump:1");
    }

    #[test]
    fn a_template_has_its_bounds_and_no_place_that_is_unknown() {
        assert!("u".repeat(128).parse::<LoginTemplate>().is_ok());
        for (bad, at) in [
            ("{serial}", 0),
            ("a{", 1),
            ("a}", 1),
            ("{device", 0),
            ("{{device}}", 0),
            ("{device}}", 8),
            ("ä\n", 2),
        ] {
            let error = bad.parse::<LoginTemplate>().unwrap_err();
            assert!(
                matches!(error, NameError::Character { position, .. } if position == at),
                "{bad}: {error}"
            );
        }
        for bad in [String::new(), "u".repeat(129)] {
            assert!(matches!(bad.parse::<LoginTemplate>(), Err(NameError::Length { .. })));
        }
    }

    #[test]
    fn a_group_is_a_template_without_commas() {
        assert_eq!("pumps {profile}".parse::<GroupTemplate>().unwrap().as_str(), "pumps {profile}");
        for bad in ["a,b", ",", "{profile},", "", "{serial}"] {
            assert!(bad.parse::<GroupTemplate>().is_err(), "{bad}");
        }
        assert!("a,b".parse::<LoginTemplate>().is_ok(), "a user name may have one");
    }

    #[test]
    fn each_right_has_its_word() {
        for right in Right::ALL {
            assert_eq!(right.as_str().parse(), Ok(right));
        }
        assert!("proof".parse::<Right>().is_err());
    }
}
