//! The owner of an input gets nothing of this machine: nix runs where no credential can be read, inputs of this machine are
//! refused, and nothing is written through links.

use crate::common::{Running, run};
use crate::stage::{GOOD, Stage, TOKEN};
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

/// Gives the input an input of its own, and credentials that it may point at.
fn with_loot(url: &str) -> (Stage, String) {
    let stage = Stage::new(GOOD);
    fs::create_dir(stage.path("credentials")).unwrap();
    fs::copy(stage.path("token"), stage.path("credentials/token")).unwrap();
    stage.git("credentials", &["init", "--quiet", "--initial-branch=master"]);
    stage.git("credentials", &["add", "--all"]);
    stage.git("credentials", &["commit", "--quiet", "--message", "x"]);
    let url = format!("{url}{}", stage.text("credentials"));
    let flake = format!(
        r#"{{ inputs.loot = {{ url = "{url}"; flake = false; }};
              outputs = {{ self, loot }}: {{ number = builtins.readFile "${{loot}}/token"; }}; }}"#
    );
    fs::write(stage.path("input/flake.nix"), flake).unwrap();
    stage.git("input", &["commit", "--quiet", "--all", "--message", "update"]);
    (stage, url)
}

/// Whether something in the store holds the token.
fn is_in_store(stage: &Stage) -> bool {
    let found = Command::new("grep").args(["-rq", TOKEN]).arg(stage.path("store")).status().unwrap();
    // 1 is nothing, everything above is an error.
    assert!(found.code().is_some_and(|code| code < 2), "{found}");
    found.success()
}

#[test]
fn an_input_of_an_input_cannot_take_the_token() {
    for scheme in ["path:", "git+file://"] {
        let (stage, _) = with_loot(scheme);
        let ended = stage.ended(stage.update().arg("--dry-run"), 2);
        ended.complains(&[
            "could not update the inputs",
            "(nix runs in a sandbox: name what the flake needs of this machine with --nix-may-read",
        ]);
        assert!(!is_in_store(&stage), "{ended}");
    }
}

#[test]
fn a_new_input_from_this_machine_is_refused_before_anything_is_evaluated() {
    for scheme in ["path:", "git+file://"] {
        let (stage, url) = with_loot(scheme);
        let branches = stage.branches();
        let ended =
            stage.ended(stage.update().args(["--dry-run", "--nix-may-read", &stage.text("credentials")]), 2);
        let place = url.replace("git+file", "git file");
        ended.complains(&[
            &format!("error: the update adds the input dep/loot from {place}: expected only inputs from the network"),
            "nothing was evaluated or pushed. If you trust it, add that input to the flake yourself and commit",
        ]);
        assert!(!ended.out.contains("building"), "{ended}");
        assert_eq!(stage.branches(), branches);
    }
}

/// The fleet's flake with another input that is on this machine, committed with its lock.
fn with_own_input(url: &str) -> Stage {
    let stage = Stage::new(GOOD);
    fs::create_dir_all(stage.path("home")).unwrap();
    fs::write(stage.path("home/file"), "x").unwrap();
    stage.git("home", &["init", "--quiet", "--initial-branch=master"]);
    stage.git("home", &["add", "file"]);
    stage.git("home", &["commit", "--quiet", "--message", "x"]);
    let own = format!("inputs.own = {{ url = \"{url}{}\"; flake = false; }};", stage.text("home"));
    let flake = stage.flake(GOOD).replace("{ self, dep }", "{ self, dep, ... }");
    fs::write(stage.path("checkout/flake.nix"), flake.replacen('{', &format!("{{ {own}"), 1)).unwrap();
    let mut lock = stage.environment(Command::new("nix"));
    lock.args(["--extra-experimental-features", "nix-command flakes", "flake", "lock"]);
    run(lock.current_dir(stage.path("checkout")), 0);
    stage.git("checkout", &["commit", "--quiet", "--all", "--message", "own input"]);
    stage.git("checkout", &["push", "--quiet", "origin", "master"]);
    stage.git("home", &["commit", "--quiet", "--allow-empty", "--message", "moved"]);
    stage
}

#[test]
fn an_input_of_the_flake_itself_is_read_only_if_it_is_a_repository_and_not_the_home_directory() {
    for url in ["git+file://", "path:"] {
        let stage = with_own_input(url);
        let ended = stage.ended(stage.update().arg("--dry-run"), 2);
        ended.complains(&["name what the flake needs of this machine with --nix-may-read"]);
        stage.ended(stage.update().args(["--dry-run", "--nix-may-read", &stage.text("home")]), 0);
    }
}

