//! Credentials reach git and nix, and are in no list of processes: every command line is written down on the way.

use crate::build::repository_with_flake;
use crate::common::{Broker, HostBuilder, Wire, operator};
use crate::own_store::{CONFIGURATION, own_store};
use crate::server::Server;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// What [`Server::locked`] wants.
const USER: &str = "deploy";
const PASSWORD: &str = "s3cret-w0rd";

/// A rebuild program that builds, and writes down its own command line and that of the process above it.
const REBUILD: &str = r#"
echo "$0 $*" >> $DIR/command-lines
tr '\0' ' ' < /proc/$PPID/cmdline >> $DIR/command-lines
echo '@homelab-deploy {"phase":"build"}'
flake=${3%%#*} host=${3##*#}
result=$(nix --extra-experimental-features 'nix-command flakes' build --no-link --json --log-format internal-json \
    "$flake#nixosConfigurations.$host.config.system.build.toplevel") || exit 1
echo "the password is s3cret-w0rd, as any careless script may print it"
"#;

/// Writes down each command line of nix, and of git with all that it starts.
struct Recorder {
    folder: TempDir,
}

impl Recorder {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let (nix, log) = (folder.path().join("nix"), folder.path().join("nix-calls"));
        let found = std::env::split_paths(&std::env::var_os("PATH").unwrap())
            .map(|folder| folder.join("nix"))
            .find(|path| path.is_file())
            .expect("nix on the PATH");
        let script =
            format!("#!/bin/sh\necho \"nix $*\" >> '{}'\nexec '{}' \"$@\"\n", log.display(), found.display());
        fs::write(&nix, script).unwrap();
        fs::set_permissions(&nix, fs::Permissions::from_mode(0o755)).unwrap();
        Self { folder }
    }

    /// A service that calls these programs, with a nix of its own.
    fn around(&self, service: HostBuilder) -> HostBuilder {
        let path = format!("{}:{}", self.folder.path().display(), std::env::var("PATH").unwrap());
        let trace = self.folder.path().join("git-calls").display().to_string();
        // git itself would leave the passwords out.
        let service =
            service.env("PATH", &path).env("GIT_TRACE2_EVENT", &trace).env("GIT_TRACE2_REDACT", "0");
        let own_store = own_store(self.folder.path());
        let service = own_store
            .iter()
            .fold(service, |service, (name, value)| service.env(name, value.to_str().unwrap()));
        service.env("NIX_CONFIG", CONFIGURATION)
    }

    /// What was written down of nix, and of git.
    fn calls(&self) -> [String; 2] {
        ["nix-calls", "git-calls"].map(|name| fs::read_to_string(self.folder.path().join(name)).unwrap())
    }

    /// No command line holds the password, and there were some that could.
    fn is_clean(&self) {
        let [nix, git] = self.calls();
        assert!(nix.contains("nixosConfigurations"), "{nix}");
        assert!(git.contains("remote-http"), "{git}");
        for call in nix.lines().chain(git.lines()) {
            assert!(!call.contains(PASSWORD), "{call}");
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        // What nix puts into a store is read-only.
        let _ = std::process::Command::new("chmod").args(["-R", "u+w"]).arg(self.folder.path()).status();
    }
}

/// `git+http://USERINFO@HOST/infra.git`
fn flake(server: &Server, userinfo: &str) -> String {
    format!("git+http://{userinfo}{}/infra.git", server.host())
}

/// Deploys and gives the last report.
fn deploy(broker: &Broker) -> Value {
    let mut deploy = operator(broker, "tester");
    let output = deploy.args(["deploy", "web1", "--branch", "main", "--output", "json"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    last["value"]["hosts"][0]["report"].clone()
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, mut all): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir() && !path.is_symlink());
    all.extend(folders.iter().flat_map(|folder| files(folder)));
    all
}

/// No file holds the password.
fn nothing_saved(folder: &Path) {
    for file in files(folder).into_iter().filter(|file| file.is_file()) {
        let text = String::from_utf8_lossy(&fs::read(&file).unwrap()).into_owned();
        assert!(!text.contains(PASSWORD), "{}: {text}", file.display());
    }
}

/// Deploys from a locked remote through a rebuild program.
fn deploys_in_secret(userinfo: &str, more: impl FnOnce(HostBuilder, &Server) -> HostBuilder) -> Value {
    let repository = repository_with_flake("web1");
    repository.commit("main-1");
    repository.push();
    let server = Server::locked(repository.remotes());
    let (broker, recorder) = (Broker::start(), Recorder::new());
    let service = HostBuilder::new(&broker, "web1", "test", "web").script(REBUILD);
    let service = more(service.flake(&flake(&server, userinfo)), &server);
    let host = recorder.around(service).start();
    let report = deploy(&broker);
    assert_eq!(report["status"], "completed", "{report}");
    recorder.is_clean();
    let ours = fs::read_to_string(host.file("command-lines")).unwrap();
    assert!(ours.contains("activation supervise") && !ours.contains(PASSWORD), "{ours}");
    nothing_saved(&host.file("state"));
    let hosts = operator(&broker, "tester").args(["hosts", "--output", "json"]).output().unwrap();
    serde_json::from_slice(&hosts.stdout).unwrap()
}

#[test]
fn credentials_in_the_flake_url_of_a_listener_are_in_no_command_line() {
    let host = deploys_in_secret(&format!("{USER}:{PASSWORD}@"), |service, _| service);
    let warnings = host["host"]["answer"]["warnings"].to_string();
    assert!(warnings.contains("--flake-credentials"), "{host}");
}

#[test]
fn a_builder_hands_the_credentials_of_a_url_on_in_secret() {
    builds_in_secret(&format!("{USER}:{PASSWORD}@"), |service, _| service);
}

/// Builds from a locked remote.
fn builds_in_secret(userinfo: &str, more: impl FnOnce(HostBuilder, &Server) -> HostBuilder) {
    let repository = repository_with_flake("web1");
    repository.commit("main-1");
    repository.push();
    let server = Server::locked(repository.remotes());
    let (broker, recorder) = (Broker::start(), Recorder::new());
    let url = flake(&server, userinfo);
    let config = format!("[repos.infra]\nurl = {url:?}\ndefault_branch = \"main\"\n");
    let service = more(HostBuilder::builder(&broker, &config).args(&["--no-sandbox"]), &server);
    let builder = recorder.around(service).start();
    let admin = Wire::connect(&broker, "admin");
    let reports = admin.listen("build.responses.b-1");
    admin.say("build.web1", &json!({"target": "web1", "reply_to": "build.responses.b-1"}));
    let report = reports.verdict();
    assert_eq!(report["status"], "completed", "{report}");
    recorder.is_clean();
    nothing_saved(&builder.file("state"));
}

/// A file of credentials for the server.
fn credentials(folder: &Path, server: &Server) -> String {
    let file = folder.join("credentials");
    let host = server.host();
    let (host, _) = host.split_once(':').unwrap();
    fs::write(&file, format!("# for the fleet\nmachine {host}\n  login {USER} password \"{PASSWORD}\"\n"))
        .unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    file.display().to_string()
}

#[test]
fn a_file_of_credentials_opens_the_repository_of_a_listener() {
    let folder = TempDir::new().unwrap();
    let host = deploys_in_secret("", |service, server| {
        service.args(&["--flake-credentials", &credentials(folder.path(), server)])
    });
    assert!(host["host"]["answer"]["warnings"].is_null(), "{host}");
}

#[test]
fn a_file_of_credentials_opens_the_repositories_of_a_builder() {
    let folder = TempDir::new().unwrap();
    builds_in_secret("", |service, server| {
        service.args(&["--flake-credentials", &credentials(folder.path(), server)])
    });
}

#[test]
fn an_operator_looks_heads_up_with_the_credentials_of_the_context() {
    let repository = repository_with_flake("web1");
    repository.commit("main-1");
    repository.push();
    let server = Server::locked(repository.remotes());
    let broker = Broker::start();
    let _host = HostBuilder::new(&broker, "web1", "test", "web")
        .flake(&flake(&server, &format!("{USER}:{PASSWORD}@")))
        .start();
    assert_eq!(deploy(&broker)["status"], "completed");
    let config = broker.folder().join("config/tester/homelab-deploy");
    fs::create_dir_all(&config).unwrap();
    let allowed = flake(&server, "");
    let text =
        format!("context = \"home\"\n[contexts.home]\nbranch = \"main\"\nallowed_flakes = [\"{allowed}\"]\n");
    fs::write(config.join("config.toml"), &text).unwrap();
    let mut outdated = operator(&broker, "tester");
    let ended = outdated.args(["hosts", "--outdated"]).output().unwrap();
    assert!(String::from_utf8_lossy(&ended.stdout).contains("could not read Username"), "{ended:?}");
    credentials(&config, &server);
    fs::write(config.join("config.toml"), format!("{text}flake_credentials = \"credentials\"\n")).unwrap();
    let trace = broker.folder().join("git-calls");
    let mut outdated = operator(&broker, "tester");
    outdated.env("GIT_TRACE2_EVENT", &trace).env("GIT_TRACE2_REDACT", "0");
    let ended = outdated.args(["hosts", "--outdated"]).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(!said.contains("could not"), "{ended:?}");
    let calls = fs::read_to_string(trace).unwrap();
    assert!(calls.contains("remote-http") && !calls.contains(PASSWORD), "{calls}");
}
