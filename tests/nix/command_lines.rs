//! Credentials reach git and nix, but never in arguments. All command lines are recorded.

use crate::build::repository_with_flake;
use crate::common::{HostBuilder, NatsServer, RawClient, TestDir, operator};
use crate::own_store::{CONFIGURATION, own_store};
use crate::server::Server;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// The credentials of [`Server::locked`].
const USER: &str = "deploy";
const PASSWORD: &str = "s3cret-w0rd";

/// A rebuild program that builds, and records its own command line and that of its parent process.
const REBUILD: &str = r#"
echo "$0 $*" >> $DIR/command-lines
tr '\0' ' ' < /proc/$PPID/cmdline >> $DIR/command-lines
echo '@homelab-deploy {"phase":"build"}'
flake=${3%%#*} host=${3##*#}
result=$(nix --extra-experimental-features 'nix-command flakes' build --no-link --json --log-format internal-json \
    "$flake#nixosConfigurations.$host.config.system.build.toplevel") || exit 1
echo "the password is s3cret-w0rd, as any careless script may print it"
"#;

/// Records the command lines of nix, and of git with all its child processes.
struct Recorder {
    dir: TestDir,
}

impl Recorder {
    fn new() -> Self {
        let dir = TestDir::new();
        let (nix, log) = (dir.path().join("nix"), dir.path().join("nix-calls"));
        let found = std::env::split_paths(&std::env::var_os("PATH").unwrap())
            .map(|dir| dir.join("nix"))
            .find(|path| path.is_file())
            .expect("nix on the PATH");
        let script =
            format!("#!/bin/sh\necho \"nix $*\" >> '{}'\nexec '{}' \"$@\"\n", log.display(), found.display());
        fs::write(&nix, script).unwrap();
        fs::set_permissions(&nix, fs::Permissions::from_mode(0o755)).unwrap();
        Self { dir }
    }

    /// Makes a service use the recording programs, and a nix with a separate store.
    fn around(&self, service: HostBuilder) -> HostBuilder {
        let path = format!("{}:{}", self.dir.path().display(), std::env::var("PATH").unwrap());
        let trace = self.dir.path().join("git-calls").display().to_string();
        // Otherwise git redacts passwords in its trace.
        let service =
            service.env("PATH", &path).env("GIT_TRACE2_EVENT", &trace).env("GIT_TRACE2_REDACT", "0");
        let own_store = own_store(self.dir.path());
        let service = own_store
            .iter()
            .fold(service, |service, (name, value)| service.env(name, value.to_str().unwrap()));
        service.env("NIX_CONFIG", CONFIGURATION)
    }

    /// The recorded calls of nix, and of git.
    fn calls(&self) -> [String; 2] {
        ["nix-calls", "git-calls"].map(|name| fs::read_to_string(self.dir.path().join(name)).unwrap())
    }

    /// Asserts that no command line contains the password, and that the relevant calls were recorded.
    fn assert_no_password(&self) {
        let [nix, git] = self.calls();
        assert!(nix.contains("nixosConfigurations"), "{nix}");
        assert!(git.contains("remote-http"), "{git}");
        for call in nix.lines().chain(git.lines()) {
            assert!(!call.contains(PASSWORD), "{call}");
        }
    }
}

/// `git+http://USERINFO@HOST/infra.git`
fn flake(server: &Server, userinfo: &str) -> String {
    format!("git+http://{userinfo}{}/infra.git", server.host())
}

/// Deploys and returns the last report.
fn deploy(nats: &NatsServer) -> Value {
    let mut deploy = operator(nats, "tester");
    let output = deploy.args(["deploy", "web1", "--branch", "main", "--output", "json"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    last["value"]["hosts"][0]["report"].clone()
}

/// All files below a directory.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let (dirs, mut all): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir() && !path.is_symlink());
    all.extend(dirs.iter().flat_map(|dir| files(dir)));
    all
}

/// Asserts that no file contains the password.
fn assert_no_password_in_files(dir: &Path) {
    for file in files(dir).into_iter().filter(|file| file.is_file()) {
        let text = String::from_utf8_lossy(&fs::read(&file).unwrap()).into_owned();
        assert!(!text.contains(PASSWORD), "{}: {text}", file.display());
    }
}

/// Deploys from a password-protected remote with a rebuild program.
fn deploy_without_exposure(userinfo: &str, more: impl FnOnce(HostBuilder, &Server) -> HostBuilder) -> Value {
    let repository = repository_with_flake("web1");
    repository.commit("main-1");
    repository.push();
    let server = Server::locked(repository.remotes());
    let (nats, recorder) = (NatsServer::start(), Recorder::new());
    let service = HostBuilder::new(&nats, "web1", "test", "web").script(REBUILD);
    let service = more(service.flake(&flake(&server, userinfo)), &server);
    let host = recorder.around(service).start();
    let report = deploy(&nats);
    assert_eq!(report["status"], "completed", "{report}");
    recorder.assert_no_password();
    let ours = fs::read_to_string(host.file("command-lines")).unwrap();
    assert!(ours.contains("activation supervise") && !ours.contains(PASSWORD), "{ours}");
    assert_no_password_in_files(&host.file("state"));
    let hosts = operator(&nats, "tester").args(["hosts", "--output", "json"]).output().unwrap();
    serde_json::from_slice(&hosts.stdout).unwrap()
}

#[test]
fn a_listener_does_not_expose_credentials_of_a_url() {
    let host = deploy_without_exposure(&format!("{USER}:{PASSWORD}@"), |service, _| service);
    let warnings = host["host"]["answer"]["warnings"].to_string();
    assert!(warnings.contains("--flake-credentials"), "{host}");
}

#[test]
fn a_builder_does_not_expose_credentials_of_a_url() {
    build_without_exposure(&format!("{USER}:{PASSWORD}@"), |service, _| service);
}

/// Builds from a password-protected remote.
fn build_without_exposure(userinfo: &str, more: impl FnOnce(HostBuilder, &Server) -> HostBuilder) {
    let repository = repository_with_flake("web1");
    repository.commit("main-1");
    repository.push();
    let server = Server::locked(repository.remotes());
    let (nats, recorder) = (NatsServer::start(), Recorder::new());
    let url = flake(&server, userinfo);
    let config = format!("[repos.infra]\nurl = {url:?}\ndefault_branch = \"main\"\n");
    let service = more(HostBuilder::builder(&nats, &config).args(&["--no-sandbox"]), &server);
    let builder = recorder.around(service).start();
    let admin = RawClient::connect(&nats, "admin");
    let reports = admin.subscribe("build.responses.b-1");
    admin.publish("build.web1", &json!({"target": "web1", "reply_to": "build.responses.b-1"}));
    let report = reports.final_report();
    assert_eq!(report["status"], "completed", "{report}");
    recorder.assert_no_password();
    assert_no_password_in_files(&builder.file("state"));
}

/// Writes a credentials file for the server.
fn credentials(dir: &Path, server: &Server) -> String {
    let file = dir.join("credentials");
    let host = server.host();
    let (host, _) = host.split_once(':').unwrap();
    fs::write(&file, format!("# for the fleet\nmachine {host}\n  login {USER} password \"{PASSWORD}\"\n"))
        .unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    file.display().to_string()
}

#[test]
fn a_listener_does_not_expose_credentials_of_a_file() {
    let dir = TestDir::new();
    let host = deploy_without_exposure("", |service, server| {
        service.args(&["--flake-credentials", &credentials(dir.path(), server)])
    });
    assert!(host["host"]["answer"]["warnings"].is_null(), "{host}");
}

#[test]
fn a_builder_does_not_expose_credentials_of_a_file() {
    let dir = TestDir::new();
    build_without_exposure("", |service, server| {
        service.args(&["--flake-credentials", &credentials(dir.path(), server)])
    });
}

#[test]
fn an_operator_looks_up_heads_with_the_credentials_of_the_context() {
    let repository = repository_with_flake("web1");
    repository.commit("main-1");
    repository.push();
    let server = Server::locked(repository.remotes());
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web")
        .flake(&flake(&server, &format!("{USER}:{PASSWORD}@")))
        .start();
    assert_eq!(deploy(&nats)["status"], "completed");
    let config = nats.dir().join("config/tester/homelab-deploy");
    fs::create_dir_all(&config).unwrap();
    let allowed = flake(&server, "");
    let text =
        format!("context = \"home\"\n[contexts.home]\nbranch = \"main\"\nallowed_flakes = [\"{allowed}\"]\n");
    fs::write(config.join("config.toml"), &text).unwrap();
    let mut outdated = operator(&nats, "tester");
    let ended = outdated.args(["hosts", "--outdated"]).output().unwrap();
    assert!(String::from_utf8_lossy(&ended.stdout).contains("could not read Username"), "{ended:?}");
    credentials(&config, &server);
    fs::write(config.join("config.toml"), format!("{text}flake_credentials = \"credentials\"\n")).unwrap();
    let trace = nats.dir().join("git-calls");
    let mut outdated = operator(&nats, "tester");
    outdated.env("GIT_TRACE2_EVENT", &trace).env("GIT_TRACE2_REDACT", "0");
    let ended = outdated.args(["hosts", "--outdated"]).output().unwrap();
    let message = String::from_utf8_lossy(&ended.stdout);
    assert!(!message.contains("could not"), "{ended:?}");
    let calls = fs::read_to_string(trace).unwrap();
    assert!(calls.contains("remote-http") && !calls.contains(PASSWORD), "{calls}");
}
