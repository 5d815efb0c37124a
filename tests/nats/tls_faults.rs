//! Everything that can be wrong with certificates: operators end with 5 and a sentence that says what to do, listeners
//! log the same sentence and keep trying.

use crate::certificates::{Authority, Pair};
use crate::common::{Broker, Host, HostBuilder, operator, run};
use crate::tls::{broker, flags};
use std::fs;

/// A certificate without extensions, as `openssl x509 -req` makes them of itself.
const VERSION_1: &str = "\
-----BEGIN CERTIFICATE-----
MIIBIzCBygIUVqa7qLqO4aIUsH7b9uC4Fo03ffgwCgYIKoZIzj0EAwIwGTEXMBUG
A1UEAwwOaG9tZSBhdXRob3JpdHkwIBcNMjYxMTI1MDEwMTE2WhgPMjEyNjExMDEw
MTAxMTZaMA4xDDAKBgNVBAMMA29sZDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IA
BMnT4jUHJI++kMkKDVyL3A80zKcv3Oen6GnFLSlzeZTtK0hW7xy92+AgpkbF+7oR
aBQ4wkgY09880ZZdXI60kR0wCgYIKoZIzj0EAwIDSAAwRQIgC4TgRUDxKxcwq0Fh
a7HNtMM2CdrcdSLmYkoOddtrofsCIQCUBqd/t7dlbdtMS0fAm/PSFtxKiBPTdc2b
DDqfMtH5Gg==
-----END CERTIFICATE-----
";

/// What an operator and a listener say towards this server: the sentence after `could not set up TLS with …`.
fn both_say(broker: &Broker, url: &str, flags: &[String], expected: &str) {
    let args: Vec<_> = flags.iter().map(String::as_str).collect();
    let refused = run(operator(broker, "tester").args(["hosts", "--nats-url", url]).args(&args), 5);
    let sentence = format!("error: could not set up TLS with {url}: {expected}\n");
    assert_eq!(one_alert(&refused.err), sentence);
    assert_eq!(refused.out, "");
    let web1 = HostBuilder::new(broker, "web1", "test", "web").flag("--nats-url", url).args(&args);
    let mut host = web1.launch();
    assert_eq!(one_alert(&why(&mut host)), expected);
    host.terminate();
    assert_eq!(host.ended().code(), Some(0));
}

/// Servers differ in the word with which they refuse a certificate.
fn one_alert(text: &str) -> String {
    let words = ["(UnknownCA)", "(CertificateExpired)", "(BadCertificate)"];
    words.iter().fold(text.to_owned(), |text, word| text.replace(word, "(ALERT)"))
}

/// The reason of the next line that says that there is no connection.
fn why(host: &mut Host) -> String {
    host.logged("not connected")["reason"].as_str().unwrap().to_owned()
}

/// Towards a server with this certificate, by an operator that trusts its authority.
fn of_server(authority: &Authority, certificate: &Pair, expected: &str) {
    let server = broker(&certificate.of_server(""));
    both_say(&server, &server.url(), &flags(&authority.ca(), None), expected);
}

#[test]
fn a_server_certificate_that_cannot_be_trusted() {
    let (authority, other) = (Authority::new(), Authority::new());
    let server = broker(&authority.sign("server", &["127.0.0.1"]).of_server(""));
    let give = "has signed the server's certificate; give the certificate of the one that has with --tls-ca";
    let none = format!("no authority in {} {give}", other.ca().display());
    both_say(&server, &server.url(), &flags(&other.ca(), None), &none);
    both_say(&server, &server.url(), &[], &format!("no authority that this machine trusts {give}"));
    let empty = server.folder().join("empty.pem");
    fs::write(&empty, "not PEM\n").unwrap();
    let nothing = format!("{} holds no certificate in PEM", empty.display());
    both_say(&server, &server.url(), &flags(&empty, None), &nothing);
}

