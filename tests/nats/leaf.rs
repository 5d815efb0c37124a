//! A remote site: its hosts are connected to their own leaf node, and operators to the hub.

use crate::cluster::own_address;
use crate::common::{
    Gate, Host, HostBuilder, NatsServer, RawClient, RunningCommand, eventually, hold_in_phase, operator, run,
};
use crate::monitor::{MONITORED, leaves};
use serde_json::json;
use std::fs;

/// The permissions of a leaf node at the hub, for hosts of tier test.
const USER: &str = r#"users = [
    { user: far, password: s3cret, permissions: {
        publish: { allow: ["deploy.responses.>"] }
        subscribe: { allow: ["deploy.test.>", "deploy.discover"] }
    } }"#;

/// A hub and a leaf node, both with the generated permissions.
struct Site {
    hub: NatsServer,
    leaf: NatsServer,
}

impl Site {
    fn start() -> Self {
        let temp = std::env::temp_dir();
        let address = own_address();
        let listen = |port: &str| format!("{MONITORED}leafnodes {{ listen: \"{address}:{port}\" }}\n");
        let mut hub = NatsServer::configured(&address, &temp, &listen("-1"));
        let log = hub.log();
        let (_, port) = log.split_once(&format!("leafnode connections on {address}:")).expect("a port");
        let port = port.lines().next().unwrap();
        hub.stop();
        let file = hub.dir().join("nats.conf");
        let config = fs::read_to_string(&file).unwrap().replacen("users = [", USER, 1);
        fs::write(file, config.replace(&listen("-1"), &listen(port))).unwrap();
        hub.restart();
        let remote =
            format!("leafnodes {{ remotes: [ {{ url: \"nats-leaf://far:s3cret@{address}:{port}\" }} ] }}");
        let leaf = NatsServer::configured(&own_address(), &temp, &remote);
        let site = Self { hub, leaf };
        site.connected();
        site
    }

    fn connected(&self) {
        eventually("the leaf node connecting", || (leaves(&self.hub) == 1).then_some(()));
    }

    fn remote_host(&self, name: &str, tier: &str, role: &str) -> HostBuilder {
        HostBuilder::new(&self.leaf, name, tier, role)
    }
}

/// Waits until the hub knows the subscriptions at the leaf node: until a query is answered from there.
fn assert_answers(site: &Site, host: &str) {
    let wire = RawClient::connect(&site.hub, "everything");
    let heard = wire.subscribe("deploy.responses.ask.there");
    let question = json!({"reply_to": "deploy.responses.ask.there", "hosts": [host]});
    eventually("an answer from the far site", || {
        wire.publish("deploy.discover", &question);
        heard.within(std::time::Duration::from_millis(50))
    });
}

#[test]
fn a_host_behind_a_leaf_node_is_deployed_from_the_hub() {
    let site = Site::start();
    let _near = HostBuilder::new(&site.hub, "web2", "test", "web").start();
    let _far = site.remote_host("web1", "test", "web").script("echo far away").start();
    assert_answers(&site, "web1");
    let command = |args: &[&str], code| run(operator(&site.hub, "tester").args(args), code);
    let all = command(&["deploy", "--all", "--tier", "test", "--yes"], 0);
    assert!(all.stdout.contains("\nweb1  completed") && all.stdout.contains("\nweb2  completed"), "{all}");
    let log = command(&["logs", "web1"], 0).stdout;
    assert!(log.ends_with("\nfar away\n"), "{log}");
    // If no client is subscribed, the hub knows this for the remote site as well.
    command(&["deploy", "deploy.test.web9"], 3);
}

#[test]
fn a_remote_site_is_limited_to_the_permissions_of_its_user() {
    let site = Site::start();
    let _other_tier = site.remote_host("ns1", "prod", "dns").start();
    let _far = site.remote_host("web1", "test", "web").start();
    assert_answers(&site, "web1");
    let none = run(operator(&site.hub, "admin").args(["deploy", "deploy.prod.ns1"]), 3);
    // The query reaches the host, the request does not.
    assert!(none.stdout.contains("\nns1   no answer"), "{none}");

    let (far, near) =
        (RawClient::connect(&site.leaf, "everything"), RawClient::connect(&site.hub, "everything"));
    let heard = near.subscribe(">");
    let heard_again = |subject: &str| {
        eventually("a message from the far site", || {
            far.publish(subject, &json!({"it": "is"}));
            heard.received().into_iter().map(|heard| heard.subject).find(|heard| heard == subject)
        })
    };
    heard_again("deploy.responses.sign");
    for subject in ["deploy.test.web2", "deploy.prod.ns2", "deploy.discover", "build.ns1", "other"] {
        far.publish(subject, &json!({"it": "is not"}));
    }
    // This message arrives last, so no other message can be pending.
    far.publish("deploy.responses.last", &json!({}));
    let mut subjects = Vec::new();
    while subjects.last().is_none_or(|last| last != "deploy.responses.last") {
        subjects.push(heard.next().subject);
    }
    subjects.retain(|subject| !subject.starts_with("deploy.responses."));
    assert_eq!(subjects, [] as [&str; 0]);
}

#[test]
fn the_result_arrives_although_the_hub_was_away() {
    let mut site = Site::start();
    let host = site
        .remote_host("web1", "test", "web")
        .args(&["--heartbeat-interval", "1"])
        .script(&hold_in_phase("build"));
    let mut host: Host = host.start();
    let gate = Gate::of(&host);
    assert_answers(&site, "web1");
    let mut deploy = RunningCommand::start(operator(&site.hub, "tester").args(["deploy", "web1"]));
    deploy.wait_for_line("web1  build");
    site.hub.stop();
    deploy.wait_for_line("note: connection lost");
    // The listener is still connected to its leaf node, and publishes its result there.
    gate.pass();
    host.wait_for_log("job completed");
    site.hub.restart();
    let done = deploy.wait_for_exit(0);
    assert!(done.stdout.contains("\nweb1  completed"), "{done}");
}
