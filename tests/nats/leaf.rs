//! A far site: its hosts are connected to a leaf node of their own, operators to the hub.

use crate::cluster::own_address;
use crate::common::{Broker, Gate, Host, HostBuilder, Running, Wire, eventually, held_in, operator, run};
use crate::monitor::{MONITORED, leaves};
use serde_json::json;
use std::fs;

/// What a leaf node may do at the hub, for hosts of the tier test.
const USER: &str = r#"users = [
    { user: far, password: s3cret, permissions: {
        publish: { allow: ["deploy.responses.>"] }
        subscribe: { allow: ["deploy.test.>", "deploy.discover"] }
    } }"#;

/// A hub and a leaf node, both with the generated permissions.
struct Site {
    hub: Broker,
    leaf: Broker,
}

impl Site {
    fn start() -> Self {
        let temp = std::env::temp_dir();
        let address = own_address();
        let listen = |port: &str| format!("{MONITORED}leafnodes {{ listen: \"{address}:{port}\" }}\n");
        let mut hub = Broker::configured(&address, &temp, &listen("-1"));
        let log = hub.log();
        let (_, port) = log.split_once(&format!("leafnode connections on {address}:")).expect("a port");
        let port = port.lines().next().unwrap();
        hub.stop();
        let file = hub.folder().join("nats.conf");
        let config = fs::read_to_string(&file).unwrap().replacen("users = [", USER, 1);
        fs::write(file, config.replace(&listen("-1"), &listen(port))).unwrap();
        hub.restart();
        let remote =
            format!("leafnodes {{ remotes: [ {{ url: \"nats-leaf://far:s3cret@{address}:{port}\" }} ] }}");
        let leaf = Broker::configured(&own_address(), &temp, &remote);
        let site = Self { hub, leaf };
        site.connected();
        site
    }

    fn connected(&self) {
        eventually("the leaf node connecting", || (leaves(&self.hub) == 1).then_some(()));
    }

    fn far(&self, name: &str, tier: &str, role: &str) -> HostBuilder {
        HostBuilder::new(&self.leaf, name, tier, role)
    }
}

/// Waits until the hub knows what is asked for at the leaf node: until a question is answered from there.
fn answers(site: &Site, host: &str) {
    let wire = Wire::connect(&site.hub, "everything");
    let heard = wire.listen("deploy.responses.ask.there");
    let question = json!({"reply_to": "deploy.responses.ask.there", "hosts": [host]});
    eventually("an answer from the far site", || {
        wire.say("deploy.discover", &question);
        heard.within(std::time::Duration::from_millis(50))
    });
}

#[test]
fn a_host_behind_a_leaf_node_is_deployed_from_the_hub() {
    let site = Site::start();
    let _near = HostBuilder::new(&site.hub, "web2", "test", "web").start();
    let _far = site.far("web1", "test", "web").script("echo far away").start();
    answers(&site, "web1");
    let command = |args: &[&str], code| run(operator(&site.hub, "tester").args(args), code);
    let all = command(&["deploy", "--all", "--tier", "test", "--yes"], 0);
    assert!(all.out.contains("\nweb1  completed") && all.out.contains("\nweb2  completed"), "{all}");
    let log = command(&["logs", "web1"], 0).out;
    assert!(log.ends_with("\nfar away\n"), "{log}");
    // Where nobody listens, the hub knows of the far site too.
    command(&["deploy", "deploy.test.web9"], 3);
}

#[test]
fn a_far_site_does_no_more_than_its_user_may() {
    let site = Site::start();
    let _other_tier = site.far("ns1", "prod", "dns").start();
    let _far = site.far("web1", "test", "web").start();
    answers(&site, "web1");
    let none = run(operator(&site.hub, "admin").args(["deploy", "deploy.prod.ns1"]), 3);
    // The question reaches it, the order does not.
    assert!(none.out.contains("\nns1   silent"), "{none}");

    let (far, near) = (Wire::connect(&site.leaf, "everything"), Wire::connect(&site.hub, "everything"));
    let heard = near.listen(">");
    let heard_again = |subject: &str| {
        eventually("a message from the far site", || {
            far.say(subject, &json!({"it": "is"}));
            heard.arrived().into_iter().map(|heard| heard.subject).find(|heard| heard == subject)
        })
    };
    heard_again("deploy.responses.sign");
    for subject in ["deploy.test.web2", "deploy.prod.ns2", "deploy.discover", "build.ns1", "other"] {
        far.say(subject, &json!({"it": "is not"}));
    }
    // What comes after the others has overtaken none of them.
    far.say("deploy.responses.last", &json!({}));
    let mut subjects = Vec::new();
    while subjects.last().is_none_or(|last| last != "deploy.responses.last") {
        subjects.push(heard.next().subject);
    }
    subjects.retain(|subject| !subject.starts_with("deploy.responses."));
    assert_eq!(subjects, [] as [&str; 0]);
}

#[test]
fn the_hub_goes_away_in_the_middle_and_the_verdict_arrives_all_the_same() {
    let mut site = Site::start();
    let host = site.far("web1", "test", "web").args(&["--heartbeat-interval", "1"]).script(&held_in("build"));
    let mut host: Host = host.start();
    let gate = Gate::of(&host);
    answers(&site, "web1");
    let mut deploy = Running::start(operator(&site.hub, "tester").args(["deploy", "web1"]));
    deploy.says("web1  build");
    site.hub.stop();
    deploy.says("note: the connection was lost");
    // The listener has not noticed: to its leaf node it is connected, and there its verdict goes.
    gate.pass();
    host.logged("job completed");
    site.hub.restart();
    let done = deploy.ended(0);
    assert!(done.out.contains("\nweb1  completed"), "{done}");
}
