//! What `age-plugin-wardein` does: age's side of `wardein file open`.

use crate::block_on;
use crate::connection::ConnectArgs;
use crate::file::release;
use crate::secret::KeyPassphraseArgs;
use std::process::ExitCode;
use wardein_ddkg::message::FileStanza;
use wardein_files::plugin::{self, PluginIdentity};

/// Serves age's plugin protocol; `state_machine` is what age asks for. Keys of files are released to the platform whose identity is in the
/// directory that age's identity names.
pub fn age_plugin(state_machine: &str) -> ExitCode {
    let as_platform = |by: &PluginIdentity, stanza: &FileStanza| {
        let connect = ConnectArgs {
            dir: None,
            identity: Some(by.directory.clone()),
            identity_key: None,
            key_passphrase: KeyPassphraseArgs::default(),
            roots: None,
            endpoint: None,
        };
        let released = block_on(release(&connect, stanza, by.reason.clone()));
        released.map(|(key, _)| key).map_err(|failure| failure.to_string())
    };
    match plugin::serve(state_machine, as_platform) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("age-plugin-wardein: {error}");
            ExitCode::FAILURE
        }
    }
}
