//! What is said of a URL that is none holds no password, wherever it stands in it.

use homelab_deploy::bus::Settings;

#[test]
fn a_wrong_url_is_told_without_its_secrets() {
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
        let error = Settings::new(url, None, "test", "ping").unwrap_err();
        let said = error.to_string();
        assert!(said.starts_with(&format!("{shown:?} is not the URL of a NATS server: ")), "{url}: {said}");
        assert!(!format!("{said} {error:?}").contains("s3cret"), "{url}: {said}");
    }
}

#[test]
fn a_seed_in_a_url_is_not_repeated() {
    let seed = nkeys::KeyPair::new_user().seed().unwrap();
    for url in [seed.clone(), format!("nats://{seed}@host"), format!("nats://host/{seed}")] {
        let error = Settings::new(&url, None, "test", "ping").unwrap_err();
        let expected = "\"…\" is not the URL of a NATS server: it holds a seed, which belongs into the file of --nkey-file; \
                        give --nats-url nats://host:4222 or tls://host:4222";
        assert_eq!(error.to_string(), expected);
    }
}
