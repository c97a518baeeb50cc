//! Who signed a commit: SSH signatures held against an `allowed_signers` file, OpenPGP ones against public keys. An
//! Application asks for it with the annotation `windlass.dev/signed-by: NAME`; `NAME` is a ConfigMap beside it, with the
//! SSH signers under `allowed_signers` and an OpenPGP key under each name that ends in `.asc`. Pure.

mod gpg;
mod ssh;

use std::collections::BTreeMap;

use jiff::Timestamp;

/// On the Application: the ConfigMap that says whose commits are deployed.
pub const SIGNED_BY_ANNOTATION: &str = "windlass.dev/signed-by";
const SSH_SIGNERS: &str = "allowed_signers";
const GPG_KEY: &str = ".asc";

/// A commit's signature and what it is over.
#[derive(Clone, Debug)]
pub struct Signed {
    pub signature: String,
    pub payload: Vec<u8>,
    /// When it was committed, which is the time that a key must have been valid at.
    pub committed: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("it is not signed")]
    Unsigned,
    #[error("its signature is neither of SSH nor of OpenPGP")]
    UnknownForm,
    #[error("its signature cannot be read")]
    Unreadable,
    #[error("it is signed with a key that is not among those of the ConfigMap")]
    UnknownKey,
    #[error("the key that it is signed with was not valid then, or not for git")]
    KeyNotValid,
    #[error("its signature is not of this commit")]
    Forged,
}

/// Checks the signature; gives who made it, as the keys name them.
///
/// # Errors
/// Why the commit is not taken.
pub fn verify(signed: Option<&Signed>, keys: &BTreeMap<String, String>) -> Result<String, Refusal> {
    let signed = signed.ok_or(Refusal::Unsigned)?;
    let form = signed.signature.trim_start();
    if form.starts_with("-----BEGIN SSH SIGNATURE-----") {
        return ssh::verify(signed, keys.get(SSH_SIGNERS).map(String::as_str).unwrap_or_default());
    }
    if form.starts_with("-----BEGIN PGP SIGNATURE-----") {
        let keys = keys.iter().filter(|(name, _)| name.ends_with(GPG_KEY));
        return gpg::verify(signed, keys.map(|(name, key)| (name.as_str(), key.as_str())));
    }
    Err(Refusal::UnknownForm)
}
