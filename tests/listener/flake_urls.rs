//! Every way to write a flake URL: it is deployed, or refused at the start with a suggested form.

use crate::common::{HostBuilder, NatsServer, Repo, TestDir, binary, run};
use crate::stage::{Stage, text};
use serde_json::json;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

/// Flake URLs and a part of the error for each.
const REFUSED: [(&str, &str); 17] = [
    ("git@git.example:me/fleet.git", "write git+ssh://git@git.example/me/fleet.git"),
    ("git+ssh://git@git.example:me/fleet", "write git+ssh://git@git.example/me/fleet"),
    ("ssh://git@git.example:22/me/fleet", "write git+ssh://git@git.example:22/me/fleet"),
    ("https://git.example/me/fleet", "write git+https://git.example/me/fleet"),
    ("file:///srv/fleet", "write git+file:///srv/fleet"),
    ("git+file:/srv/fleet", "write git+file:///srv/fleet"),
    ("git+https://git.example:x/fleet", "is not a flake URL that can be deployed"),
    ("./fleet", "write the absolute path of its directory"),
    ("~/fleet", "write the absolute path of its directory"),
    ("path:../fleet", "write the absolute path of its directory"),
    ("path:/srv/my fleet", "has the character ' ', which nix does not allow there"),
    ("git+file:///srv/my fleet", "write it percent-encoded"),
    ("git+https://git.example/100%", "write %25 for a `%`"),
    ("github:me/fleet/main", "names a revision (main): remove it"),
    ("git+https://git.example/fleet?ref=main", "names a revision (ref=main): remove it"),
    ("git+https://git.example/fleet#web1", "must not have a `#` part"),
    ("nixpkgs", "is not a flake URL that can be deployed"),
];

#[test]
fn an_undeployable_flake_url_is_refused_before_anything_starts() {
    let dir = TestDir::new();
    let file = |name: &str| dir.path().join(name).display().to_string();
    for (url, expected_part) in REFUSED {
        let mut listener = Command::new(binary());
        listener.args([
            "listener",
            "--hostname",
            "web1",
            "--tier",
            "test",
            "--nats-url",
            "nats://127.0.0.1:1",
        ]);
        run(listener.args(["--nkey-file", "/nowhere", "--flake-url", url]), 2)
            .assert_stderr(&[expected_part]);

        fs::write(file("builder.toml"), format!("[repos.infra]\nurl = {url:?}\n")).unwrap();
        let mut builder = Command::new(binary());
        run(builder.args(["builder", "--check", "--config", &file("builder.toml")]), 2)
            .assert_stderr(&[expected_part]);

        let config = dir.path().join("config/homelab-deploy");
        fs::create_dir_all(&config).unwrap();
        fs::write(config.join("config.toml"), format!("[contexts.home]\nallowed_flakes = [{url:?}]\n"))
            .unwrap();
        let mut check = Command::new(binary());
        check.args(["config", "check"]).env("XDG_CONFIG_HOME", dir.path().join("config"));
        let check = run(&mut check, 2);
        assert!(check.to_string().contains(expected_part), "{url}: {check}");
    }
}

