//! The token behind PKCS#11 that is configured, and what is said where a key is not in it.

use crate::home::{Home, failed};
use std::sync::Arc;
use wardein_cli::Failure;
use wardein_domain::{ErrorCode, with_causes};
use wardein_engine::Engine;
use wardein_port::Signers;

/// Whether the configuration names a token.
pub(crate) fn is_configured(home: &Home) -> bool {
    !home.config.pkcs11.module.as_os_str().is_empty()
}

/// The keys of CAs in the token that is configured; none where there is none. `fault` hears why one of them did not sign.
pub(crate) fn open(
    home: &Home,
    fault: impl Fn(&str) + Send + Sync + 'static,
) -> Result<Arc<dyn Signers>, Failure> {
    if !is_configured(home) {
        return Ok(Arc::new(Vec::new()));
    }
    opened(home, fault)
}

/// The same for a command, which a person sees.
pub(crate) fn open_for_command(home: &Home) -> Result<Arc<dyn Signers>, Failure> {
    open(home, |fault| eprintln!("wardein: {fault}"))
}

#[cfg(feature = "pkcs11")]
fn opened(home: &Home, fault: impl Fn(&str) + Send + Sync + 'static) -> Result<Arc<dyn Signers>, Failure> {
    let token = wardein_pkcs11::Token::open(&options(home)?, move |error| fault(&error.to_string()));
    Ok(Arc::new(token.map_err(failed)?))
}

#[cfg(not(feature = "pkcs11"))]
fn opened(home: &Home, _fault: impl Fn(&str) + Send + Sync + 'static) -> Result<Arc<dyn Signers>, Failure> {
    let module = home.config.pkcs11.module.display();
    let words = format!(
        "pkcs11.module names {module}, and this build has no PKCS#11; install one with the feature `pkcs11`"
    );
    Err(Failure::Failed(words))
}

/// How many keys of CAs are in the token.
#[cfg(feature = "pkcs11")]
pub(crate) fn count(home: &Home) -> Result<usize, Failure> {
    let token = wardein_pkcs11::Token::open(&options(home)?, |_| {});
    token.map(|token| token.keys()).map_err(failed)
}

#[cfg(not(feature = "pkcs11"))]
pub(crate) fn count(home: &Home) -> Result<usize, Failure> {
    opened(home, |_| {}).map(|_| 0)
}

#[cfg(feature = "pkcs11")]
fn options(home: &Home) -> Result<wardein_pkcs11::TokenOptions, Failure> {
    let section = &home.config.pkcs11;
    let wrong = |words: &str| Failure::Failed(format!("wardein.toml: {words}"));
    if section.token.is_empty() || section.pin_file.as_os_str().is_empty() {
        return Err(wrong("pkcs11.module needs pkcs11.token, a label, and pkcs11.pin_file"));
    }
    let sessions = usize::try_from(section.sessions).ok().filter(|sessions| (1..=64).contains(sessions));
    Ok(wardein_pkcs11::TokenOptions {
        module: home.relative(&section.module),
        token: section.token.clone(),
        pin_file: home.relative(&section.pin_file),
        sessions: sessions.ok_or_else(|| wrong("pkcs11.sessions is 1 to 64"))?,
        makes_keys: section.new_keys,
    })
}

/// A failure of the engine; where a key in a token was missed, with what leads to it.
pub(crate) fn explained(home: &Home, error: wardein_engine::Error) -> Failure {
    if error.code != ErrorCode::SignerUnavailable {
        return failed(error);
    }
    let next = if is_configured(home) {
        format!(
            "it is to be in token {:?}: bring it back from the token's backup, or correct [pkcs11] in wardein.toml",
            home.config.pkcs11.token
        )
    } else {
        "name the token that has it: [pkcs11] in wardein.toml, or --pkcs11-module of `wardein restore`"
            .to_owned()
    };
    Failure::Failed(format!("{}; {next}", with_causes(&error)))
}

/// Looks which CAs of devices have no key: none of them signs, and all else goes on. Without a token that is refused, for then the
/// configuration is what is missing; with one, `warn` hears of each.
pub(crate) fn require_keys(home: &Home, engine: &Engine, warn: impl Fn(&str)) -> Result<(), Failure> {
    let absent = engine.cas_without_key();
    if absent.is_empty() {
        return Ok(());
    }
    if !is_configured(home) {
        let absent: Vec<_> = absent.iter().map(ToString::to_string).collect();
        let words = format!(
            "the keys of these CAs are in a token, and wardein.toml names none: {}; set [pkcs11]",
            absent.join(", ")
        );
        return Err(Failure::Failed(words));
    }
    for id in absent {
        warn(&format!(
            "token {:?} does not have the key of CA {id}, which signs nothing: bring the key back from the token's backup and \
             start again, or distrust the CA (wardein ca distrust), and another one follows it",
            home.config.pkcs11.token
        ));
    }
    Ok(())
}
