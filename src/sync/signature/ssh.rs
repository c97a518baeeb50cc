//! SSH signatures (OpenSSH's PROTOCOL.sshsig) and the ALLOWED SIGNERS of ssh-keygen(1). Pure.

use jiff::civil::DateTime;
use jiff::{Timestamp, tz::TimeZone};
use ssh_key::{PublicKey, SshSig};

use super::{Refusal, Signed};

/// What git signs in.
const NAMESPACE: &str = "git";

struct Signer {
    principals: String,
    key: PublicKey,
    namespaces: Option<String>,
    after: Option<Timestamp>,
    before: Option<Timestamp>,
}

pub fn verify(signed: &Signed, allowed: &str) -> Result<String, Refusal> {
    let signature = SshSig::from_pem(signed.signature.trim()).map_err(|_| Refusal::Unreadable)?;
    let signers: Vec<Signer> = allowed.lines().filter_map(signer).collect();
    let of_key: Vec<&Signer> =
        signers.iter().filter(|signer| signer.key.key_data() == signature.public_key()).collect();
    let first = of_key.first().ok_or(Refusal::UnknownKey)?;
    first.key.verify(NAMESPACE, &signed.payload, &signature).map_err(|_| Refusal::Forged)?;
    let valid = of_key.into_iter().find(|signer| signer.is_valid(signed.committed));
    valid.map(|signer| signer.principals.clone()).ok_or(Refusal::KeyNotValid)
}

impl Signer {
    fn is_valid(&self, at: Timestamp) -> bool {
        let for_git = self
            .namespaces
            .as_ref()
            .is_none_or(|list| list.split(',').any(|name| matches!(name.trim(), NAMESPACE | "*")));
        for_git && self.after.is_none_or(|after| at >= after) && self.before.is_none_or(|before| at < before)
    }
}

/// `PRINCIPALS [OPTIONS] TYPE KEY [COMMENT]`; a line that cannot be read allows nobody. Certificate authorities are
/// not supported, so such a line allows nobody either.
fn signer(line: &str) -> Option<Signer> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let (principals, rest) = word(line)?;
    let (mut namespaces, mut after, mut before) = (None, None, None);
    let mut rest = rest;
    loop {
        let (first, remaining) = word(rest)?;
        let is_type = ["ssh-", "ecdsa-", "sk-"].iter().any(|start| first.starts_with(start));
        if is_type {
            let key = PublicKey::from_openssh(rest.trim()).ok()?;
            let principals = principals.trim_matches('"').to_owned();
            return Some(Signer { principals, key, namespaces, after, before });
        }
        for option in split(first) {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            let value = value.trim_matches('"');
            match name.to_ascii_lowercase().as_str() {
                "namespaces" => namespaces = Some(value.to_owned()),
                "valid-after" => after = Some(time(value)?),
                "valid-before" => before = Some(time(value)?),
                _ => return None,
            }
        }
        rest = remaining;
    }
}

/// The first word, where blanks inside of quotes do not end it, and what comes after.
fn word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    let mut is_quoted = false;
    let end = text.find(|c: char| {
        is_quoted ^= c == '"';
        c.is_whitespace() && !is_quoted
    });
    let (first, rest) = text.split_at(end.unwrap_or(text.len()));
    (!first.is_empty()).then_some((first, rest))
}

/// Options are apart by commas that are not in quotes.
fn split(options: &str) -> Vec<&str> {
    let mut is_quoted = false;
    let parts = options.split(|c: char| {
        is_quoted ^= c == '"';
        c == ',' && !is_quoted
    });
    parts.filter(|part| !part.is_empty()).collect()
}

/// `YYYYMMDD`, `YYYYMMDDHHMM` or `YYYYMMDDHHMMSS`, in UTC with or without the `Z`.
fn time(text: &str) -> Option<Timestamp> {
    let digits = text.strip_suffix('Z').unwrap_or(text);
    let part = |from: usize, to: usize| digits.get(from..to).map_or(Some(0), |part| part.parse::<i16>().ok());
    if !matches!(digits.len(), 8 | 12 | 14) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let small = |value: i16| i8::try_from(value).ok();
    let at = DateTime::new(
        part(0, 4)?,
        small(part(4, 6)?)?,
        small(part(6, 8)?)?,
        small(part(8, 10)?)?,
        small(part(10, 12)?)?,
        small(part(12, 14)?)?,
        0,
    );
    at.ok()?.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use ssh_key::{HashAlg, LineEnding, PrivateKey, private::Ed25519Keypair};

    use super::*;

    fn signed(seed: u8, namespace: &str, payload: &[u8]) -> (Signed, String) {
        let key = PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]));
        let signature = key.sign(namespace, HashAlg::Sha512, payload).unwrap().to_pem(LineEnding::LF).unwrap();
        let committed = "2026-06-01T00:00:00Z".parse().unwrap();
        (Signed { signature, payload: payload.to_vec(), committed }, key.public_key().to_openssh().unwrap())
    }

    #[test]
    fn allowed_signers_mean_what_they_mean_to_ssh_keygen() {
        let (good, key) = signed(1, "git", b"tree 1");
        let (_, other) = signed(2, "git", b"");
        let cases = [
            (format!("ada@example.com {key}"), Ok("ada@example.com".to_owned())),
            (format!("# all\n\nbob {other}\nada,eve namespaces=\"git,file\" {key} comment"), Ok("ada,eve".to_owned())),
            (format!("ada valid-after=\"20260101\",valid-before=\"20270101120000Z\" {key}"), Ok("ada".to_owned())),
            (format!("ada valid-before=\"20260101\" {key}"), Err(Refusal::KeyNotValid)),
            (format!("ada valid-before=20260101 {key}\nada valid-after=20260101 {key}"), Ok("ada".to_owned())),
            (format!("ada namespaces=\"file\" {key}"), Err(Refusal::KeyNotValid)),
            (format!("ada cert-authority {key}"), Err(Refusal::UnknownKey)),
            (format!("ada valid-after=soon {key}"), Err(Refusal::UnknownKey)),
            (format!("bob {other}"), Err(Refusal::UnknownKey)),
            (String::new(), Err(Refusal::UnknownKey)),
        ];
        for (allowed, want) in cases {
            assert_eq!(verify(&good, &allowed), want, "{allowed}");
        }
        let allowed = format!("ada {key}");
        let changed = Signed { payload: b"tree 2".to_vec(), ..good };
        assert_eq!(verify(&changed, &allowed), Err(Refusal::Forged));
        assert_eq!(verify(&signed(1, "file", b"tree 1").0, &allowed), Err(Refusal::Forged));
    }
}
