//! The setup of the engine's tests: a docker daemon, a NATS server, a repository, and the listener of `web1`.

use crate::common::{Host, HostBuilder, NatsServer, RawClient, RawSubscription, Repo, TestDir, eventually};
use crate::daemon::Daemon;
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;

/// A host with Docker Compose.
pub(crate) struct Stage {
    pub(crate) wire: RawClient,
    pub(crate) host: Host,
    pub(crate) nats: NatsServer,
    pub(crate) daemon: Daemon,
    pub(crate) repo: Repo,
    pub(crate) root: TestDir,
}

/// A host that has not started.
pub(crate) struct StageBuilder {
    pub(crate) daemon: Daemon,
    pub(crate) repo: Repo,
    pub(crate) root: TestDir,
}

/// A service whose container sleeps; `more` is added to its service of the Compose file.
pub(crate) fn sleeper(image: &str, more: &str) -> String {
    let lines = more.lines().map(|line| format!("    {line}\n")).collect::<Vec<_>>().concat();
    format!(
        "services:\n  app:\n    image: {image}\n    init: true\n    network_mode: none\n    restart: unless-stopped\n    \
         stop_grace_period: 0s\n    command: [sleep, '1000']\n{lines}"
    )
}

/// A health check that runs this command.
pub(crate) fn checked(command: &str) -> String {
    format!("healthcheck: {{ test: [CMD, {command}], interval: 300ms, timeout: 5s, retries: 2 }}")
}

impl StageBuilder {
    /// A repository with these services of `web1`, each with this Compose file.
    pub(crate) fn new(services: &[(&str, &str)]) -> Option<Self> {
        let stage = Self { daemon: Daemon::start()?, repo: Repo::new(), root: TestDir::new() };
        write_services(&stage.repo, services);
        Some(stage)
    }

    /// Starts the listener with these flags added.
    pub(crate) fn start(self, args: &[&str]) -> Stage {
        self.start_with(|host| host.args(args))
    }

    /// Starts the listener as `adapt` configures it.
    pub(crate) fn start_with(self, adapt: impl FnOnce(HostBuilder) -> HostBuilder) -> Stage {
        let Self { daemon, repo, root } = self;
        let nats = NatsServer::start();
        let wire = RawClient::connect(&nats, "tester");
        let presence = wire.subscribe("deploy.responses.presence");
        let (url, here) = (repo.url(), root.path().display().to_string());
        let mut host = HostBuilder::new(&nats, "web1", "test", "web")
            .without("--rebuild-command")
            .without("--flake-url")
            .args(&["--engine", "compose", "--repo-url", &url, "--compose-root", &here]);
        host = adapt(host);
        for (name, value) in daemon.environment() {
            host = host.env(name, &value);
        }
        let host = host.start();
        presence.next();
        Stage { wire, host, nats, daemon, repo, root }
    }
}

