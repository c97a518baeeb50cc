//! OpenPGP signatures: by a key of the list or one of its subkeys that it vouches for. Pure.

use pgp::composed::{Deserializable, DetachedSignature, SignedPublicKey};
use pgp::types::KeyDetails;

use super::{Refusal, Signed};

pub fn verify<'a>(signed: &Signed, keys: impl Iterator<Item = (&'a str, &'a str)>) -> Result<String, Refusal> {
    let (signature, _) = DetachedSignature::from_string(signed.signature.trim()).map_err(|_| Refusal::Unreadable)?;
    let issuers: Vec<_> = signature.signature.issuer_key_id();
    let mut refusal = Refusal::UnknownKey;
    for (name, text) in keys {
        let Ok((key, _)) = SignedPublicKey::from_string(text.trim()) else { continue };
        if key.verify_bindings().is_err() || !key.details.revocation_signatures.is_empty() {
            continue;
        }
        let owner = || {
            let user = key.details.users.first().map(|user| String::from_utf8_lossy(user.id.id()).into_owned());
            user.unwrap_or_else(|| name.to_owned())
        };
        let is_issuer = |id| issuers.is_empty() || issuers.contains(&&id);
        if is_issuer(key.primary_key.legacy_key_id()) {
            match signature.verify(&key.primary_key, &signed.payload) {
                Ok(()) => return Ok(owner()),
                Err(_) => refusal = Refusal::Forged,
            }
        }
        for subkey in key.public_subkeys.iter().filter(|subkey| is_issuer(subkey.key.legacy_key_id())) {
            match signature.verify(&subkey.key, &signed.payload) {
                Ok(()) => return Ok(owner()),
                Err(_) => refusal = Refusal::Forged,
            }
        }
    }
    Err(refusal)
}
