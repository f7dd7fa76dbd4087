//! Which devices a command is about: their ids, a file of ids, or what they have in common.

use super::calls::{Refused, each, found};
use crate::{Failure, files, time};
use clap::Args;
use std::collections::BTreeMap;
use std::io::{Read, stdin};
use std::path::{Path, PathBuf};
use wardein_client::{Operator, Refusal, number, pages, time as wire, v1};
use wardein_domain::DeviceId;

/// Which devices.
#[derive(Debug, Args)]
pub(super) struct WhichArgs {
    /// The devices' ids
    #[arg(value_name = "ID")]
    devices: Vec<String>,
    /// The tenant
    #[arg(long)]
    pub(super) tenant: Option<String>,
    /// Those of this file, an id a line; - for standard input
    #[arg(long, value_name = "FILE", conflicts_with = "devices")]
    from: Option<PathBuf>,
    #[command(flatten)]
    common: CommonArgs,
    /// List the devices, and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Write the ids of devices that were not changed to this file, for --from; it must not be there yet
    #[arg(long, value_name = "FILE")]
    pub(super) failed: Option<PathBuf>,
}

/// What the devices have in common.
#[derive(Debug, Args)]
pub(super) struct CommonArgs {
    /// Those that this station enrolled last: NAME, or station/TENANT/NAME
    #[arg(long, value_name = "OPERATOR", conflicts_with_all = ["devices", "from"])]
    enrolled_by: Option<String>,
    /// Those that were enrolled not before this time: 2026-11-30T08:00:00Z, or so long ago, such as 24h
    #[arg(long, value_name = "TIME", value_parser = time::past, conflicts_with_all = ["devices", "from"])]
    enrolled_since: Option<u64>,
    /// Those of this profile
    #[arg(long, value_name = "NAME", conflicts_with_all = ["devices", "from"])]
    profile: Option<String>,
    /// Those of this model
    #[arg(long, conflicts_with_all = ["devices", "from"])]
    model: Option<String>,
    /// Those in this state
    #[arg(long, value_parser = super::STATES, conflicts_with_all = ["devices", "from"])]
    state: Option<String>,
}

/// The devices, found.
#[derive(Debug)]
pub(super) struct Chosen {
    /// By what they were chosen, for people and for the audit log.
    pub(super) selector: String,
    /// Each as the authority has it, or why it gave none. In byte order of their ids.
    pub(super) devices: BTreeMap<DeviceId, Result<v1::Device, Refused>>,
}

impl WhichArgs {
    /// The one device that is named, where nothing else is asked for.
    pub(super) fn single(&self) -> Option<&str> {
        match (&self.devices[..], self.dry_run, &self.failed) {
            ([device], false, None) => Some(device),
            _ => None,
        }
    }

    /// Finds them. Nothing that was left out stands for all devices.
    pub(super) async fn choose(&self, operator: &Operator, tenant: &str) -> Result<Chosen, Failure> {
        let named = match &self.from {
            Some(path) => Some(("ids from a file", read(path)?)),
            None if self.devices.is_empty() => None,
            None => Some(("ids given by hand", self.devices.join("\n"))),
        };
        let Some((selector, text)) = named else {
            return self.common.choose(operator, tenant).await;
        };
        let ids = ids(&text).map_err(|why| match &self.from {
            Some(path) => Failure::file("take ids from", path, why),
            None => Failure::Usage(why),
        })?;
        let requests = ids.into_iter().map(|id| {
            let request = v1::GetDeviceRequest { tenant: tenant.to_owned(), device_id: id.to_string() };
            found(operator.clone(), id, request)
        });
        let mut devices = BTreeMap::new();
        let mut unreachable = None;
        each(requests, |(id, answer)| {
            match answer {
                Err(refused) if refused.code == Refusal::TRANSPORT => unreachable = Some(refused.message),
                answer => drop(devices.insert(id, answer)),
            }
            unreachable.is_none()
        })
        .await?;
        match unreachable {
            Some(why) => Err(Failure::Unreachable(why)),
            None => Ok(Chosen { selector: selector.to_owned(), devices }),
        }
    }
}

impl CommonArgs {
    async fn choose(&self, operator: &Operator, tenant: &str) -> Result<Chosen, Failure> {
        let selector = self.words(tenant).join(", ");
        if selector.is_empty() {
            let message = "name the devices: their ids, --from FILE, or --enrolled-by, --enrolled-since, --profile, --model, \
                           --state";
            return Err(Failure::Usage(message.to_owned()));
        }
        let request = v1::ListDevicesRequest {
            tenant: tenant.to_owned(),
            state: self.state.as_deref().map_or(0, number::<v1::DeviceState>),
            profile: self.profile.clone().unwrap_or_default(),
            model: self.model.clone().unwrap_or_default(),
            enrolled_by: self.station(tenant).unwrap_or_default(),
            enrolled_after: self.enrolled_since.and_then(wire::at),
            ..Default::default()
        };
        let listed = pages(Vec::new(), MAX + 1, async |page_size, page_token| {
            let request = v1::ListDevicesRequest { page_size, page_token, ..request.clone() };
            let page = operator.list_devices(request).await?;
            Ok((page.devices, page.next_page_token))
        });
        let (listed, _) = listed.await?;
        if listed.len() > MAX {
            return Err(Failure::Usage(format!("more than {MAX} devices are {selector}; choose fewer")));
        }
        let mut devices = BTreeMap::new();
        for device in listed {
            devices.insert(device.device_id.parse::<DeviceId>().map_err(Failure::failed)?, Ok(device));
        }
        Ok(Chosen { selector, devices })
    }

