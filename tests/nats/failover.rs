//! Servers of a cluster die in the middle of a deployment, and nothing is lost.

use crate::cluster::Cluster;
use crate::common::{Gate, Host, HostBuilder, Running, WAIT, operator};
use std::fs;
use std::process::Command;

const LISTENER: &str = "homelab-deploy listener web1";
const OPERATOR: &str = "homelab-deploy";

/// A deployment of `web1` whose build waits, with a listener and an operator on different nodes, and somebody who reads
/// its log beside the operator.
struct Scene {
    cluster: Cluster,
    host: Host,
    gate: Gate,
    /// The node of the listener.
    theirs: usize,
    /// The node of the operator and of the reader.
    ours: usize,
    deploy: Running,
    reader: Running,
}

impl Scene {
    fn new() -> Self {
        let cluster = Cluster::start();
        let script = format!(
            "echo '@homelab-deploy {{\"phase\":\"build\"}}'\necho one\n{WAIT}\necho two\n{WAIT}\necho three"
        );
        let host = HostBuilder::new(&cluster.nodes[0], "web1", "test", "web")
            .flag("--nats-url", &cluster.urls(&[0, 1, 2]))
            .args(&["--heartbeat-interval", "1"])
            .script(&script)
            .start();
        let gate = Gate::of(&host);
        let theirs = cluster.node_of(LISTENER);
        let command = |urls: String| {
            let mut command = operator(&cluster.nodes[0], "tester");
            command.env("HOMELAB_DEPLOY_NATS_URL", urls);
            command
        };
        let start = |command: &mut Command, args: &[&str]| Running::start(command.args(args));
        let mut deploy = start(&mut command(cluster.urls(&Cluster::others(theirs))), &["deploy", "web1"]);
        deploy.says("web1  build");
        let ours = cluster.node_of(OPERATOR);
        // One server of a cluster is enough to hear of the others.
        let mut reader = start(&mut command(cluster.urls(&[ours])), &["logs", "web1", "--follow"]);
        reader.says("one");
        assert_ne!(ours, theirs);
        Self { cluster, host, gate, theirs, ours, deploy, reader }
    }

    /// Lets the build end; the verdict and the whole log must arrive.
    fn ends(mut self) {
        self.gate.pass();
        let done = self.deploy.ended(0);
        assert!(done.out.contains("\nweb1  completed"), "{done}");
        let read = self.reader.ended(0).out;
        self.host.logged("job completed");
        let job = fs::read_dir(self.host.file("state/jobs")).unwrap().next().unwrap().unwrap();
        assert_eq!(read, fs::read_to_string(job.path().join("log")).unwrap());
        assert!(read.ends_with("\none\ntwo\nthree\n"), "{read}");
    }
}

#[test]
fn the_server_of_the_listener_dies() {
    let mut scene = Scene::new();
    scene.cluster.stop(scene.theirs);
    scene.host.logged("not connected");
    // A line from while nobody can hear it.
    scene.gate.pass();
    scene.host.logged("connected");
    assert_ne!(scene.cluster.node_of(LISTENER), scene.theirs);
    // The reader sees by the next line that one was lost, and asks for it.
    scene.ends();
}

#[test]
fn the_server_of_the_operator_dies() {
    let mut scene = Scene::new();
    scene.cluster.stop(scene.ours);
    scene.deploy.says("note: the connection was lost; what runs on the hosts goes on");
    scene.gate.pass();
    scene.deploy.says("note: connected again; asking what happened meanwhile");
    scene.reader.says("two");
    assert_ne!(scene.cluster.node_of(OPERATOR), scene.ours);
    scene.ends();
}

#[test]
fn a_server_that_comes_back_takes_over_from_the_others() {
    let mut scene = Scene::new();
    let first = scene.theirs;
    scene.cluster.stop(first);
    scene.host.logged("not connected");
    scene.host.logged("connected");
    scene.cluster.restart(first);
    for node in Cluster::others(first) {
        scene.cluster.stop(node);
    }
    scene.deploy.says("note: the connection was lost");
    scene.gate.pass();
    scene.host.logged("connected");
    scene.deploy.says("note: connected again");
    assert_eq!(scene.cluster.node_of(LISTENER), first);
    assert_eq!(scene.cluster.node_of(OPERATOR), first);
    scene.reader.says("two");
    scene.ends();
}
