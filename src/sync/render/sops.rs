//! Opens files that SOPS encrypted with age, in memory: unwraps the data key, decrypts the values, and checks the MAC
//! over all of them. What it gives is never written anywhere but into the object that it belongs to; errors say where,
//! never what. Pure.

use std::fmt;
use std::io::Read;
use std::str::FromStr;
use std::sync::Arc;

use aes_gcm::aead::consts::U32;
use aes_gcm::aead::generic_array::GenericArray;
use aes_gcm::aes::Aes256;
use aes_gcm::{AeadInPlace, AesGcm, KeyInit};
use age::x25519::Identity;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{Context, SHA256, SHA512, digest};
use serde_yaml::{Mapping, Value};

/// Finds the text of the age keys that there are now.
#[derive(Clone)]
pub struct AgeKeys(Arc<dyn Fn() -> String + Send + Sync>);

impl AgeKeys {
    pub fn new(find: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self(Arc::new(find))
    }

    pub(super) fn identities(&self) -> Vec<Identity> {
        identities(&(self.0)())
    }
}

impl fmt::Debug for AgeKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AgeKeys")
    }
}

/// What SOPS adds to a document.
const METADATA: &str = "sops";

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SopsError {
    #[error(
        "it is encrypted with SOPS, and there is no age key to open it (DATA_DIR/age.key; of the server also a Secret with the label \
         windlass.dev/secret-type: sops-age, of windlass diff also SOPS_AGE_KEY_FILE)"
    )]
    NoKey,
    #[error("it is encrypted with SOPS for other keys than those that are here")]
    OtherKeys,
    #[error("it is encrypted with SOPS, but not for age")]
    NotAge,
    #[error("its SOPS metadata cannot be read: {0}")]
    Metadata(&'static str),
    #[error("the value at {0} cannot be decrypted: it was changed, or moved here from elsewhere")]
    Value(String),
    #[error("its SOPS MAC does not match: a value was changed, added or removed without sops")]
    Mac,
}

/// The age identities of key files: one a line, beside comments.
pub fn identities(text: &str) -> Vec<Identity> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.filter_map(|line| Identity::from_str(line).ok()).collect()
}

/// Whether a document of a file may be one that SOPS encrypted.
pub fn is_encrypted(document: &serde_json::Value) -> bool {
    document[METADATA].get("mac").is_some()
}

/// Takes the encrypted values for empty ones.
pub fn blank(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(members) => {
            members.remove(METADATA);
            members.values_mut().for_each(blank);
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(blank),
        serde_json::Value::String(text) if text.starts_with("ENC[") => text.clear(),
        _ => {}
    }
}

/// The documents of a file, decrypted and without SOPS's metadata, in order; those that are empty are null.
///
/// # Errors
/// When it cannot be opened, or was changed.
pub fn open(text: &str, identities: &[Identity]) -> Result<Vec<serde_json::Value>, SopsError> {
    let documents: Result<Vec<Value>, _> =
        serde_yaml::Deserializer::from_str(text).map(serde::Deserialize::deserialize).collect();
    let mut documents = documents.map_err(|_| SopsError::Metadata("the file is not YAML"))?;
    let metadata: Vec<Mapping> = documents
        .iter_mut()
        .filter_map(|document| match document.as_mapping_mut()?.remove(METADATA)? {
            Value::Mapping(found) => Some(found),
            _ => None,
        })
        .collect();
    let metadata = metadata.first().ok_or(SopsError::Metadata("there is none"))?;
    let key = data_key(metadata, identities)?;
    let mac_only_encrypted = metadata.get("mac_only_encrypted").and_then(Value::as_bool).unwrap_or_default();
    let mut opening =
        Opening { cipher: AesGcm::new(GenericArray::from_slice(&key)), mac: Context::new(&SHA512), mac_only_encrypted };
    if mac_only_encrypted {
        // So that the two kinds of MAC are never mistaken for each other.
        opening.mac.update(digest(&SHA256, METADATA.as_bytes()).as_ref());
    }
    for document in &mut documents {
        opening.walk(document, &mut Vec::new())?;
    }
    let text_of = |name: &'static str| {
        metadata.get(name).and_then(Value::as_str).ok_or(SopsError::Metadata("mac or lastmodified is missing"))
    };
    let (sealed, modified) = (text_of("mac")?, text_of("lastmodified")?);
    let mac = opening.decrypt(sealed, modified).ok_or(SopsError::Mac)?;
    let found = opening.mac.finish().as_ref().iter().fold(String::new(), |text, byte| format!("{text}{byte:02X}"));
    if mac.0 != found.as_bytes() {
        return Err(SopsError::Mac);
    }
    let json = documents.into_iter().map(serde_json::to_value);
    json.collect::<Result<_, _>>().map_err(|_| SopsError::Metadata("the file is not an object"))
}

