//! Issues certificates. What was issued before is used again while it is valid for long enough and names the
//! right addresses; otherwise it is renewed. The authority itself is never replaced: clients trust it.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use x509_parser::extensions::GeneralName;

use super::super::auth::Identity;
use super::files;

/// Certificates are valid for a year and renewed when a month is left.
const LIFETIME: SignedDuration = SignedDuration::from_hours(365 * 24);
const RENEW_BEFORE: SignedDuration = SignedDuration::from_hours(30 * 24);
/// The authority outlives everything that it signs.
const AUTHORITY_LIFETIME: SignedDuration = SignedDuration::from_hours(10 * 365 * 24);
/// Clocks of other machines may be behind ours by this much.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_hours(24);

#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    #[error("{path}: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("{path} holds no certificate or key that can be read: {what}; remove the folder to make a new authority")]
    Unreadable { path: PathBuf, what: String },
    #[error("cannot issue the certificate of {subject}: {source}")]
    Issue { subject: String, source: rcgen::Error },
    #[error("the TLS configuration is refused: {0}")]
    Tls(String),
}

/// A certificate with its private key, both PEM.
#[derive(Clone)]
pub struct Credentials {
    pub certificate: String,
    pub key: String,
}

/// The cluster's certificate authority.
pub struct Authority {
    folder: PathBuf,
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Opens the authority in `folder`, or makes one when there is none.
    ///
    /// # Errors
    /// When the files cannot be read or written, or are damaged.
    pub fn open(folder: &Path, now: Timestamp) -> Result<Self, PkiError> {
        files::private_folder(folder).map_err(|source| PkiError::File { path: folder.into(), source })?;
        let kept = load(folder, "ca")?;
        let Credentials { certificate, key } = match kept {
            Some(kept) => kept,
            None => save(folder, "ca", make_authority(now)?)?,
        };
        let unreadable =
            |error: rcgen::Error| PkiError::Unreadable { path: folder.join("ca.crt"), what: error.to_string() };
        let key = KeyPair::from_pem(&key).map_err(unreadable)?;
        let issuer = Issuer::from_ca_cert_pem(&certificate, key).map_err(unreadable)?;
        Ok(Self { folder: folder.into(), certificate, issuer })
    }

    /// The authority's certificate, PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// TLS for the server: reachable as any of `names` (host names and addresses), client certificates of
    /// this authority asked for but not required, HTTP/2 preferred.
    ///
    /// # Errors
    /// When the certificate cannot be issued or kept.
    pub fn server_config(&self, names: &[String], now: Timestamp) -> Result<Arc<ServerConfig>, PkiError> {
        let covers = |kept: &Credentials| is_fresh(&kept.certificate, now) && is_named(&kept.certificate, names);
        let server = match load(&self.folder, "server")?.filter(covers) {
            Some(kept) => kept,
            None => save(&self.folder, "server", self.issue_server(names, now)?)?,
        };
        let tls = |error: &dyn std::fmt::Display| PkiError::Tls(error.to_string());
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(self.certificate.as_bytes()).map_err(|e| tls(&e))?;
        roots.add(root).map_err(|e| tls(&e))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone())
            .allow_unauthenticated()
            .build()
            .map_err(|e| tls(&e))?;
        let certificate = CertificateDer::from_pem_slice(server.certificate.as_bytes()).map_err(|e| tls(&e))?;
        let key = PrivateKeyDer::from_pem_slice(server.key.as_bytes()).map_err(|e| tls(&e))?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| tls(&e))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![certificate], key)
            .map_err(|e| tls(&e))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// Credentials of `identity`, kept under `name` and used again until they are about to expire.
    ///
    /// # Errors
    /// When they cannot be issued or kept.
    pub fn client(&self, name: &str, identity: &Identity, now: Timestamp) -> Result<Credentials, PkiError> {
        let theirs = |kept: &Credentials| is_fresh(&kept.certificate, now) && is_of(&kept.certificate, identity);
        match load(&self.folder, name)?.filter(theirs) {
            Some(kept) => Ok(kept),
            None => save(&self.folder, name, self.issue_client(identity, now)?),
        }
    }

    /// New credentials of `identity`; they are kept nowhere.
    ///
    /// # Errors
    /// When they cannot be issued.
    pub fn issue_client(&self, identity: &Identity, now: Timestamp) -> Result<Credentials, PkiError> {
        let mut subject = DistinguishedName::new();
        // Several groups would be several O entries, of which this form holds one; the rest is given by the server.
        let implied = |group: &&String| group.as_str() != "system:authenticated";
        if let Some(group) = identity.groups.iter().find(implied) {
            subject.push(DnType::OrganizationName, group.as_str());
        }
        subject.push(DnType::CommonName, identity.user.as_str());
        let mut params = CertificateParams::default();
        params.distinguished_name = subject;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        self.sign(&identity.user, params, now)
    }

    fn issue_server(&self, names: &[String], now: Timestamp) -> Result<Credentials, PkiError> {
        let issue = |source| PkiError::Issue { subject: "the server".into(), source };
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "windlass");
        for name in names {
            params.subject_alt_names.push(match name.parse::<IpAddr>() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName(name.as_str().try_into().map_err(issue)?),
            });
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        self.sign("the server", params, now)
    }

    fn sign(&self, subject: &str, mut params: CertificateParams, now: Timestamp) -> Result<Credentials, PkiError> {
        let issue = |source| PkiError::Issue { subject: subject.into(), source };
        set_validity(&mut params, now, LIFETIME);
        let key = KeyPair::generate().map_err(issue)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(issue)?;
        Ok(Credentials { certificate: certificate.pem(), key: key.serialize_pem() })
    }
}

