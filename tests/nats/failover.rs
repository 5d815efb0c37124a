//! Servers of a cluster are killed during a deployment, and nothing is lost.

use crate::cluster::Cluster;
use crate::common::{Gate, Host, HostBuilder, RunningCommand, WAIT, operator};
use std::fs;
use std::process::Command;

const LISTENER: &str = "homelab-deploy listener web1";
const OPERATOR: &str = "homelab-deploy";

/// A deployment of `web1` whose build waits, with the listener and the operator on different nodes, and a reader of the
/// log on the operator's node.
struct Failover {
    cluster: Cluster,
    host: Host,
    gate: Gate,
    /// The node of the listener.
    theirs: usize,
    /// The node of the operator and the reader.
    ours: usize,
    deploy: RunningCommand,
    reader: RunningCommand,
}

impl Failover {
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
        let start = |command: &mut Command, args: &[&str]| RunningCommand::start(command.args(args));
        let mut deploy = start(&mut command(cluster.urls(&Cluster::others(theirs))), &["deploy", "web1"]);
        deploy.wait_for_line("web1  build");
        let ours = cluster.node_of(OPERATOR);
        // One server of a cluster is sufficient to discover the others.
        let mut reader = start(&mut command(cluster.urls(&[ours])), &["logs", "web1", "--follow"]);
        reader.wait_for_line("one");
        assert_ne!(ours, theirs);
        Self { cluster, host, gate, theirs, ours, deploy, reader }
    }

    /// Lets the build finish; the result and the complete log must arrive.
    fn finish(mut self) {
        self.gate.pass();
        let done = self.deploy.wait_for_exit(0);
        assert!(done.stdout.contains("\nweb1  completed"), "{done}");
        let read = self.reader.wait_for_exit(0).stdout;
        self.host.wait_for_log("job completed");
        let job = fs::read_dir(self.host.file("state/jobs")).unwrap().next().unwrap().unwrap();
        assert_eq!(read, fs::read_to_string(job.path().join("log")).unwrap());
        assert!(read.ends_with("\none\ntwo\nthree\n"), "{read}");
    }
}

#[test]
fn the_server_of_the_listener_dies() {
    let mut scene = Failover::new();
    scene.cluster.stop(scene.theirs);
    scene.host.wait_for_log("not connected");
    // A line that is written while the listener is disconnected.
    scene.gate.pass();
    scene.host.wait_for_log("connected");
    assert_ne!(scene.cluster.node_of(LISTENER), scene.theirs);
    // The next line shows the reader that one is missing, and the reader queries it.
    scene.finish();
}

#[test]
fn the_server_of_the_operator_dies() {
    let mut scene = Failover::new();
    scene.cluster.stop(scene.ours);
    scene.deploy.wait_for_line("note: connection lost; the jobs on the hosts continue");
    scene.gate.pass();
    scene.deploy.wait_for_line("note: reconnected; asking for the current state");
    scene.reader.wait_for_line("two");
    assert_ne!(scene.cluster.node_of(OPERATOR), scene.ours);
    scene.finish();
}

#[test]
fn a_server_that_comes_back_takes_over_from_the_others() {
    let mut scene = Failover::new();
    let first = scene.theirs;
    scene.cluster.stop(first);
    scene.host.wait_for_log("not connected");
    scene.host.wait_for_log("connected");
    scene.cluster.restart(first);
    for node in Cluster::others(first) {
        scene.cluster.stop(node);
    }
    scene.deploy.wait_for_line("note: connection lost");
    scene.gate.pass();
    scene.host.wait_for_log("connected");
    scene.deploy.wait_for_line("note: reconnected");
    assert_eq!(scene.cluster.node_of(LISTENER), first);
    assert_eq!(scene.cluster.node_of(OPERATOR), first);
    scene.reader.wait_for_line("two");
    scene.finish();
}