    fn words(&self, tenant: &str) -> Vec<String> {
        [
            self.station(tenant).map(|station| format!("enrolled by {station}")),
            self.enrolled_since.map(|since| format!("enrolled since {}", time::at(since.max(1)))),
            self.profile.as_ref().map(|profile| format!("of profile {profile}")),
            self.model.as_ref().map(|model| format!("of model {model}")),
            self.state.as_ref().map(|state| format!("in state {state}")),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn station(&self, tenant: &str) -> Option<String> {
        self.enrolled_by.as_deref().map(|by| station(by, tenant))
    }
}

/// A station as a device's record names it.
pub(super) fn station(given: &str, tenant: &str) -> String {
    if given.contains('/') { given.to_owned() } else { format!("station/{tenant}/{given}") }
}

fn read(path: &Path) -> Result<String, Failure> {
    let bytes = if path == Path::new("-") {
        let mut bytes = Vec::new();
        let read = stdin().lock().take(MAX_BYTES + 1).read_to_end(&mut bytes);
        read.map_err(|error| Failure::file("read", Path::new("standard input"), error))?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(Failure::Failed(format!("standard input has more than {MAX_BYTES} bytes")));
        }
        bytes
    } else {
        files::read_bounded(path, MAX_BYTES)?
    };
    String::from_utf8(bytes).map_err(|_| Failure::file("read", path, "it is not UTF-8; write an id a line"))
}

/// The ids of a text, one a line. Empty lines are left out, and one that comes again is one device.
fn ids(text: &str) -> Result<Vec<DeviceId>, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut ids: Vec<DeviceId> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if !line.is_empty() {
            ids.push(line.parse::<DeviceId>().map_err(|error| format!("line {}: {error}", number + 1))?);
        }
    }
    ids.sort_unstable();
    ids.dedup();
    match ids.len() {
        0 => Err("it has no id".to_owned()),
        count if count > MAX => Err(format!("it has {count} ids; at most {MAX} are taken at a time")),
        _ => Ok(ids),
    }
}

/// The most devices of one command, as of a batch on record.
const MAX: usize = 100_000;

/// The most bytes of a file of ids: as many as may be of 128 bytes, with their line ends.
const MAX_BYTES: u64 = MAX as u64 * 130 + 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn common() -> CommonArgs {
        CommonArgs { enrolled_by: None, enrolled_since: None, profile: None, model: None, state: None }
    }

    #[test]
    fn a_file_has_an_id_a_line_and_what_is_wrong_is_named_by_its_line() {
        let read = |text: &str| ids(text).map(|ids| ids.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(read("\u{feff}b\r\n\r\n a \nb\n"), Ok(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(read("Z\na\n-\n"), Ok(vec!["-".to_owned(), "Z".to_owned(), "a".to_owned()]), "byte order");
        for (text, word) in
            [("a\nb;c\n", "line 2: device id"), ("a\n\u{1b}[2J", "line 2: device id"), ("\n \n", "no id")]
        {
            let why = read(text).unwrap_err();
            assert!(why.starts_with(word) || why.contains(word), "{why}");
            assert!(!why.contains('\u{1b}'), "{why:?}");
        }
        assert!(ids(&"d".repeat(129)).is_err());
        let many = (0..=MAX).map(|n| format!("d{n}\n")).collect::<String>();
        assert!(many.len() as u64 <= MAX_BYTES);
        assert!(ids(&many).unwrap_err().contains("100001 ids"));
    }

    #[test]
    fn a_selector_says_all_that_devices_have_in_common() {
        let all = CommonArgs {
            enrolled_by: Some("line-1".to_owned()),
            enrolled_since: Some(0),
            profile: Some("icu".to_owned()),
            model: Some("Pump 7".to_owned()),
            state: Some("active".to_owned()),
        };
        assert_eq!(
            all.words("klinik").join(", "),
            "enrolled by station/klinik/line-1, enrolled since 1970-01-01T00:00:01Z, of profile icu, of model Pump 7, in state active"
        );
        assert!(common().words("klinik").is_empty(), "nothing that was left out stands for all");
        assert_eq!(station("tenant-admin/klinik/eva", "klinik"), "tenant-admin/klinik/eva");
    }
}
