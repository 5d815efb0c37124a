//! Why TLS does not come about, in words that say what to do.

use super::settings::Tls;
use async_nats::rustls::pki_types::pem::PemObject;
use async_nats::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use async_nats::rustls::{ClientConfig, Error, RootCertStore};
use jiff::Timestamp;
use std::path::Path;

/// How the library tells that the connection was closed in the middle.
const CLOSED: [&str; 5] = ["reset by peer", "roken pipe", "eof", "end of file", "close_notify"];

/// What `openssl x509 -req` makes of a request without extensions.
const VERSION_1: &str =
    "is of X.509 version 1; make one of version 3, which has extensions such as subjectAltName";

impl Tls {
    /// What is wrong with the files themselves, as far as they can be read.
    pub fn fault(&self) -> Option<String> {
        let ca = self.ca.as_deref().and_then(|ca| certificates(ca).err());
        ca.or_else(|| {
            let (certificate, key) = self.identity.as_ref()?;
            identity(certificate, key).err()
        })
    }

    /// What the client library gives as the reason of a failed attempt, in words; `None` where it is not about TLS.
    /// `asked` is whether TLS was asked for here, not only by the server.
    pub(super) fn explain(&self, reason: &str, asked: bool) -> Option<String> {
        let has = |text: &str| reason.contains(text);
        if let Some(at) = reason.find("invalid peer certificate: ") {
            let why = &reason[at + "invalid peer certificate: ".len()..];
            return Some(self.fault().unwrap_or_else(|| self.server_certificate(why)));
        }
        if let Some(at) = reason.find("received fatal alert: ") {
            return Some(self.alert(&reason[at + "received fatal alert: ".len()..]));
        }
        if has("InvalidContentType") {
            return Some(
                "the server does not speak TLS; write nats:// instead of tls://, or set up TLS there"
                    .to_owned(),
            );
        }
        if let Some(why) = reason.strip_prefix("TLS error: ") {
            let why = self.fault().unwrap_or_else(|| why.to_owned());
            return Some(format!("{why}; check --tls-ca, --tls-cert and --tls-key"));
        }
        let closed = asked && CLOSED.iter().any(|text| has(text));
        closed.then(|| {
            let why = match &self.identity {
                None => "want a certificate of ours (--tls-cert and --tls-key)".to_owned(),
                Some((certificate, _)) => format!("not accept our certificate {}", certificate.display()),
            };
            format!(
                "the server closed the connection meanwhile ({reason}); it may {why}, or not speak TLS at all"
            )
        })
    }

    /// What is wrong with the certificate that the server showed.
    fn server_certificate(&self, why: &str) -> String {
        let has = |text: &str| why.contains(text);
        if has("UnknownIssuer") || has("BadSignature") {
            let whom = match &self.ca {
                None => "no authority that this machine trusts".to_owned(),
                Some(ca) => format!("no authority in {}", ca.display()),
            };
            return format!(
                "{whom} has signed the server's certificate; give the certificate of the one that has with --tls-ca"
            );
        }
        if has("CaUsedAsEndEntity") {
            return "the server shows the certificate of an authority as its own; give it one that the authority has signed"
                .to_owned();
        }
        if has("UnsupportedCertVersion") {
            return format!("the server's certificate {VERSION_1}");
        }
        if has("certificate expired") {
            let when = moment(why, "not valid after ");
            return format!(
                "the server's certificate expired{when}; renew it there, or set this machine's clock right"
            );
        }
        if has("not valid yet") {
            let when = moment(why, "not valid before ");
            return format!(
                "the server's certificate is not valid yet{when}; set the clock right, here or where it was made"
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
                "the server's certificate is for {whom}, not for {expected}; name the server in --nats-url as its certificate does, \
                 or give it one for {expected}"
            );
        }
        format!("the server's certificate cannot be used ({why}); give the server another one")
    }

    /// What the server has against us.
    fn alert(&self, alert: &str) -> String {
        let about_us = ["Certificate", "UnknownCA", "AccessDenied"].iter().any(|word| alert.contains(word));
        match &self.identity {
            _ if !about_us => {
                format!(
                    "the server refused our way of speaking TLS ({alert}); it must know version 1.2 or 1.3"
                )
            }
            None => {
                "the server wants a certificate of ours; give one with --tls-cert and its key with --tls-key"
                    .to_owned()
            }
            Some((certificate, _)) => format!(
                "the server does not accept our certificate {} ({alert}); give one with --tls-cert that is valid now and signed by \
                 an authority that it trusts",
                certificate.display()
            ),
        }
    }
}

/// The certificates in a file, of which there must be one at least.
fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(file).map(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(Ok(certificates)) if !certificates.is_empty() => Ok(certificates),
        _ => Err(format!("{} holds no certificate in PEM", file.display())),
    }
}

/// Whether our certificate and key belong together.
fn identity(certificate: &Path, key: &Path) -> Result<(), String> {
    let chain = certificates(certificate)?;
    let secret = PrivateKeyDer::from_pem_file(key);
    let secret = secret.map_err(|_| format!("{} holds no private key in PEM", key.display()))?;
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

/// ` (<moment>)`, from a text that gives it in seconds.
fn moment(text: &str, before: &str) -> String {
    let seconds = text.split_once(before).and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
    let time = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map(|time| format!(" ({})", time.strftime("%Y-%m-%d %H:%M UTC"))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::Tls;

    /// What comes out differs from run to run where a server closes the connection with something unread.
    #[test]
    fn what_no_server_shows_reliably_is_told_too() {
        let none = Tls::default();
        let ours = Tls { ca: None, identity: Some(("own.pem".into(), "own-key.pem".into())) };
        let reset = "IO error: Connection reset by peer (os error 104)";
        assert_eq!(none.explain(reset, false), None);
        assert_eq!(none.explain("IO error: Connection refused (os error 111)", true), None);
        let said = |tls: &Tls, reason| tls.explain(reason, true).unwrap();
        assert_eq!(
            said(&none, reset),
            "the server closed the connection meanwhile (IO error: Connection reset by peer (os error 104)); it may \
             want a certificate of ours (--tls-cert and --tls-key), or not speak TLS at all"
        );
        assert!(
            said(&ours, "IO error: broken pipe").contains("it may not accept our certificate own.pem, or")
        );
        let first = "IO error: invalid peer certificate: Other(OtherError(UnsupportedCertVersion))";
        assert!(said(&none, first).starts_with("the server's certificate is of X.509 version 1; make"));
        let strange = "IO error: received fatal alert: ProtocolVersion";
        assert_eq!(
            none.explain(strange, false).unwrap(),
            "the server refused our way of speaking TLS (ProtocolVersion); it must know version 1.2 or 1.3"
        );
    }
}