/// The private key `NAME.key` in `folder`, which is made when it is not there.
///
/// # Errors
/// When it cannot be read, made or kept.
pub fn private_key(folder: &Path, name: &str) -> Result<KeyPair, PkiError> {
    files::private_folder(folder).map_err(|source| PkiError::File { path: folder.into(), source })?;
    let path = folder.join(format!("{name}.key"));
    let file = |source| PkiError::File { path: path.clone(), source };
    if let Some(kept) = files::read(&path).map_err(file)? {
        return KeyPair::from_pem(&kept)
            .map_err(|error| PkiError::Unreadable { path: path.clone(), what: error.to_string() });
    }
    let pair = KeyPair::generate().map_err(|source| PkiError::Issue { subject: name.into(), source })?;
    files::write_private(&path, &pair.serialize_pem()).map_err(file)?;
    Ok(pair)
}

fn make_authority(now: Timestamp) -> Result<Credentials, PkiError> {
    let issue = |source| PkiError::Issue { subject: "the authority".into(), source };
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "windlass authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    set_validity(&mut params, now, AUTHORITY_LIFETIME);
    let key = KeyPair::generate().map_err(issue)?;
    let certificate = params.self_signed(&key).map_err(issue)?;
    Ok(Credentials { certificate: certificate.pem(), key: key.serialize_pem() })
}

/// Whole days are exact enough, and all that the library takes without a second crate for time.
fn set_validity(params: &mut CertificateParams, now: Timestamp, lifetime: SignedDuration) {
    let day = |time: Timestamp| {
        let date = time.to_zoned(TimeZone::UTC).date();
        rcgen::date_time_ymd(date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs())
    };
    params.not_before = day(now.saturating_sub(CLOCK_SKEW).unwrap_or(Timestamp::MIN));
    params.not_after = day(now.saturating_add(lifetime).unwrap_or(Timestamp::MAX));
}

fn load(folder: &Path, name: &str) -> Result<Option<Credentials>, PkiError> {
    let read = |end: &str| {
        let path = folder.join(format!("{name}.{end}"));
        files::read(&path).map_err(|source| PkiError::File { path, source })
    };
    Ok(read("crt")?.zip(read("key")?).map(|(certificate, key)| Credentials { certificate, key }))
}

