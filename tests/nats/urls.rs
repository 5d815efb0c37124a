//! The error for an invalid URL contains no password, independent of its position.

use homelab_deploy::nats::ConnectionSettings;

#[test]
fn an_invalid_url_is_reported_without_its_secrets() {
    for (url, shown) in [
        ("nats://alice:s3cret@host:4x", "nats://…@host:…"),
        ("nats://alice:s3cret@@host:port", "nats://…@host:…"),
        ("NATS://alice:s3cret@host:port", "NATS://…@host:…"),
        ("http://alice:s3cret@host", "http://…@host"),
        ("nats://alice:s3cret@", "nats://…@"),
        ("nats://alice:s3cret%40host", "nats://alice:…"),
        ("nats://alice:s3cret", "nats://alice:…"),
        ("nats://a:s3cret/x@host:port", "nats://…@host:…"),
        ("alice:s3cret@host:port", "…@host:…"),
        ("http://host/s3cret?token=s3cret", "http://host/…"),
        ("nats://[::1]:port", "nats://[::1]:…"),
        ("tls://good:4222, nats://alice:s3cret@host:port", "nats://…@host:…"),
        ("http://host:4222", "http://host:4222"),
    ] {
        let error = ConnectionSettings::new(url, None, "test", "ping").unwrap_err();
        let message = error.to_string();
        assert!(
            message.starts_with(&format!("{shown:?} is not the URL of a NATS server: ")),
            "{url}: {message}"
        );
        assert!(!format!("{message} {error:?}").contains("s3cret"), "{url}: {message}");
    }
}

#[test]
fn a_seed_in_a_url_is_not_repeated() {
    let seed = nkeys::KeyPair::new_user().seed().unwrap();
    for url in [seed.clone(), format!("nats://{seed}@host"), format!("nats://host/{seed}")] {
        let error = ConnectionSettings::new(&url, None, "test", "ping").unwrap_err();
        let expected = "\"…\" is not the URL of a NATS server: it contains a seed: write the seed into a file, and pass that file with --nkey-file; \
                        give --nats-url nats://host:4222 or tls://host:4222";
        assert_eq!(error.to_string(), expected);
    }
}
