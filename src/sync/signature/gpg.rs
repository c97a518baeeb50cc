//! OpenPGP signatures (RFC 9580): by a key of the list or one of its subkeys that it vouches for, if that was valid when the
//! commit was made. Pure.

use jiff::Timestamp;
use pgp::composed::{Deserializable, DetachedSignature, SignedPublicKey};
use pgp::packet::{Signature, SignatureType};
use pgp::types::KeyDetails;

use super::{Refusal, Signed};

pub fn verify<'a>(signed: &Signed, keys: impl Iterator<Item = (&'a str, &'a str)>) -> Result<String, Refusal> {
    let (signature, _) = DetachedSignature::from_string(signed.signature.trim()).map_err(|_| Refusal::Unreadable)?;
    let issuers: Vec<_> = signature.signature.issuer_key_id();
    let mut refusal = Refusal::UnknownKey;
    for (name, text) in keys {
        let Ok((key, _)) = SignedPublicKey::from_string(text.trim()) else { continue };
        if key.verify_bindings().is_err() {
            continue;
        }
        let owner = || {
            let user = key.details.users.first().map(|user| String::from_utf8_lossy(user.id.id()).into_owned());
            user.unwrap_or_else(|| name.to_owned())
        };
        let is_issuer = |id| issuers.is_empty() || issuers.contains(&&id);
        let primary_is_valid = primary_is_valid(&key, signed.committed);
        if is_issuer(key.primary_key.legacy_key_id()) {
            match signature.verify(&key.primary_key, &signed.payload) {
                Ok(()) if primary_is_valid => return Ok(owner()),
                Ok(()) => refusal = Refusal::KeyNotValid,
                Err(_) => refusal = Refusal::Forged,
            }
        }
        for subkey in key.public_subkeys.iter().filter(|subkey| is_issuer(subkey.key.legacy_key_id())) {
            let is_revoked = subkey.signatures.iter().any(|one| one.typ() == Some(SignatureType::SubkeyRevocation));
            let binding = newest(subkey.signatures.iter());
            let may_sign = binding.is_some_and(|binding| binding.key_flags().sign());
            let is_valid =
                may_sign && !is_revoked && !has_expired(subkey.key.created_at().as_secs(), binding, signed.committed);
            match signature.verify(&subkey.key, &signed.payload) {
                Ok(()) if primary_is_valid && is_valid => return Ok(owner()),
                Ok(()) => refusal = Refusal::KeyNotValid,
                Err(_) => refusal = Refusal::Forged,
            }
        }
    }
    Err(refusal)
}

fn primary_is_valid(key: &SignedPublicKey, at: Timestamp) -> bool {
    let of_users = key.details.users.iter().flat_map(|user| &user.signatures);
    let own = key.details.direct_signatures.iter().chain(of_users).filter(|one| one.is_certification());
    let binding = newest(key.details.direct_signatures.iter().chain(own));
    key.details.revocation_signatures.is_empty() && !has_expired(key.primary_key.created_at().as_secs(), binding, at)
}

/// What a key says of itself last counts.
fn newest<'a>(signatures: impl Iterator<Item = &'a Signature>) -> Option<&'a Signature> {
    let bindings = signatures.filter(|one| one.typ() != Some(SignatureType::SubkeyRevocation));
    bindings.max_by_key(|one| one.created().map(|time| time.as_secs()))
}

/// Whether a key that was made at `created` (seconds since 1970) was over, or not there yet, at a time.
fn has_expired(created: u32, binding: Option<&Signature>, at: Timestamp) -> bool {
    let (created, at) = (i64::from(created), at.as_second());
    let lifetime = binding.and_then(Signature::key_expiration_time).map_or(0, |time| i64::from(time.as_secs()));
    at < created || lifetime > 0 && at >= created + lifetime
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: &str = include_str!("../../../tests/data/openpgp/ada.asc");
    const ADA_REVOKED: &str = include_str!("../../../tests/data/openpgp/ada-revoked.asc");
    const BOB: &str = include_str!("../../../tests/data/openpgp/bob.asc");
    const BY_ADA: &str = include_str!("../../../tests/data/openpgp/ada.sig");
    const BY_BOB: &str = include_str!("../../../tests/data/openpgp/bob.sig");
    const PAYLOAD: &[u8] = include_bytes!("../../../tests/data/openpgp/payload");

    fn verified(signature: &str, payload: &[u8], at: &str, keys: &[&str]) -> Result<String, Refusal> {
        let (signature, payload) = (signature.to_owned(), payload.to_vec());
        let signed = Signed { signature, payload, committed: at.parse().unwrap() };
        verify(&signed, keys.iter().map(|key| ("key.asc", *key)))
    }

    #[test]
    fn a_signature_counts_when_its_key_was_valid_then() {
        let then = "2026-01-01T00:00:00Z";
        // Ada signs with a subkey.
        let ada = Ok("Ada <ada@example.com>".to_owned());
        assert_eq!(verified(BY_ADA, PAYLOAD, then, &[BOB, ADA]), ada);
        assert_eq!(verified(BY_ADA, PAYLOAD, then, &[BOB]), Err(Refusal::UnknownKey));
        assert_eq!(verified(BY_ADA, b"another", then, &[ADA]), Err(Refusal::Forged));
        assert_eq!(verified(BY_ADA, PAYLOAD, then, &[ADA_REVOKED]), Err(Refusal::KeyNotValid));
        assert_eq!(verified(BY_ADA, PAYLOAD, "2025-12-31T00:00:00Z", &[ADA]), Err(Refusal::KeyNotValid));
        // Bob's key was good for thirty days.
        let bob = |at: &str| verified(BY_BOB, PAYLOAD, at, &[BOB]);
        assert_eq!(bob("2025-01-15T00:00:00Z").as_deref(), Ok("Bob <bob@example.com>"));
        assert_eq!(bob(then), Err(Refusal::KeyNotValid));
        assert_eq!(verified("nonsense", PAYLOAD, then, &[ADA]), Err(Refusal::Unreadable));
    }
}