/// The key goes first: a certificate without its key would be taken for damage.
fn save(folder: &Path, name: &str, credentials: Credentials) -> Result<Credentials, PkiError> {
    for (end, content) in [("key", &credentials.key), ("crt", &credentials.certificate)] {
        let path = folder.join(format!("{name}.{end}"));
        files::write_private(&path, content).map_err(|source| PkiError::File { path, source })?;
    }
    Ok(credentials)
}

fn with_certificate<T>(pem: &str, look: impl FnOnce(&x509_parser::certificate::X509Certificate<'_>) -> T) -> Option<T> {
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
    let (_, certificate) = x509_parser::parse_x509_certificate(&der).ok()?;
    Some(look(&certificate))
}

fn is_fresh(pem: &str, now: Timestamp) -> bool {
    let expires = with_certificate(pem, |c| c.validity().not_after.timestamp());
    let expires = expires.and_then(|seconds| Timestamp::from_second(seconds).ok());
    expires.is_some_and(|expires| expires.duration_since(now) > RENEW_BEFORE)
}

fn is_named(pem: &str, names: &[String]) -> bool {
    let present = with_certificate(pem, |certificate| {
        let extension = certificate.subject_alternative_name().ok().flatten();
        let names = extension.into_iter().flat_map(|e| &e.value.general_names);
        let shown = names.filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            GeneralName::IPAddress(bytes) => match <[u8; 4]>::try_from(*bytes) {
                Ok(four) => Some(IpAddr::from(four).to_string()),
                Err(_) => <[u8; 16]>::try_from(*bytes).ok().map(|all| IpAddr::from(all).to_string()),
            },
            _ => None,
        });
        shown.collect::<Vec<_>>()
    });
    present.is_some_and(|present| names.iter().all(|name| present.contains(name)))
}

fn is_of(pem: &str, identity: &Identity) -> bool {
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).ok();
    der.and_then(|der| Identity::from_certificate(&der)).is_some_and(|subject| subject.user == identity.user)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn certificates_are_kept_until_they_have_to_be_renewed() {
        let folder = tempfile::tempdir().unwrap();
        let (start, soon, late) =
            (time("2026-01-01T00:00:00Z"), time("2026-06-01T00:00:00Z"), time("2027-05-20T00:00:00Z"));
        let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
        let read = |file: &str| std::fs::read_to_string(folder.path().join(file)).unwrap();

        let authority = Authority::open(folder.path(), start).unwrap();
        authority.server_config(&names, start).unwrap();
        let first = read("server.crt");
        let admin = authority.client("admin", &Identity::admin("root"), start).unwrap();

        let again = Authority::open(folder.path(), soon).unwrap();
        assert_eq!(again.certificate(), authority.certificate());
        again.server_config(&names[..1], soon).unwrap();
        assert_eq!(read("server.crt"), first, "neither time nor names ask for another certificate");
        assert_eq!(again.client("admin", &Identity::admin("root"), soon).unwrap().key, admin.key);

        again.server_config(&["::1".into()], soon).unwrap();
        assert_ne!(read("server.crt"), first, "a new address asks for another certificate");
        let second = read("server.crt");
        again.server_config(&["::1".into()], late).unwrap();
        assert_ne!(read("server.crt"), second, "expiry asks for another certificate");
        assert_ne!(again.client("admin", &Identity::admin("root"), late).unwrap().key, admin.key);
    }

    #[test]
    fn keys_are_readable_by_their_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        Authority::open(&folder.path().join("pki"), time("2026-01-01T00:00:00Z")).unwrap();
        let mode = |file: &str| std::fs::metadata(folder.path().join(file)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("pki"), mode("pki/ca.key"), mode("pki/ca.crt")), (0o700, 0o600, 0o600));
    }

    #[test]
    fn a_client_certificate_carries_its_identity() {
        let folder = tempfile::tempdir().unwrap();
        let now = time("2026-01-01T00:00:00Z");
        let authority = Authority::open(folder.path(), now).unwrap();
        for identity in [Identity::admin("root"), Identity::node("n1")] {
            let issued = authority.issue_client(&identity, now).unwrap();
            let der = CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap();
            assert_eq!(Identity::from_certificate(&der), Some(identity));
        }
    }
}
