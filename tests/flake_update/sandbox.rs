//! The owner of an input gets no data of this machine: nix runs in a sandbox without access to credentials, inputs from this
//! machine are refused, and nix does not write through symbolic links.

use crate::common::{RunningCommand, run};
use crate::stage::{GOOD, Stage, TOKEN};
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

/// A fleet whose input adds an input: a directory with credentials on this machine. Returns the URL of the latter too.
fn with_secret_input(url: &str) -> (Stage, String) {
    let stage = Stage::new(GOOD);
    fs::create_dir(stage.path("credentials")).unwrap();
    fs::copy(stage.path("token"), stage.path("credentials/token")).unwrap();
    stage.git("credentials", &["init", "--quiet", "--initial-branch=master"]);
    stage.git("credentials", &["add", "--all"]);
    stage.git("credentials", &["commit", "--quiet", "--message", "x"]);
    let url = format!("{url}{}", stage.text("credentials"));
    let flake = format!(
        r#"{{ inputs.secret = {{ url = "{url}"; flake = false; }};
              outputs = {{ self, secret }}: {{ number = builtins.readFile "${{secret}}/token"; }}; }}"#
    );
    fs::write(stage.path("input/flake.nix"), flake).unwrap();
    stage.git("input", &["commit", "--quiet", "--all", "--message", "update"]);
    (stage, url)
}

/// Whether a file in the store contains the token.
fn is_in_store(stage: &Stage) -> bool {
    let found = Command::new("grep").args(["-rq", TOKEN]).arg(stage.path("store")).status().unwrap();
    // grep exits with 1 if it finds nothing, and with a higher code on errors.
    assert!(found.code().is_some_and(|code| code < 2), "{found}");
    found.success()
}

#[test]
fn an_input_of_an_input_cannot_read_the_token() {
    for scheme in ["path:", "git+file://"] {
        let (stage, _) = with_secret_input(scheme);
        let ended = stage.wait_for_exit(stage.update().arg("--dry-run"), 2);
        ended.assert_stderr(&[
            "could not update the inputs",
            "(nix runs in a sandbox: pass the paths that the flake needs on this machine with --nix-may-read",
        ]);
        assert!(!is_in_store(&stage), "{ended}");
    }
}

#[test]
fn a_new_input_from_this_machine_is_refused_before_anything_is_evaluated() {
    for scheme in ["path:", "git+file://"] {
        let (stage, url) = with_secret_input(scheme);
        let branches = stage.branches();
        let ended = stage.wait_for_exit(
            stage.update().args(["--dry-run", "--nix-may-read", &stage.text("credentials")]),
            2,
        );
        let location = url.replace("git+file", "git file");
        ended.assert_stderr(&[
            &format!("error: the update adds the input dep/secret from {location}: expected only inputs from the network"),
            "nothing was evaluated or pushed. If you trust it, add that input to the flake yourself and commit",
        ]);
        assert!(!ended.stdout.contains("building"), "{ended}");
        assert_eq!(stage.branches(), branches);
    }
}

/// A fleet whose flake has another input from this machine, committed with its lock.
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
fn a_local_input_of_the_flake_is_readable_only_if_it_is_a_repository_outside_the_home_directory() {
    for url in ["git+file://", "path:"] {
        let stage = with_own_input(url);
        let ended = stage.wait_for_exit(stage.update().arg("--dry-run"), 2);
        ended.assert_stderr(&["pass the paths that the flake needs on this machine with --nix-may-read"]);
        stage.wait_for_exit(stage.update().args(["--dry-run", "--nix-may-read", &stage.text("home")]), 0);
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
    let ended = stage.wait_for_exit(stage.update().args(["--output", "json"]), 0);
    let result = ended.json().pop().unwrap();
    let system = result["value"]["hosts"][0]["system"].as_str().unwrap();
    assert_eq!(fs::read_to_string(system).unwrap(), "denied\n");
}

#[test]
fn readable_paths_in_the_home_directory_keep_their_place() {
    let stage = Stage::new(GOOD);
    fs::create_dir_all(stage.path("home")).unwrap();
    // git finds the input only through the user's settings.
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
    stage.wait_for_exit(stage.update().arg("--dry-run"), 2).assert_stderr(&["could not update the inputs"]);
    stage.wait_for_exit(
        stage.update().args(["--dry-run", "--nix-may-read", &stage.text("home/.gitconfig")]),
        0,
    );
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
        let ended = stage.wait_for_exit(stage.update_of(&stage.remote()).args(args), 2);
        ended
            .assert_stderr(&[&format!("error: {file} is {kind} in the repository: expected a regular file")]);
        assert_eq!(fs::read_to_string(&target).unwrap(), before);
    }
}

/// Runs a command as on a kernel without Landlock: a seccomp filter fails its system call as not implemented.
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
fn without_landlock_nothing_is_updated_unless_the_operator_allows_it() {
    if Command::new("python3").arg("--version").output().is_err() {
        println!("NOT RUN: python3 is not installed, so a kernel without Landlock cannot be simulated");
        return;
    }
    let stage = Stage::new(GOOD);
    let without = |args: &[&str]| {
        let update = stage.update_of(&stage.remote());
        let mut python = stage.environment(Command::new("python3"));
        python.args(["-c", WITHOUT_LANDLOCK]).arg(update.get_program()).args(update.get_args()).args(args);
        python
    };
    let ended = stage.wait_for_exit(&mut without(&["--dry-run"]), 2);
    ended.assert_stderr(&[
        "error: cannot keep nix from reading credentials: this kernel has no Landlock",
        "--no-sandbox runs nix anyway, but then any flake input can copy the credentials of this user",
    ]);
    stage.wait_for_exit(&mut without(&["--dry-run", "--no-sandbox"]), 0);
}

#[test]
fn an_unreadable_path_is_a_usage_error() {
    let stage = Stage::new(GOOD);
    for (path, error) in [
        ("key", "expected an absolute path"),
        ("/missing", "No such file or directory"),
        (
            "/",
            "expected the paths that nix needs, not the whole file system; to allow that, use --no-sandbox",
        ),
    ] {
        let ended = RunningCommand::start(stage.update().args(["--nix-may-read", path])).wait_for_exit(2);
        ended.assert_stderr(&[&format!("'{path}' for '--nix-may-read <PATH>': {error}")]);
    }
    run(stage.update().args(["--nix-may-read", "/etc/hosts", "--no-sandbox"]), 2)
        .assert_stderr(&["cannot be used with"]);
}