fn write(repo: &Repo, path: &str, content: &str) {
    let path = repo.path().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn write_services(repo: &Repo, services: &[(&str, &str)]) {
    let list = services.iter().map(|(name, _)| format!("  {name}:\n")).collect::<Vec<_>>().concat();
    for (name, compose) in services {
        write(repo, &format!("services/{name}/docker-compose.yml"), compose);
    }
    write(repo, "inventory/topology.yaml", "nodes:\n  web1: { role: home }\n");
    write(repo, "hosts/web1.yaml", &format!("services:\n{list}"));
    repo.commit("README", "the fleet");
}

impl Stage {
    /// The listener with these services, not deployed yet.
    pub(crate) fn new(services: &[(&str, &str)]) -> Option<Self> {
        Self::with(services, &[])
    }

    /// The listener with these flags added.
    pub(crate) fn with(services: &[(&str, &str)], args: &[&str]) -> Option<Self> {
        Some(StageBuilder::new(services)?.start(args))
    }

    /// Changes files of the repository, and returns the commit.
    pub(crate) fn commit(&self, files: &[(&str, &str)]) -> String {
        for (path, content) in files {
            write(&self.repo, path, content);
        }
        let title = files.iter().map(|(path, _)| *path).collect::<Vec<_>>().join(", ");
        self.repo.commit("CHANGES", &format!("change {title} {}", uuid::Uuid::now_v7()))
    }

    /// Writes a file of the host for a service.
    pub(crate) fn write_config(&self, service: &str, name: &str, content: &str) {
        let dir = self.root.path().join("config").join(service);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join(name), content).unwrap();
    }

    /// Sends a request to switch to `master`, changed by `fields`, and returns its reports.
    pub(crate) fn send(&self, id: &str, fields: Value) -> RawSubscription {
        let reply_to = format!("deploy.responses.{id}");
        let reports = self.wire.subscribe(&reply_to);
        let mut request = json!({"action": "switch", "revision": "master", "reply_to": reply_to});
        let Value::Object(fields) = fields else { panic!("fields are an object") };
        for (name, value) in fields {
            request[name] = value;
        }
        self.wire.publish("deploy.test.web1", &request);
        reports
    }

    /// Returns the final report of a request.
    pub(crate) fn deploy(&self, id: &str, fields: Value) -> Value {
        self.send(id, fields).final_report()
    }

    /// Deploys and expects success.
    pub(crate) fn completes(&self, id: &str) -> Value {
        let report = self.deploy(id, json!({}));
        assert_eq!(report["status"], "completed", "{report:#}\n{}", self.log(id));
        report
    }

    /// Deploys and expects this error, with a message that contains `part`.
    pub(crate) fn fails(&self, id: &str, error: &str, part: &str) -> Value {
        let report = self.deploy(id, json!({}));
        assert_eq!(report["error"], error, "{report:#}\n{}", self.log(id));
        let message = report["message"].as_str().unwrap();
        assert!(message.contains(part), "{message}\n{}", self.log(id));
        report
    }

    /// A file of a job in the state directory.
    pub(crate) fn job_file(&self, id: &str, name: &str) -> PathBuf {
        self.host.file("state/jobs").join(id).join(name)
    }

    /// The log of a job so far.
    pub(crate) fn log(&self, id: &str) -> String {
        fs::read_to_string(self.job_file(id, "log")).unwrap_or_default()
    }

    /// Waits until the log of a job has a line with this text.
    pub(crate) fn wait_for_line(&self, id: &str, text: &str) {
        eventually(text, || self.log(id).contains(text).then_some(()));
    }

    /// The only container of a service.
    pub(crate) fn container(&self, service: &str) -> String {
        let all = self.daemon.containers(service);
        assert_eq!(all.len(), 1, "{service}: {all:?}");
        all[0].clone()
    }

    /// The image id of the only container of a service.
    pub(crate) fn image(&self, service: &str) -> String {
        self.daemon.inspect(&self.container(service), "{{.Image}}")
    }

    /// The status of the only container of a service.
    pub(crate) fn status(&self, service: &str) -> String {
        self.daemon.inspect(&self.container(service), "{{.State.Status}}")
    }

    /// Kills the listener and starts it again.
    pub(crate) fn restart(&mut self) {
        self.host.kill();
        self.host.restart();
    }
}

/// The phases of a report, each with its state.
pub(crate) fn phases(report: &Value) -> Vec<String> {
    let phase =
        |phase: &Value| format!("{}: {}", phase["name"].as_str().unwrap(), phase["state"].as_str().unwrap());
    report["phases"].as_array().unwrap().iter().map(phase).collect()
}

/// The components of a report, each with its state.
pub(crate) fn components(report: &Value) -> Vec<String> {
    let component = |component: &Value| {
        format!("{}: {}", component["name"].as_str().unwrap(), component["state"].as_str().unwrap())
    };
    report["components"].as_array().into_iter().flatten().map(component).collect()
}
