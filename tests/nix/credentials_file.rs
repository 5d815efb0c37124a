//! Reads credentials files. Errors do not quote their contents.

use homelab_deploy::git::Credentials;
use homelab_deploy::nix::FlakeUrl;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use tempfile::TempDir;

/// Reads a file with these contents and this mode, and returns the error with `FILE` for its path.
fn refused(text: &str, mode: u32) -> String {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("credentials");
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    let error = Credentials::read(&file).unwrap_err().to_string();
    assert!(!error.contains("s3cret"), "{error}");
    error.replace(file.to_str().unwrap(), "FILE")
}

#[test]
fn an_invalid_file_is_refused_with_its_line() {
    let write = "write `machine HOST login USER password SECRET`";
    for (text, message) in [
        ("", "the credentials file FILE has no machine"),
        ("# only a comment\n", "the credentials file FILE has no machine"),
        ("deploy:s3cret\n", "the credentials file FILE, line 1: the last word has no value"),
        (
            "login deploy password s3cret\n",
            "the credentials file FILE, line 1: the file must start with `machine`",
        ),
        ("machine h login d\n", "the credentials file FILE, line 1: the machine lacks a login or a password"),
        (
            "machine h login d password s3cret\nmachine https://h/x login d password s3cret\n",
            "the credentials file FILE, line 2: invalid machine: expected HOST or HOST:PORT, without a scheme and a path",
        ),
        (
            "machine h login d password p\ndefault login d password s3cret\n",
            "the credentials file FILE, line 2: `default` would send the password to every server",
        ),
        ("machine h login d password \"s3cret\n", "the credentials file FILE, line 1: unclosed quote"),
        (
            "machine h login d\npassword p s3cret x\n",
            "the credentials file FILE, line 2: unexpected word: expected `machine`, `login` or `password`",
        ),
        (
            "machine h login d password s3cret\u{7}\n",
            "the credentials file FILE, line 1: unexpected control character",
        ),
    ] {
        assert_eq!(refused(text, 0o600), format!("{message}; {write}"), "{text}");
    }
}

#[test]
fn a_file_readable_by_all_users_is_refused() {
    assert_eq!(
        refused("machine h login d password s3cret\n", 0o644),
        "the credentials file FILE is readable by all users; run `chmod 600 FILE` first"
    );
    let error = Credentials::read(std::path::Path::new("/nowhere/credentials")).unwrap_err().to_string();
    assert_eq!(
        error,
        "could not read the credentials file /nowhere/credentials: No such file or directory (os error 2)"
    );
}

/// The environment variables of a program for a flake.
fn environment(flake: &str, file: Option<&str>) -> Vec<(String, String)> {
    let flake: FlakeUrl = flake.parse().unwrap();
    let dir = TempDir::new().unwrap();
    let Some(text) = file else { return flake.environment() };
    let path = dir.path().join("credentials");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    flake.with_credentials(&Credentials::read(&path).unwrap()).environment()
}

/// The value of a variable.
fn value<'a>(environment: &'a [(String, String)], name: &str) -> &'a str {
    environment.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
}

#[test]
fn git_and_nix_each_get_what_they_need() {
    let file = "machine github.com login x-access-token password ghp_t0ken\nmachine git.example login d password p#w\n";
    let given = environment("github:o/r", Some(file));
    let settings = value(&given, "NIX_CONFIG");
    assert!(settings.contains("netrc-file = /"), "{settings}");
    assert!(settings.contains("\nextra-access-tokens = github.com=ghp_t0ken\n"), "{settings}");
    assert_eq!(value(&given, "HOMELAB_DEPLOY_PASSWORD_1"), "p#w");
    // A password that is not a valid token could inject a nix setting.
    let invalid = environment("github:o/r", Some("machine github.com login x password \"a b\"\n"));
    let settings = value(&invalid, "NIX_CONFIG");
    assert!(settings.contains("netrc-file = /") && !settings.contains("access-tokens"), "{settings}");
    let keys: Vec<_> = given
        .iter()
        .filter(|(name, _)| name.starts_with("GIT_CONFIG_KEY"))
        .map(|(_, key)| key.as_str())
        .collect();
    assert_eq!(
        keys,
        [
            "credential.https://github.com.helper",
            "credential.https://github.com.helper",
            "credential.https://git.example.helper",
            "credential.https://git.example.helper"
        ]
    );
    // The port is taken from the flake URL, and HTTP without TLS is used only if the flake URL does.
    for (flake, origin) in [
        ("git+https://git.example:3000/i", "https://git.example:3000"),
        ("git+http://git.example/i", "http://git.example"),
    ] {
        let given = environment(flake, Some(file));
        let key = format!("credential.{origin}.helper");
        assert!(given.iter().any(|(_, known)| *known == key), "{given:?}");
    }
}

#[test]
fn git_helpers_provide_the_password_of_a_user_without_one() {
    let given = environment("git+https://alice@git.example/i", None);
    let expected = [
        ("GIT_CONFIG_KEY_0", "credential.https://git.example.username"),
        ("GIT_CONFIG_VALUE_0", "alice"),
        ("GIT_CONFIG_COUNT", "1"),
    ];
    assert_eq!(given, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert!(environment("git+ssh://git@git.example/i", None).is_empty());
}

#[test]
fn a_url_never_contains_its_credentials() {
    for (written, remote, held) in [
        ("git+https://d:s3cret@h:1/i", "https://h:1/i", true),
        ("git+https://t0ken-t0ken@h/i", "https://h/i", true),
        ("git+https://d@h/i", "https://h/i", false),
        ("git+https://h/i", "https://h/i", false),
        ("git+ssh://git@h/i", "ssh://git@h/i", false),
        ("git+ssh://git:s3cret@h/i", "ssh://git@h/i", true),
    ] {
        let flake: FlakeUrl = written.parse().unwrap();
        assert_eq!(
            (flake.remote().map(|remote| remote.url).as_deref(), flake.held_credentials()),
            (Some(remote), held),
            "{written}"
        );
    }
    let flake: FlakeUrl = "git+https://h/i?token=s3cret&dir=x".parse().unwrap();
    assert_eq!(flake.exposed_parameters(), ["token"]);
    let error = "git+https://d:s3cret%0Ahost=x@h/i".parse::<FlakeUrl>().unwrap_err().to_string();
    assert_eq!(error, "the flake URL git+https://h/i has a control character in its credentials: remove it");
}