#[test]
fn every_path_of_a_repository_is_deployed() {
    let repo = Repo::new();
    let commit = repo.commit("flake.nix", "flake");
    let dir = TestDir::new();
    let at = |name: &str| dir.path().join(name);
    let spaced = at("my fleet");
    let git = |args: &[&str]| assert!(Command::new("git").args(args).status().unwrap().success());
    git(&["clone", "--quiet", &repo.path().display().to_string(), &spaced.display().to_string()]);
    git(&[
        "clone",
        "--quiet",
        "--bare",
        &repo.path().display().to_string(),
        &at("bare.git").display().to_string(),
    ]);
    fs::create_dir(spaced.join("host s")).unwrap();
    symlink(&spaced, at("link")).unwrap();
    symlink(dir.path(), at("parent")).unwrap();
    let root = dir.path().canonicalize().unwrap().display().to_string();
    let real = format!("git+file://{root}/my%20fleet");
    for (n, (url, pinned)) in [
        (format!("git+file://{root}/link"), format!("git+file://{root}/link")),
        (format!("git+file://{root}/parent/link/"), format!("git+file://{root}/parent/link/")),
        (format!("git+file://{root}/bare.git"), format!("git+file://{root}/bare.git")),
        (real.clone(), real.clone()),
        (format!("{root}/my fleet"), real.clone()),
        (format!("{root}/link"), real.clone()),
        (format!("{root}/parent/my fleet/"), real.clone()),
        (format!("{root}/link/host s"), format!("{real}?dir=host%20s")),
    ]
    .into_iter()
    .enumerate()
    {
        let stage = Stage::with("echo \"$@\" > $DIR/called", |host| host.flake(&url));
        let report = stage.deploy(&format!("u-{n}"), json!({})).final_report();
        assert_eq!(report["status"], "completed", "{url}: {report}");
        let called = fs::read_to_string(stage.host.file("called")).unwrap();
        let mark = if pinned.contains('?') { '&' } else { '?' };
        let expected = format!("switch --flake {pinned}{mark}ref=refs/heads/master&rev={commit}#web1");
        assert_eq!(called.trim(), expected, "{url}");
    }
}

#[test]
fn a_symlink_to_a_directory_is_passed_to_nix_as_that_directory() {
    let dir = TestDir::new();
    let root = dir.path().canonicalize().unwrap();
    fs::create_dir(root.join("fleet")).unwrap();
    symlink(root.join("fleet"), root.join("link")).unwrap();
    let url = format!("path:{}/link", root.display());
    let stage = Stage::with("echo \"$@\" > $DIR/called", |host| host.flake(&url));
    let report = stage.deploy("l-1", json!({})).final_report();
    assert_eq!(report["status"], "completed", "{report}");
    let called = fs::read_to_string(stage.host.file("called")).unwrap();
    assert_eq!(called.trim(), format!("switch --flake path:{}/fleet#web1", root.display()));
}

#[test]
fn a_branch_of_any_name_reaches_the_program_as_one_url() {
    let repo = Repo::new();
    let commit = repo.commit("flake.nix", "flake");
    let nats = NatsServer::start();
    let names = [
        ("#42", "%2342"),
        ("a&b=c", "a%26b%3Dc"),
        ("$(id>x)", "%24%28id%3Ex%29"),
        ("ü,1", "%C3%BC%2C1"),
        ("100%", "100%25"),
    ];
    for (name, _) in names {
        repo.git(&["branch", name]);
    }
    let adapt = |host: HostBuilder| host.flake(&repo.url());
    let stage = Stage::on(nats, "echo \"$@\" > $DIR/called", adapt);
    for (n, (name, encoded)) in names.into_iter().enumerate() {
        let report = stage.deploy(&format!("b-{n}"), json!({"revision": name})).final_report();
        assert_eq!((&report["status"], text(&report["revision"])), (&json!("completed"), name), "{report}");
        let called = fs::read_to_string(stage.host.file("called")).unwrap();
        let expected = format!("switch --flake {}?ref=refs/heads/{encoded}&rev={commit}#web1", repo.url());
        assert_eq!(called.trim(), expected);
    }
}

#[test]
fn a_commit_that_was_rewritten_away_is_an_invalid_revision() {
    let repo = Repo::new();
    let first = repo.commit("flake.nix", "first");
    let gone = repo.commit("flake.nix", "gone");
    let stage = Stage::with("echo done", |host| host.flake(&repo.url()));
    repo.git(&["reset", "--quiet", "--hard", &first]);
    repo.git(&["reflog", "expire", "--expire=now", "--all"]);
    repo.git(&["gc", "--quiet", "--prune=now"]);
    for (id, fields, expected_part) in [
        ("g-1", json!({"revision": gone}), "is not on any branch or tag of"),
        ("g-2", json!({"revision": "master", "commit": gone}), "is not on the branch \"master\" of"),
    ] {
        let report = stage.deploy(id, fields).final_report();
        assert_eq!(
            (&report["status"], &report["error"]),
            (&json!("failed"), &json!("invalid_revision")),
            "{report}"
        );
        assert!(text(&report["message"]).starts_with(&format!("commit {gone} {expected_part}")), "{report}");
    }
}