#[test]
fn a_build_cannot_read_the_token() {
    let stage = Stage::new("");
    let token = stage.text("token");
    let script = format!("if read line < {token}; then echo $line > $out; else echo denied > $out; fi");
    fs::write(stage.path("checkout/flake.nix"), stage.flake(&format!("web1 = \"{script}\";"))).unwrap();
    stage.git("checkout", &["commit", "--quiet", "--all", "--message", "web1"]);
    stage.git("checkout", &["push", "--quiet", "origin", "master"]);
    let ended = stage.ended(stage.update().args(["--output", "json"]), 0);
    let result = ended.json().pop().unwrap();
    let system = result["value"]["hosts"][0]["system"].as_str().unwrap();
    assert_eq!(fs::read_to_string(system).unwrap(), "denied\n");
}

#[test]
fn what_may_be_read_in_the_home_directory_has_its_usual_place() {
    let stage = Stage::new(GOOD);
    fs::create_dir_all(stage.path("home")).unwrap();
    // git finds the input only through the settings of its user.
    let input = format!("file://{}", stage.text("input"));
    fs::write(
        stage.path("home/.gitconfig"),
        format!("[url \"{input}\"]\n\tinsteadOf = http://127.0.0.1:1/input\n"),
    )
    .unwrap();
    let flake = stage.flake(GOOD).replace(&format!("git+{input}"), "git+http://127.0.0.1:1/input?ref=master");
    fs::write(stage.path("checkout/flake.nix"), flake).unwrap();
    stage.git("checkout", &["commit", "--quiet", "--all", "--message", "by another name"]);
    stage.git("checkout", &["push", "--quiet", "origin", "master"]);
    stage.ended(stage.update().arg("--dry-run"), 2).complains(&["could not update the inputs"]);
    stage.ended(stage.update().args(["--dry-run", "--nix-may-read", &stage.text("home/.gitconfig")]), 0);
}

#[test]
fn a_lock_file_that_is_a_link_is_not_written_through() {
    for (file, kind) in [("flake.lock", "a symbolic link"), ("flake.nix", "a symbolic link")] {
        let stage = Stage::new(GOOD);
        let target = stage.path("outside");
        fs::rename(stage.path("checkout").join(file), &target).unwrap();
        symlink(&target, stage.path("checkout").join(file)).unwrap();
        stage.git("checkout", &["commit", "--quiet", "--all", "--message", "a link"]);
        stage.git("checkout", &["push", "--quiet", "origin", "master"]);
        let before = fs::read_to_string(&target).unwrap();
        let args = ["--no-sandbox", "--dry-run"];
        let ended = stage.ended(stage.update_of(&stage.remote()).args(args), 2);
        ended.complains(&[&format!("error: {file} is {kind} in the repository: expected a regular file")]);
        assert_eq!(fs::read_to_string(&target).unwrap(), before);
    }
}

/// Runs what follows on a kernel that knows no Landlock: the call that asks for it is not implemented.
const WITHOUT_LANDLOCK: &str = r"
import ctypes, os, struct, sys
landlock_create_ruleset, allow, enosys = 444, 0x7fff0000, 0x00050000 | 38
code = b''.join(struct.pack('HBBI', *line) for line in [
    (0x20, 0, 0, 0), (0x15, 0, 1, landlock_create_ruleset), (0x06, 0, 0, enosys), (0x06, 0, 0, allow)])
code = ctypes.create_string_buffer(code)
program = ctypes.create_string_buffer(struct.pack('HxxxxxxQ', 4, ctypes.addressof(code)))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program) == 0, ctypes.get_errno()
os.execvp(sys.argv[1], sys.argv[1:])
";

#[test]
fn without_a_sandbox_nothing_is_updated_unless_the_operator_says_so() {
    if Command::new("python3").arg("--version").output().is_err() {
        println!("NOT RUN: python3 is not installed, so no kernel without Landlock can be had");
        return;
    }
    let stage = Stage::new(GOOD);
    let without = |args: &[&str]| {
        let update = stage.update_of(&stage.remote());
        let mut python = stage.environment(Command::new("python3"));
        python.args(["-c", WITHOUT_LANDLOCK]).arg(update.get_program()).args(update.get_args()).args(args);
        python
    };
    let ended = stage.ended(&mut without(&["--dry-run"]), 2);
    ended.complains(&[
        "error: cannot keep nix from reading credentials: this kernel has no Landlock",
        "with --no-sandbox nix runs all the same, and an input of an input can take the credentials of this user",
    ]);
    stage.ended(&mut without(&["--dry-run", "--no-sandbox"]), 0);
}

#[test]
fn what_cannot_be_read_in_any_case_is_a_mistake() {
    let stage = Stage::new(GOOD);
    for (path, why) in [
        ("key", "expected an absolute path"),
        ("/missing", "No such file or directory"),
        ("/", "that is all files of this machine: name those that nix needs, or use --no-sandbox"),
    ] {
        let ended = Running::start(stage.update().args(["--nix-may-read", path])).ended(2);
        ended.complains(&[&format!("'{path}' for '--nix-may-read <PATH>': {why}")]);
    }
    run(stage.update().args(["--nix-may-read", "/etc/hosts", "--no-sandbox"]), 2)
        .complains(&["cannot be used with"]);
}
