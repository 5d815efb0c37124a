//! A home, a NATS server and two hosts in one temporary directory, in which the commands of a page are run.

use crate::common::{Repo, RunningCommand, Terminal, TestDir, binary, eventually, run};
use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A stand-in for `ssh` and `scp`: each host is a directory instead of a machine. `ssh` runs a command in it, `scp` copies a file
/// into it.
const REMOTE: &str = r#"#!/bin/sh -e
case $(basename "$0") in
  ssh)
    host=${1#root@}; shift
    mkdir -p "$HOME/hosts/$host/etc"
    eval "$(echo "$*" | sed "s#/etc/#$HOME/hosts/$host/etc/#g")" ;;
  scp)
    to=${2#root@}
    cp -p "$1" "$HOME/hosts/${to%%:*}${to#*:}" ;;
esac
"#;
/// A stand-in for `nixos-rebuild`.
const REBUILD: &str = "#!/bin/sh\necho '@homelab-deploy {\"phase\":\"build\"}'\necho \"building $3\"\n\
                       echo '@homelab-deploy {\"phase\":\"activate\"}'\necho activating\n";

/// The temporary home.
pub(crate) struct TestHome {
    directory: TestDir,
    repo: Repo,
    port: Option<u16>,
    /// Listeners before the server, because they are ended in this order.
    services: Vec<Service>,
}

struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl TestHome {
    pub(crate) fn new() -> Self {
        let directory = TestDir::new();
        let repo = Repo::new();
        repo.git(&["switch", "--quiet", "--orphan", "main"]);
        repo.commit("flake.nix", "{ outputs = _: { }; }");
        let at = |name: &str| directory.path().join(name);
        fs::create_dir(at("bin")).unwrap();
        symlink(binary(), at("bin/homelab-deploy")).unwrap();
        for (name, script) in [("ssh", REMOTE), ("scp", REMOTE), ("nixos-rebuild", REBUILD)] {
            let file = at("bin").join(name);
            fs::write(&file, script).unwrap();
            fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        Self { directory, repo, port: None, services: Vec::new() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// A text of the page with names that exist here. Nothing else differs from the page:
    ///
    /// | on the page | here |
    /// |---|---|
    /// | `0.0.0.0:4222`, where the server listens | a free port of the loopback address |
    /// | `nats.example.org:4222` | that port |
    /// | the repository on `git.example.org` | one in a temporary directory |
    /// | a NixOS host that builds and activates | `--rebuild-command` and a script |
    /// | `ssh` and `scp` to a host | a directory for each host ([`REMOTE`]) |
    /// | `U…` in the fleet file | the printed keys ([`TestHome::keys`]) |
    pub(crate) fn substitute(&self, text: &str) -> String {
        let port = self.port.unwrap_or_default();
        let flake = "git+https://git.example.org/fleet.git";
        let rebuild = self.path().join("bin/nixos-rebuild");
        text.replace("\"0.0.0.0:4222\"", "\"127.0.0.1:-1\"")
            .replace("nats.example.org:4222", &format!("127.0.0.1:{port}"))
            .replace(flake, &format!("{} --rebuild-command {}", self.repo.url(), rebuild.display()))
    }

    /// A shell in the home, which starts in the directory in which the previous one ended.
    fn shell(&self, script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        let script = format!("cd \"$(cat ~/.cwd)\"\n{}\npwd > ~/.cwd\n", self.substitute(script));
        command.args(["-e", "-c", &script]);
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .env_clear()
            .env("HOME", self.path())
            .env("PATH", format!("{}:{path}:/usr/sbin", self.path().join("bin").display()))
            .env("USER", "admin")
            .env("LANG", "C.UTF-8")
            .current_dir(self.path())
            .stdin(Stdio::null());
        if !self.path().join(".cwd").exists() {
            fs::write(self.path().join(".cwd"), self.path().to_str().unwrap()).unwrap();
        }
        command
    }

    /// Runs commands, which must all succeed; returns their output.
    pub(crate) fn run(&self, script: &str) -> String {
        run(&mut self.shell(script), 0).stdout
    }

    /// A command in a terminal.
    pub(crate) fn terminal(&self, script: &str) -> Terminal {
        let shell = self.shell(script);
        // The pseudo-terminal passes on the variables of this process, so `env -i` removes them.
        let mut command = Command::new("env");
        command.args(["-i", "TERM=xterm-256color"]).current_dir(self.path());
        for (name, value) in shell.get_envs() {
            let mut pair = name.to_owned();
            pair.push("=");
            pair.push(value.unwrap_or_default());
            command.arg(pair);
        }
        Terminal::start(command.arg(shell.get_program()).args(shell.get_args()))
    }

    /// Writes a file of the page.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let name = name.strip_prefix("~/").expect("a file of the home");
        fs::write(self.path().join(name), self.substitute(text)).unwrap();
    }

    /// Starts the NATS server and reads its port.
    pub(crate) fn start_server(&mut self, script: &str) {
        let log = fs::File::create(self.path().join("nats.log")).unwrap();
        let ports = self.path().join("ports");
        fs::create_dir(&ports).unwrap();
        let command = format!("exec {} --ports_file_dir {}", script.trim(), ports.display());
        let child = self.shell(&command).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let file = ports.join(format!("nats-server_{}.ports", child.id()));
        self.services.push(Service(child));
        self.port = Some(eventually("the NATS server starting", || {
            let ports: serde_json::Value = serde_json::from_slice(&fs::read(&file).ok()?).ok()?;
            ports["nats"][0].as_str()?.rsplit(':').next()?.parse().ok()
        }));
    }

    /// Starts the listener of a host, and waits until it is connected.
    pub(crate) fn start_listener(&mut self, host: &str, script: &str) {
        let directory = self.host(host);
        let script = script.replace("/etc/", &format!("{}/etc/", directory.display()));
        let mut command = self.shell(&format!("exec {script}"));
        command.env("STATE_DIRECTORY", directory.join("state")).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        self.services.insert(0, Service(child));
        let mut seen = Vec::new();
        while seen.last().is_none_or(|line: &String| !line.contains("\"msg\":\"connected\"")) {
            let line = log.next().unwrap_or_else(|| panic!("{host} does not connect:\n{}", seen.join("\n")));
            seen.push(line.unwrap());
        }
        // A full pipe would block the listener.
        std::thread::spawn(move || log.count());
    }

    /// The directory of a host.
    pub(crate) fn host(&self, host: &str) -> PathBuf {
        self.path().join("hosts").join(host)
    }

    /// Runs `keys new` commands; returns the printed public keys by the section of the printed entry.
    pub(crate) fn keys(&self, script: &str) -> HashMap<String, String> {
        let ended = RunningCommand::start(&mut self.shell(script)).wait_for_exit(0);
        let sections = ended.stderr.lines().filter(|line| line.starts_with('['));
        sections.map(str::to_owned).zip(ended.stdout.lines().map(str::to_owned)).collect()
    }
}
