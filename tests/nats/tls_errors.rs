//! Every possible error of certificates: operators exit with 5 and a message with the next step; listeners log the same
//! message and retry.

use crate::certificates::{Authority, Pair};
use crate::common::{Host, HostBuilder, NatsServer, operator, run};
use crate::tls::{flags, server_with};
use std::fs;

/// A certificate without extensions, as `openssl x509 -req` creates it by default.
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

/// Asserts the message of an operator and a listener for this server: the part after `could not set up TLS with …`.
fn assert_both_report(nats: &NatsServer, url: &str, flags: &[String], expected: &str) {
    let args: Vec<_> = flags.iter().map(String::as_str).collect();
    let refused = run(operator(nats, "tester").args(["hosts", "--nats-url", url]).args(&args), 5);
    let sentence = format!("error: could not set up TLS with {url}: {expected}\n");
    assert_eq!(one_alert(&refused.stderr), sentence);
    assert_eq!(refused.stdout, "");
    let web1 = HostBuilder::new(nats, "web1", "test", "web").flag("--nats-url", url).args(&args);
    let mut host = web1.launch();
    assert_eq!(one_alert(&connect_error(&mut host)), expected);
    host.terminate();
    assert_eq!(host.wait_for_exit().code(), Some(0));
}

/// Servers differ in the alert with which they reject a certificate.
fn one_alert(text: &str) -> String {
    let words = ["(UnknownCA)", "(CertificateExpired)", "(BadCertificate)"];
    words.iter().fold(text.to_owned(), |text, word| text.replace(word, "(ALERT)"))
}

/// The reason in the next log line about a missing connection.
fn connect_error(host: &mut Host) -> String {
    host.wait_for_log("not connected")["reason"].as_str().unwrap().to_owned()
}

/// Asserts the message for a server with this certificate, if its authority is trusted.
fn of_server(authority: &Authority, certificate: &Pair, expected: &str) {
    let server = server_with(&certificate.of_server(""));
    assert_both_report(&server, &server.url(), &flags(&authority.ca(), None), expected);
}

#[test]
fn a_server_certificate_that_cannot_be_trusted() {
    let (authority, other) = (Authority::new(), Authority::new());
    let server = server_with(&authority.sign("server", &["127.0.0.1"]).of_server(""));
    let unsigned_by = |whom: &str| {
        format!(
            "the server's certificate is not signed by {whom}; pass the certificate of its authority with --tls-ca"
        )
    };
    let by_other = unsigned_by(&format!("an authority in {}", other.ca().display()));
    assert_both_report(&server, &server.url(), &flags(&other.ca(), None), &by_other);
    assert_both_report(&server, &server.url(), &[], &unsigned_by("an authority that this machine trusts"));
    let empty = server.dir().join("empty.pem");
    fs::write(&empty, "not PEM\n").unwrap();
    let nothing = format!("{} contains no PEM certificate", empty.display());
    assert_both_report(&server, &server.url(), &flags(&empty, None), &nothing);
}

#[test]
fn a_server_certificate_that_is_wrong_itself() {
    let authority = Authority::new();
    let names = &["127.0.0.1"];
    let expired = "the server's certificate expired (2020-01-01 00:00 UTC); renew it on the server, or correct this machine's clock";
    let early = "the server's certificate is not valid yet (2990-01-01 00:00 UTC); correct the clock of this machine or of the one that created it";
    let own = "the server uses the certificate of an authority as its own; give it a certificate signed by that authority";
    let instead =
        "use a name from the certificate in --nats-url, or give the server a certificate for 127.0.0.1";
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
fn a_missing_or_wrong_client_certificate() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let server = server_with(&authority.sign("server", &["127.0.0.1"]).of_strict_server(&authority.ca()));
    let url = server.url().replace("nats://", "tls://");
    let ours = authority.sign("client", &["client"]);
    let say = |own: Option<&Pair>, expected: &str| {
        assert_both_report(&server, &url, &flags(&authority.ca(), own), expected);
    };
    say(
        None,
        "the server requires a client certificate; pass one with --tls-cert and its key with --tls-key",
    );

    let mixed = Pair { key: authority.sign("other", &["other"]).key, ..ours.clone() };
    let (certificate, key) = (mixed.certificate.display(), mixed.key.display());
    let check = "check --tls-ca, --tls-cert and --tls-key";
    say(
        Some(&mixed),
        &format!("the key in {key} does not belong to the certificate in {certificate}; {check}"),
    );
    let swapped = Pair { certificate: ours.key.clone(), key: ours.certificate.clone() };
    let nothing = format!("{} contains no PEM certificate; {check}", ours.key.display());
    say(Some(&swapped), &nothing);

    let first = Pair { certificate: server.dir().join("v1.pem"), ..ours.clone() };
    fs::write(&first.certificate, VERSION_1).unwrap();
    let version =
        "is X.509 version 1; create a version 3 certificate, which has extensions such as subjectAltName";
    say(Some(&first), &format!("the certificate in {} {version}; {check}", first.certificate.display()));

    let strange = stranger.sign("strange", &["client"]);
    let old = authority.sign_for("old", &["client"], 2019..=2020);
    for own in [strange, old] {
        let expected = format!(
            "the server does not accept the client certificate {} (ALERT); pass one with --tls-cert that is valid now and signed by an authority that the server trusts",
            own.certificate.display()
        );
        say(Some(&own), &expected);
    }
}

#[test]
fn a_server_without_tls() {
    let server = server_with("");
    let url = server.url().replace("nats://", "tls://");
    let expected =
        "the server does not use TLS; write nats:// instead of tls://, or set up TLS on the server";
    assert_both_report(&server, &url, &[], expected);
}

#[test]
fn a_listener_notices_fixed_certificate_files() {
    let (authority, other) = (Authority::new(), Authority::new());
    let server = server_with(&authority.sign("server", &["127.0.0.1"]).of_server(""));
    let ca = server.dir().join("trusted.pem");
    fs::copy(other.ca(), &ca).unwrap();
    let args = flags(&ca, None);
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let mut host = HostBuilder::new(&server, "web1", "test", "web").args(&args).launch();
    assert!(connect_error(&mut host).starts_with("the server's certificate is not signed by "));
    fs::copy(authority.ca(), &ca).unwrap();
    host.wait_for_log("connected");
}
