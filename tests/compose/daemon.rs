//! A private docker daemon with its own network, mounts and processes.

use crate::common::{SmallDisk, TestDir, binary, eventually, kill_tree};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The programs of busybox that containers and health checks use.
const APPLETS: [&str; 8] = ["sh", "sleep", "cat", "echo", "true", "false", "test", "touch"];

/// A daemon that ends when it is dropped, with all its containers.
pub(crate) struct Daemon {
    dir: TestDir,
    /// What it sees as `/opt`, if not that of this machine.
    opt: Option<PathBuf>,
    process: Child,
}

impl Daemon {
    /// Starts a daemon with the images `bb:1` and `bb:2`. Prints why if this machine cannot run one.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(None)
    }

    /// Starts a daemon for a host in a container, with which it shares this directory as `/opt`.
    pub(crate) fn sharing_opt(opt: &Path) -> Option<Self> {
        Self::start_with(Some(opt.to_owned()))
    }

    /// Starts a daemon whose data are on a small disk of this size in MiB. The disk must be dropped after the daemon.
    pub(crate) fn on_small_disk(mib: u64) -> Option<(Self, SmallDisk)> {
        let dir = TestDir::new();
        let disk = SmallDisk::mount(&dir.path().join("root"), mib)?;
        Some((Self::start_in(dir, None)?, disk))
    }

    fn start_with(opt: Option<PathBuf>) -> Option<Self> {
        Self::start_in(TestDir::new(), opt)
    }

    #[expect(clippy::print_stdout, reason = "shows that the test checked nothing")]
    fn start_in(dir: TestDir, opt: Option<PathBuf>) -> Option<Self> {
        if let Some(missing) = missing() {
            println!("NOT RUN: {missing}");
            return None;
        }
        let process = launch(dir.path(), opt.as_deref());
        let daemon = Self { dir, opt, process };
        daemon.wait_until_ready();
        daemon.import("bb:1");
        daemon.import("bb:2");
        Some(daemon)
    }

    fn wait_until_ready(&self) {
        eventually("the start of dockerd", || {
            let version = self.command(&["version"]).output().unwrap();
            version.status.success().then_some(())
        });
    }

    /// Ends the daemon with all its containers, as a power cut does.
    pub(crate) fn kill(&mut self) {
        kill_tree(&mut self.process);
    }

    /// Starts the daemon again with the same data.
    pub(crate) fn restart(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(self.dir.path().join("exec"));
        let _ = fs::remove_file(self.dir.path().join("pid"));
        self.process = launch(self.dir.path(), self.opt.as_deref());
        self.wait_until_ready();
    }

    /// The environment of programs that use this daemon.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        let mut variables = vec![("DOCKER_HOST", format!("unix://{}", self.socket().display()))];
        if let Some(config) = docker_config() {
            variables.push(("DOCKER_CONFIG", config.display().to_string()));
        }
        variables
    }

    /// The socket of the daemon.
    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("docker.sock")
    }

    /// The plugin of docker that is Compose.
    pub(crate) fn compose_plugin(&self) -> PathBuf {
        let format = "{{range .ClientInfo.Plugins}}{{if eq .Name \"compose\"}}{{.Path}}{{end}}{{end}}";
        PathBuf::from(self.docker(&["info", "--format", format]))
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command.args(args).envs(self.environment()).stdin(Stdio::null());
        command
    }

    /// Runs docker and returns its output.
    pub(crate) fn docker(&self, args: &[&str]) -> String {
        let output = self.command(args).output().unwrap();
        assert!(output.status.success(), "docker {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Imports a new image of this name: another id, the same content.
    pub(crate) fn import(&self, name: &str) -> String {
        let tree = TestDir::new_in(self.dir.path());
        let bin = tree.path().join("bin");
        fs::create_dir(&bin).unwrap();
        fs::copy(busybox().unwrap(), bin.join("busybox")).unwrap();
        for applet in APPLETS {
            symlink("busybox", bin.join(applet)).unwrap();
        }
        fs::write(tree.path().join("name"), name).unwrap();
        let tar = self.dir.path().join(format!("{}.tar", name.replace([':', '/'], "-")));
        let status = Command::new("tar").arg("-cf").arg(&tar).arg("-C").arg(tree.path()).arg(".").status();
        assert!(status.unwrap().success());
        let id = self.docker(&["import", "--change", "CMD [\"/bin/sh\"]", tar.to_str().unwrap(), name]);
        fs::remove_file(tar).unwrap();
        id
    }

    /// The ids of a project's containers, running or not.
    pub(crate) fn containers(&self, project: &str) -> Vec<String> {
        let filter = format!("label=com.docker.compose.project={project}");
        let ids = self.docker(&["ps", "--all", "--no-trunc", "--quiet", "--filter", &filter]);
        ids.lines().map(str::to_owned).collect()
    }

    /// Leaves what a Compose does that is killed while it replaces the only container of a project: the old one is stopped, and the new
    /// one has its labels, another name and was never started. Returns that name.
    pub(crate) fn leave_behind(&self, project: &str) -> String {
        let old = self.containers(project).remove(0);
        let labels = self.inspect(&old, "{{range $k, $v := .Config.Labels}}--label={{$k}}={{$v}}\n{{end}}");
        let name = format!("{}_{project}-app-1", &old[..12]);
        let mut create = vec!["create", "--name", &name, "--network", "none"];
        create.extend(labels.lines().filter(|line| !line.is_empty()));
        create.extend(["bb:1", "sleep", "1000"]);
        self.docker(&create);
        self.docker(&["stop", "--time", "0", &old]);
        name
    }

    /// A field of a container or image, as a Go template.
    pub(crate) fn inspect(&self, id: &str, format: &str) -> String {
        self.docker(&["inspect", "--format", format, id])
    }
}

/// The containers that are created while it runs.
pub(crate) struct CreatedContainers {
    process: Child,
    path: PathBuf,
}

impl Daemon {
    /// Starts to record which projects create containers.
    pub(crate) fn watch_created(&self) -> CreatedContainers {
        let path = self.dir.path().join(format!("created-{}", uuid::Uuid::now_v7()));
        let output = fs::File::create(&path).unwrap();
        let format =
            "{{index .Actor.Attributes \"com.docker.compose.project\"}} {{.Actor.Attributes.marker}}";
        let args = ["events", "--filter", "event=create", "--filter", "type=container", "--format", format];
        let process = self.command(&args).stdout(output).spawn().unwrap();
        let watch = CreatedContainers { process, path };
        // docker prints nothing when it has subscribed, so containers are created until one of them appears.
        eventually("the first event", || {
            self.mark();
            (!fs::read_to_string(&watch.path).unwrap().is_empty()).then_some(())
        });
        watch
    }

    fn mark(&self) {
        let id = self.docker(&["create", "--label", "marker=marker", "--network", "none", "bb:1"]);
        self.docker(&["rm", &id]);
    }
}

impl CreatedContainers {
    /// Ends the recording and returns the project of each created container, sorted.
    pub(crate) fn end(mut self, daemon: &Daemon) -> Vec<String> {
        let marks = |path: &Path| {
            fs::read_to_string(path).unwrap().lines().filter(|line| line.ends_with("marker")).count()
        };
        let before = marks(&self.path);
        daemon.mark();
        eventually("the last event", || (marks(&self.path) > before).then_some(()));
        kill_tree(&mut self.process);
        let text = fs::read_to_string(&self.path).unwrap();
        let mut projects: Vec<_> = text
            .lines()
            // Those of no project are ours, and the one that reserves space.
            .filter(|line| !line.starts_with(' '))
            .map(|line| line.split(' ').next().unwrap().to_owned())
            .collect();
        projects.sort();
        projects
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

fn launch(dir: &Path, opt: Option<&Path>) -> Child {
    let here = dir.display();
    let share = opt.map(|opt| format!("mount --bind {} /opt && ", opt.display())).unwrap_or_default();
    let daemon = format!(
        "{share}ip link set lo up && exec dockerd --data-root {here}/root --exec-root {here}/exec --pidfile {here}/pid \
         --iptables=false --ip6tables=false --bridge=none -H unix://{here}/docker.sock"
    );
    let log = fs::OpenOptions::new().create(true).append(true).open(dir.join("log")).unwrap();
    // containerd and runc leave files there.
    let temporary = dir.join("tmp");
    fs::create_dir_all(&temporary).unwrap();
    let options = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c"];
    Command::new("unshare")
        .args(options)
        .arg(daemon)
        .env("TMPDIR", temporary)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// The configuration directory with Compose as a plugin, if `scripts/compose2` has made one.
fn docker_config() -> Option<PathBuf> {
    let target = binary().ancestors().nth(2)?;
    Some(target.join("docker-config")).filter(|config| config.join("cli-plugins/docker-compose").exists())
}

fn busybox() -> Option<PathBuf> {
    ["/bin/busybox", "/usr/bin/busybox"].map(PathBuf::from).into_iter().find(|path| path.exists())
}

/// What this machine lacks.
fn missing() -> Option<&'static str> {
    if !rustix::process::geteuid().is_root() {
        return Some("only root can start a docker daemon");
    }
    if Command::new("dockerd").arg("--version").output().is_err() {
        return Some("dockerd is not installed");
    }
    if busybox().is_none() {
        return Some("busybox is not installed");
    }
    let mut compose = Command::new("docker");
    if let Some(config) = docker_config() {
        compose.env("DOCKER_CONFIG", config);
    }
    let has_compose =
        compose.args(["compose", "version"]).output().is_ok_and(|output| output.status.success());
    (!has_compose).then_some("Docker Compose 2 is not installed")
}