fn data_key(metadata: &Mapping, identities: &[Identity]) -> Result<Vec<u8>, SopsError> {
    let recipients =
        metadata.get("age").and_then(Value::as_sequence).filter(|all| !all.is_empty()).ok_or(SopsError::NotAge)?;
    if identities.is_empty() {
        return Err(SopsError::NoKey);
    }
    for recipient in recipients {
        let Some(wrapped) = recipient.get("enc").and_then(Value::as_str).and_then(unarmoured) else { continue };
        let Ok(decryptor) = age::Decryptor::new(wrapped.as_slice()) else { continue };
        let Ok(reader) = decryptor.decrypt(identities.iter().map(|identity| identity as &dyn age::Identity)) else {
            continue;
        };
        let mut key = Vec::new();
        if reader.take(64).read_to_end(&mut key).is_ok() && key.len() == 32 {
            return Ok(key);
        }
    }
    Err(SopsError::OtherKeys)
}

/// The bytes of age's armour, which is that of PEM.
fn unarmoured(text: &str) -> Option<Vec<u8>> {
    let inner = text.trim().strip_prefix("-----BEGIN AGE ENCRYPTED FILE-----")?;
    let inner = inner.strip_suffix("-----END AGE ENCRYPTED FILE-----")?;
    STANDARD.decode(inner.split_whitespace().collect::<String>()).ok()
}

struct Opening {
    cipher: AesGcm<Aes256, U32>,
    mac: Context,
    mac_only_encrypted: bool,
}

impl Opening {
    /// Decrypts what is below in place; items of a list are at the place of the list, as SOPS has it.
    fn walk(&mut self, value: &mut Value, path: &mut Vec<String>) -> Result<(), SopsError> {
        match value {
            Value::Mapping(members) => {
                for (key, member) in members.iter_mut() {
                    path.push(key.as_str().map_or_else(|| plain(key), str::to_owned));
                    self.walk(member, path)?;
                    path.pop();
                }
                Ok(())
            }
            Value::Sequence(items) => items.iter_mut().try_for_each(|item| self.walk(item, path)),
            Value::Tagged(tagged) => self.walk(&mut tagged.value, path),
            Value::String(text) if text.starts_with("ENC[") => {
                let place = format!("{}:", path.join(":"));
                let (bytes, kind) = self.decrypt(text, &place).ok_or_else(|| SopsError::Value(path.join(".")))?;
                self.mac.update(&bytes);
                *value = typed(bytes, &kind).ok_or_else(|| SopsError::Value(path.join(".")))?;
                Ok(())
            }
            Value::Null => Ok(()),
            leaf => {
                if !self.mac_only_encrypted {
                    self.mac.update(plain(leaf).as_bytes());
                }
                Ok(())
            }
        }
    }

    /// `ENC[AES256_GCM,data:…,iv:…,tag:…,type:…]`: the bytes, and the type that they are of.
    fn decrypt(&self, sealed: &str, place: &str) -> Option<(Vec<u8>, String)> {
        let inner = sealed.strip_prefix("ENC[AES256_GCM,")?.strip_suffix(']')?;
        let part = |name: &str| inner.split(',').find_map(|part| part.strip_prefix(name)?.strip_prefix(':'));
        let bytes = |name: &str| STANDARD.decode(part(name)?).ok();
        let (mut data, iv, tag) = (bytes("data")?, bytes("iv")?, bytes("tag")?);
        if iv.len() != 32 || tag.len() != 16 {
            return None;
        }
        let (iv, tag) = (GenericArray::from_slice(&iv), GenericArray::from_slice(&tag));
        self.cipher.decrypt_in_place_detached(iv, place.as_bytes(), &mut data, tag).ok()?;
        Some((data, part("type")?.to_owned()))
    }
}

