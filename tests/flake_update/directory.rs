//! A flake that is not at the top of its repository, or that needs the submodules of it.

use crate::stage::{GOOD, Stage};
use std::fs;

/// The flake of the stage in this directory of its repository, pushed.
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

/// The files that the last commit of the remote has changed.
fn changed(stage: &Stage) -> String {
    stage.git("fleet.git", &["-c", "core.quotePath=false", "diff", "--name-only", "master^", "master"])
}

#[test]
fn a_flake_in_a_directory_is_updated_however_it_is_named() {
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
            let ended = crate::common::Running::start(&mut stage.update_of(&repo)).ended(0);
            stage.check(&ended);
            assert_ne!(stage.at("master"), before, "{repo}: {ended}");
            assert_eq!(changed(&stage), format!("{dir}/flake.lock"), "{repo}");
            assert!(ended.out.contains("all 3 hosts build"), "{repo}: {ended}");
            // From within it, as nix does.
            let again = crate::common::Running::start(
                &mut stage.update_of(&stage.text(&format!("checkout/{dir}/sub"))),
            );
            let again = again.ended(0);
            assert!(again.out.ends_with("nothing to update\n"), "{again}");
        }
    }
}

#[test]
fn a_directory_without_a_flake_is_refused() {
    let stage = in_directory("nixos");
    let checkout = stage.text("checkout");
    let refused = |repo: &str, why: &str| {
        let ended = crate::common::Running::start(&mut stage.update_of(repo)).ended(2);
        stage.check(&ended);
        ended.complains(&[why]);
    };
    refused(
        &format!("{checkout}?dir=nowhere"),
        "origin has no flake.nix in the directory nowhere: give --repo",
    );
    refused(
        &format!("{checkout}?dir=../x"),
        "--repo has the directory \"../x\", which is not in its repository",
    );
    refused(
        &format!("{checkout}?ref=main"),
        "--repo names the branch main: leave it out, and give it to --base",
    );
    refused(&format!("{checkout}#web1"), "must not have a `#` part: every host is built; leave it out");
    refused("git+ssh://git@git.example:fleet", "write git+ssh://git@git.example/fleet");
}

#[test]
fn hosts_that_need_submodules_are_built_with_them() {
    let stage = Stage::new("web1 = builtins.readFile ./lib/script;");
    let allow = ["-c", "protocol.file.allow=always"];
    fs::create_dir(stage.path("lib")).unwrap();
    stage.git("lib", &["init", "--quiet", "--initial-branch=master"]);
    fs::write(stage.path("lib/script"), "echo 1 > $out").unwrap();
    stage.git("lib", &["add", "script"]);
    stage.git("lib", &["commit", "--quiet", "--message", "lib"]);
    let add = ["submodule", "--quiet", "add", &stage.text("lib"), "lib"];
    stage.git("checkout", &[&allow[..], &add].concat());
    stage.git("checkout", &["commit", "--quiet", "--message", "with lib"]);
    stage.git("checkout", &["push", "--quiet", "origin", "master"]);
    let update = |query: &str, code: i32| {
        let mut command = stage.update_of(&format!("{}{query}", stage.text("checkout")));
        command.arg("--nix-may-read").arg(stage.path("lib"));
        command.envs([("GIT_CONFIG_COUNT", "1"), ("GIT_CONFIG_KEY_0", "protocol.file.allow")]);
        let ended =
            crate::common::Running::start(command.env("GIT_CONFIG_VALUE_0", "always").arg("--dry-run"));
        ended.ended(code)
    };
    let without = update("", 1);
    assert!(without.out.contains("web1"), "{without}");
    let with = update("?submodules=1", 0);
    assert!(with.out.contains("the host builds") || with.out.contains("all 1 host"), "{with}");
}