#[test]
fn a_server_certificate_that_is_wrong_itself() {
    let authority = Authority::new();
    let names = &["127.0.0.1"];
    let expired = "the server's certificate expired (2020-01-01 00:00 UTC); renew it there, or set this machine's clock right";
    let early = "the server's certificate is not valid yet (2990-01-01 00:00 UTC); set the clock right, here or where it \
         was made";
    let own = "the server shows the certificate of an authority as its own; give it one that the authority has signed";
    let instead = "name the server in --nats-url as its certificate does, or give it one for 127.0.0.1";
    let other =
        format!("the server's certificate is for nats.example.org or 10.0.0.1, not for 127.0.0.1; {instead}");
    let nameless = format!(
        "the server's certificate is for no name at all (it has no subjectAltName), not for 127.0.0.1; {instead}"
    );
    let two = &["nats.example.org", "10.0.0.1"];
    std::thread::scope(|all| {
        let faults = [
            (authority.sign_for("expired", names, 2019..=2020), expired),
            (authority.sign_for("early", names, 2990..=3000), early),
            (authority.sign("other", two), other.as_str()),
            (authority.sign("nameless", &[]), nameless.as_str()),
            (authority.own(), own),
        ];
        for (certificate, expected) in faults {
            let authority = &authority;
            all.spawn(move || of_server(authority, &certificate, expected));
        }
    });
}

#[test]
fn a_certificate_of_ours_that_is_missing_or_wrong() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let server = broker(&authority.sign("server", &["127.0.0.1"]).of_strict_server(&authority.ca()));
    let url = server.url().replace("nats://", "tls://");
    let ours = authority.sign("client", &["client"]);
    let say = |own: Option<&Pair>, expected: &str| {
        both_say(&server, &url, &flags(&authority.ca(), own), expected);
    };
    say(None, "the server wants a certificate of ours; give one with --tls-cert and its key with --tls-key");

    let mixed = Pair { key: authority.sign("other", &["other"]).key, ..ours.clone() };
    let (certificate, key) = (mixed.certificate.display(), mixed.key.display());
    let check = "check --tls-ca, --tls-cert and --tls-key";
    say(
        Some(&mixed),
        &format!("the key in {key} does not belong to the certificate in {certificate}; {check}"),
    );
    let swapped = Pair { certificate: ours.key.clone(), key: ours.certificate.clone() };
    let nothing = format!("{} holds no certificate in PEM; {check}", ours.key.display());
    say(Some(&swapped), &nothing);

    let first = Pair { certificate: server.folder().join("v1.pem"), ..ours.clone() };
    fs::write(&first.certificate, VERSION_1).unwrap();
    let version = "is of X.509 version 1; make one of version 3, which has extensions such as subjectAltName";
    say(Some(&first), &format!("the certificate in {} {version}; {check}", first.certificate.display()));

    let strange = stranger.sign("strange", &["client"]);
    let old = authority.sign_for("old", &["client"], 2019..=2020);
    for own in [strange, old] {
        let expected = format!(
            "the server does not accept our certificate {} (ALERT); give one with --tls-cert that is valid now \
             and signed by an authority that it trusts",
            own.certificate.display()
        );
        say(Some(&own), &expected);
    }
}

#[test]
fn a_server_without_tls() {
    let server = broker("");
    let url = server.url().replace("nats://", "tls://");
    let expected = "the server does not speak TLS; write nats:// instead of tls://, or set up TLS there";
    both_say(&server, &url, &[], expected);
}

#[test]
fn a_listener_sees_when_its_files_are_mended() {
    let (authority, other) = (Authority::new(), Authority::new());
    let server = broker(&authority.sign("server", &["127.0.0.1"]).of_server(""));
    let ca = server.folder().join("trusted.pem");
    fs::copy(other.ca(), &ca).unwrap();
    let args = flags(&ca, None);
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let mut host = HostBuilder::new(&server, "web1", "test", "web").args(&args).launch();
    assert!(why(&mut host).starts_with("no authority in "));
    fs::copy(authority.ca(), &ca).unwrap();
    host.logged("connected");
}
