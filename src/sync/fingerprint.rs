//! Fingerprints of values that must not be shown: the same value has the same one, and nobody without the key of this
//! installation can find the value by trying.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use ring::hmac;
use ring::rand::SystemRandom;

const KEY_BYTES: usize = 32;
/// Characters of a fingerprint: 64 bits.
const LENGTH: usize = 16;

/// What fingerprints are made with.
#[derive(Clone, Debug)]
pub struct Key(hmac::Key);

impl Key {
    /// The key in `folder`, made when it is not there.
    ///
    /// # Errors
    /// When the file can neither be read nor made, or is not a key.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let path = folder.join("fingerprint.key");
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => make(folder, &path)?,
            found => found?,
        };
        if bytes.len() != KEY_BYTES {
            let why = format!("{} is not a key of {KEY_BYTES} bytes; remove it, and a new one is made", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        Ok(Self::of(&bytes))
    }

    fn of(bytes: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// Sixteen hexadecimal digits.
    pub fn fingerprint(&self, value: &[u8]) -> String {
        let tag = hmac::sign(&self.0, value);
        tag.as_ref().iter().take(LENGTH / 2).fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

/// Written beside and moved, so that a crash leaves no half of a key.
fn make(folder: &Path, path: &Path) -> io::Result<Vec<u8>> {
    let unspecified = |_| io::Error::other("no random numbers are to be had");
    let bytes: [u8; KEY_BYTES] = ring::rand::generate(&SystemRandom::new()).map_err(unspecified)?.expose();
    fs::create_dir_all(folder)?;
    let draft = path.with_extension("draft");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    Ok(bytes.to_vec())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_same_value_has_the_same_fingerprint_with_the_same_key_only() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let key = Key::open(one.path()).unwrap();
        let found = key.fingerprint(b"value");
        assert_eq!(found.len(), LENGTH);
        assert_eq!(Key::open(one.path()).unwrap().fingerprint(b"value"), found);
        assert_ne!(key.fingerprint(b"Value"), found);
        assert_ne!(Key::open(other.path()).unwrap().fingerprint(b"value"), found);
        let mode = fs::metadata(one.path().join("fingerprint.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::write(one.path().join("fingerprint.key"), "short").unwrap();
        assert!(Key::open(one.path()).unwrap_err().to_string().contains("remove it"));
    }
}