fn typed(bytes: Vec<u8>, kind: &str) -> Option<Value> {
    let text = String::from_utf8(bytes).ok()?;
    match kind {
        "str" | "bytes" => Some(Value::String(text)),
        "int" => text.parse::<i64>().ok().map(Value::from),
        "float" => text.parse::<f64>().ok().map(Value::from),
        "bool" => Some(Value::Bool(text.eq_ignore_ascii_case("true"))),
        _ => None,
    }
}

/// A value that is not encrypted, as it is in the MAC.
fn plain(value: &Value) -> String {
    match value {
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => String::new(),
    }
}

#[cfg(test)]
pub mod tests {
    use std::io::Write;

    use super::*;

    fn seal(cipher: &AesGcm<Aes256, U32>, text: &str, place: &str) -> String {
        let iv = [7u8; 32];
        let mut data = text.as_bytes().to_vec();
        let tag = cipher.encrypt_in_place_detached(GenericArray::from_slice(&iv), place.as_bytes(), &mut data).unwrap();
        let [data, iv, tag] = [data.as_slice(), &iv, tag.as_slice()].map(|bytes| STANDARD.encode(bytes));
        format!("ENC[AES256_GCM,data:{data},iv:{iv},tag:{tag},type:str]")
    }

    /// A Secret as `sops --encrypt --age … --encrypted-regex '^stringData$'` writes it.
    pub fn encrypted(identity: &Identity, name: &str, password: &str) -> String {
        let key = [3u8; 32];
        let cipher = AesGcm::<Aes256, U32>::new(GenericArray::from_slice(&key));
        let mut wrapped = Vec::new();
        let recipient = identity.to_public();
        let encryptor = age::Encryptor::with_recipients([&recipient as &dyn age::Recipient].into_iter()).unwrap();
        let mut writer = encryptor.wrap_output(&mut wrapped).unwrap();
        writer.write_all(&key).unwrap();
        writer.finish().unwrap();
        let leaves = ["v1", "Secret", name, "True", password];
        let mac = leaves.iter().fold(Context::new(&SHA512), |mut mac, leaf| {
            mac.update(leaf.as_bytes());
            mac
        });
        let mac = mac.finish().as_ref().iter().fold(String::new(), |text, byte| format!("{text}{byte:02X}"));
        let modified = "2026-01-01T00:00:00Z";
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\nimmutable: true\nstringData:\n  password: {}\nsops:\n  age:\n  - recipient: {recipient}\n    \
             enc: |\n      -----BEGIN AGE ENCRYPTED FILE-----\n      {}\n      -----END AGE ENCRYPTED FILE-----\n  \
             lastmodified: \"{modified}\"\n  mac: {}\n  version: 3.9.0\n",
            seal(&cipher, password, "stringData:password:"),
            STANDARD.encode(wrapped),
            seal(&cipher, &mac, modified)
        )
    }

    #[test]
    fn a_file_is_opened_with_its_key_only_and_only_as_it_was_written() {
        let (ours, other) = (Identity::generate(), Identity::generate());
        let text = encrypted(&ours, "db", "s3cret");
        let opened = open(&text, &[other.clone(), ours.clone()]).unwrap();
        assert_eq!(opened[0]["stringData"]["password"], "s3cret");
        assert_eq!(opened[0].get("sops"), None);
        assert_eq!(open(&text, &[]), Err(SopsError::NoKey));
        assert_eq!(open(&text, &[other]), Err(SopsError::OtherKeys));
        let ours = [ours];
        assert_eq!(open(&text.replace("name: db", "name: dc"), &ours), Err(SopsError::Mac));
        assert_eq!(open(&text.replace("immutable: true\n", ""), &ours), Err(SopsError::Mac));
        let moved = text.replace("  password: ENC", "  other: ENC");
        assert_eq!(open(&moved, &ours), Err(SopsError::Value("stringData.other".into())));
        assert_eq!(open(&text.replace("  age:", "  pgp:"), &ours), Err(SopsError::NotAge));
    }

    #[test]
    fn a_key_file_may_have_comments() {
        let key = Identity::generate();
        let text = format!(
            "# created: today\n# public key: {}\n{}\n",
            key.to_public(),
            age::secrecy::ExposeSecret::expose_secret(&key.to_string())
        );
        assert_eq!(identities(&text).len(), 1);
        assert!(identities("nothing").is_empty());
    }
}
