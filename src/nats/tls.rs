//! Explains why TLS failed, with advice.

use super::settings::TlsFiles;
use async_nats::rustls::pki_types::pem::PemObject;
use async_nats::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use async_nats::rustls::{ClientConfig, Error, RootCertStore};
use jiff::Timestamp;
use std::path::Path;

/// Fragments of the library's messages if the connection was closed during the handshake.
const CLOSED: [&str; 5] = ["reset by peer", "roken pipe", "eof", "end of file", "close_notify"];

/// `openssl x509 -req` creates such a certificate from a request without extensions.
const VERSION_1: &str =
    "is X.509 version 1; create a version 3 certificate, which has extensions such as subjectAltName";

impl TlsFiles {
    /// Checks the files; returns what is wrong with them.
    pub fn file_error(&self) -> Option<String> {
        let ca = self.ca.as_deref().and_then(|ca| read_certificates(ca).err());
        ca.or_else(|| {
            let (certificate, key) = self.identity.as_ref()?;
            check_identity(certificate, key).err()
        })
    }

    /// Explains the client library's reason for a failed attempt; `None` if it is not about TLS. `is_requested` is
    /// whether TLS was requested on this side and not only by the server.
    pub(super) fn explain(&self, reason: &str, is_requested: bool) -> Option<String> {
        let has = |text: &str| reason.contains(text);
        if let Some(at) = reason.find("invalid peer certificate: ") {
            let why = &reason[at + "invalid peer certificate: ".len()..];
            return Some(self.file_error().unwrap_or_else(|| self.server_certificate(why)));
        }
        if let Some(at) = reason.find("received fatal alert: ") {
            return Some(self.alert(&reason[at + "received fatal alert: ".len()..]));
        }
        if has("InvalidContentType") {
            return Some(
                "the server does not use TLS; write nats:// instead of tls://, or set up TLS on the server"
                    .to_owned(),
            );
        }
        if let Some(why) = reason.strip_prefix("TLS error: ") {
            let why = self.file_error().unwrap_or_else(|| why.to_owned());
            return Some(format!("{why}; check --tls-ca, --tls-cert and --tls-key"));
        }
        let closed = is_requested && CLOSED.iter().any(|text| has(text));
        closed.then(|| {
            let why = match &self.identity {
                None => "require a client certificate (--tls-cert and --tls-key)".to_owned(),
                Some((certificate, _)) => format!("not accept the client certificate {}", certificate.display()),
            };
            format!("the server closed the connection during the handshake ({reason}); it may {why}, or not use TLS at all")
        })
    }

    /// Explains what is wrong with the server's certificate.
    fn server_certificate(&self, why: &str) -> String {
        let has = |text: &str| why.contains(text);
        if has("UnknownIssuer") || has("BadSignature") {
            let whom = match &self.ca {
                None => "an authority that this machine trusts".to_owned(),
                Some(ca) => format!("an authority in {}", ca.display()),
            };
            return format!(
                "the server's certificate is not signed by {whom}; pass the certificate of its authority with --tls-ca"
            );
        }
        if has("CaUsedAsEndEntity") {
            return "the server uses the certificate of an authority as its own; give it a certificate signed by that authority"
                .to_owned();
        }
        if has("UnsupportedCertVersion") {
            return format!("the server's certificate {VERSION_1}");
        }
        if has("certificate expired") {
            let when = time_after(why, "not valid after ");
            return format!(
                "the server's certificate expired{when}; renew it on the server, or correct this machine's clock"
            );
        }
        if has("not valid yet") {
            let when = time_after(why, "not valid before ");
            return format!(
                "the server's certificate is not valid yet{when}; correct the clock of this machine or of the one that created it"
            );
        }
        if let Some((expected, presented)) = why.split_once("; certificate is ")
            && let Some(expected) = expected.strip_prefix("certificate not valid for name ")
        {
            let expected = expected.trim_matches('"');
            let whom = match presented.strip_prefix("only valid for ") {
                Some(names) => {
                    names.replace("DnsName(\"", "").replace("IpAddress(", "").replace(['"', ')'], "")
                }
                None => "no name at all (it has no subjectAltName)".to_owned(),
            };
            return format!(
                "the server's certificate is for {whom}, not for {expected}; use a name from the certificate in --nats-url, or \
                 give the server a certificate for {expected}"
            );
        }
        format!("the server's certificate cannot be used ({why}); replace it")
    }

