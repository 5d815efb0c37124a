//! Flakes that are not at the top of their repository, or need its submodules.

use crate::stage::{GOOD, Stage};
use std::fs;

/// A pushed fleet with its flake in this directory of the repository.
fn in_directory(dir: &str) -> Stage {
    let stage = Stage::new(GOOD);
    fs::create_dir_all(stage.path("checkout").join(dir)).unwrap();
    stage.git("checkout", &["mv", "flake.nix", "flake.lock", dir]);
    fs::write(stage.path("checkout/readme"), "").unwrap();
    stage.git("checkout", &["add", "readme"]);
    stage.git("checkout", &["commit", "--quiet", "--message", "into a directory"]);
    stage.git("checkout", &["push", "--quiet", "origin", "master"]);
    stage
}

/// The files that the last commit of the remote changed.
fn changed(stage: &Stage) -> String {
    stage.git("fleet.git", &["-c", "core.quotePath=false", "diff", "--name-only", "master^", "master"])
}

#[test]
fn a_flake_in_a_directory_is_updated_for_every_form_of_its_location() {
    for (dir, encoded) in [("nixos", "nixos"), ("a b/ü", "a%20b/%C3%BC")] {
        for repo in ["checkout/DIR", "checkout?dir=DIR", "REMOTE?dir=DIR", "git+REMOTE?dir=DIR", "link"] {
            let stage = in_directory(dir);
            std::os::unix::fs::symlink(stage.path("checkout").join(dir), stage.path("link")).unwrap();
            fs::create_dir(stage.path("checkout").join(dir).join("sub")).unwrap();
            let repo = match repo.strip_prefix("checkout/") {
                Some(_) => stage.text(&format!("checkout/{dir}")),
                None if repo.contains("REMOTE") => repo.replace("REMOTE", &stage.remote()),
                None => stage.text(repo),
            };
            let repo = repo.replace("DIR", encoded);
            let before = stage.at("master");
            let ended = crate::common::RunningCommand::start(&mut stage.update_of(&repo)).wait_for_exit(0);
            stage.check(&ended);
            assert_ne!(stage.at("master"), before, "{repo}: {ended}");
            assert_eq!(changed(&stage), format!("{dir}/flake.lock"), "{repo}");
            assert!(ended.stdout.contains("all 3 hosts build"), "{repo}: {ended}");
            // As in nix, a subdirectory works too.
            let again = crate::common::RunningCommand::start(
                &mut stage.update_of(&stage.text(&format!("checkout/{dir}/sub"))),
            );
            let again = again.wait_for_exit(0);
            assert!(again.stdout.ends_with("nothing to update\n"), "{again}");
        }
    }
}

#[test]
fn a_directory_without_a_flake_is_refused() {
    let stage = in_directory("nixos");
    let checkout = stage.text("checkout");
    let refused = |repo: &str, error: &str| {
        let ended = crate::common::RunningCommand::start(&mut stage.update_of(repo)).wait_for_exit(2);
        stage.check(&ended);
        ended.assert_stderr(&[error]);
    };
    refused(
        &format!("{checkout}?dir=nowhere"),
        "origin has no flake.nix in the directory nowhere: set --repo",
    );
    refused(
        &format!("{checkout}?dir=../x"),
        "--repo has the directory \"../x\", which is not in its repository",
    );
    refused(
        &format!("{checkout}?ref=main"),
        "--repo names the branch main: remove it and pass it with --base",
    );
    refused(&format!("{checkout}#web1"), "must not have a `#` part, because every host is built: remove it");
    refused("git+ssh://git@git.example:fleet", "write git+ssh://git@git.example/fleet");
}

/// A checkout whose host needs the submodule `lib`, which has this URL.
fn with_submodule(url: impl FnOnce(&Stage) -> String) -> Stage {
    let stage = Stage::new("web1 = builtins.readFile ./lib/script;");
    let allow = ["-c", "protocol.file.allow=always"];
    fs::create_dir(stage.path("lib")).unwrap();
    stage.git("lib", &["init", "--quiet", "--initial-branch=master"]);
    fs::write(stage.path("lib/script"), "echo 1 > $out").unwrap();
    stage.git("lib", &["add", "script"]);
    stage.git("lib", &["commit", "--quiet", "--message", "lib"]);
    let add = ["submodule", "--quiet", "add", &url(&stage), "lib"];
    stage.git("checkout", &[&allow[..], &add].concat());
    stage.git("checkout", &["commit", "--quiet", "--message", "with lib"]);
    stage.git("checkout", &["push", "--quiet", "origin", "master"]);
    stage
}

#[test]
fn hosts_that_need_submodules_are_built_with_them() {
    let stage = with_submodule(|stage| stage.text("lib"));
    let update = |query: &str, code: i32| {
        let mut command = stage.update_of(&format!("{}{query}", stage.text("checkout")));
        command.arg("--nix-may-read").arg(stage.path("lib"));
        command.envs([("GIT_CONFIG_COUNT", "1"), ("GIT_CONFIG_KEY_0", "protocol.file.allow")]);
        let ended = crate::common::RunningCommand::start(
            command.env("GIT_CONFIG_VALUE_0", "always").arg("--dry-run"),
        );
        ended.wait_for_exit(code)
    };
    let without = update("", 1);
    assert!(without.stdout.contains("web1"), "{without}");
    let with = update("?submodules=1", 0);
    assert!(with.stdout.contains("the host builds") || with.stdout.contains("all 1 host"), "{with}");
}

#[test]
fn a_submodule_with_a_relative_url_is_refused_with_its_complete_url() {
    let stage = with_submodule(|_| "../lib".to_owned());
    let expected = format!(
        "the submodule lib has the relative URL ../lib, which is not next to the temporary work tree of an update; write \
         file://{} in .gitmodules, commit and push",
        stage.text("lib")
    );
    let repo = format!("{}?submodules=1", stage.text("checkout"));
    stage.wait_for_exit(&mut stage.update_of(&repo), 2).assert_stderr(&[&expected]);
    // A flake that does not need its submodules is not checked.
    let without = stage.wait_for_exit(stage.update_of(&stage.text("checkout")).arg("--dry-run"), 1);
    assert!(without.stdout.contains("web1"), "{without}");
}