    /// Explains an alert that the server sent.
    fn alert(&self, alert: &str) -> String {
        let about_us = ["Certificate", "UnknownCA", "AccessDenied"].iter().any(|word| alert.contains(word));
        match &self.identity {
            _ if !about_us => {
                format!(
                    "the server rejected the handshake ({alert}); it must support TLS 1.2 or 1.3"
                )
            }
            None => {
                "the server requires a client certificate; pass one with --tls-cert and its key with --tls-key"
                    .to_owned()
            }
            Some((certificate, _)) => format!(
                "the server does not accept the client certificate {} ({alert}); pass one with --tls-cert that is valid now and \
                 signed by an authority that the server trusts",
                certificate.display()
            ),
        }
    }
}

/// Reads the certificates in a file; at least one is required.
fn read_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(file).map(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(Ok(certificates)) if !certificates.is_empty() => Ok(certificates),
        _ => Err(format!("{} contains no PEM certificate", file.display())),
    }
}

/// Checks that the client certificate and its key belong together.
fn check_identity(certificate: &Path, key: &Path) -> Result<(), String> {
    let chain = read_certificates(certificate)?;
    let secret = PrivateKeyDer::from_pem_file(key);
    let secret = secret.map_err(|_| format!("{} contains no PEM private key", key.display()))?;
    let config = ClientConfig::builder().with_root_certificates(RootCertStore::empty());
    match config.with_client_auth_cert(chain, secret) {
        Ok(_) => Ok(()),
        Err(Error::InconsistentKeys(_)) => Err(format!(
            "the key in {} does not belong to the certificate in {}",
            key.display(),
            certificate.display()
        )),
        Err(error) if error.to_string().contains("UnsupportedCertVersion") => {
            Err(format!("the certificate in {} {VERSION_1}", certificate.display()))
        }
        Err(error) => Err(format!("{} and {} cannot be used: {error}", certificate.display(), key.display())),
    }
}

/// Returns ` (<time>)` from a text that has the time in seconds.
fn time_after(text: &str, before: &str) -> String {
    let seconds = text.split_once(before).and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
    let time = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map(|time| format!(" ({})", time.strftime("%Y-%m-%d %H:%M UTC"))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::TlsFiles;

    /// If a server closes a connection with unread data, the error differs from run to run.
    #[test]
    fn errors_that_no_server_reproduces_reliably_are_explained() {
        let none = TlsFiles::default();
        let ours = TlsFiles { ca: None, identity: Some(("own.pem".into(), "own-key.pem".into())) };
        let reset = "IO error: Connection reset by peer (os error 104)";
        assert_eq!(none.explain(reset, false), None);
        assert_eq!(none.explain("IO error: Connection refused (os error 111)", true), None);
        let explained = |tls: &TlsFiles, reason| tls.explain(reason, true).unwrap();
        assert_eq!(
            explained(&none, reset),
            "the server closed the connection during the handshake (IO error: Connection reset by peer (os error 104)); it may \
             require a client certificate (--tls-cert and --tls-key), or not use TLS at all"
        );
        assert!(
            explained(&ours, "IO error: broken pipe")
                .contains("it may not accept the client certificate own.pem, or")
        );
        let first = "IO error: invalid peer certificate: Other(OtherError(UnsupportedCertVersion))";
        assert!(explained(&none, first).starts_with("the server's certificate is X.509 version 1; create"));
        let strange = "IO error: received fatal alert: ProtocolVersion";
        assert_eq!(
            none.explain(strange, false).unwrap(),
            "the server rejected the handshake (ProtocolVersion); it must support TLS 1.2 or 1.3"
        );
    }
}
