//! Requests of an assistant are signed with its key, or with the admin's.

use crate::common::{HostBuilder, NatsServer, Signer};
use crate::harness::Session;
use serde_json::json;

#[test]
fn a_host_that_trusts_the_key_deploys_and_another_explains_what_to_do() {
    let nats = NatsServer::start();
    let key = Signer::of("mcp").key();
    let trusting = |name: &str, key: &str| {
        HostBuilder::new(&nats, name, "test", "web").args(&["--trusted-key", key]).start()
    };
    let mut host = trusting("web1", &key);
    let _other = trusting("web2", &Signer::of("tester").key());
    let mut session = Session::open(&nats);
    session.call("deploy", &json!({"hostname": "web1"})).done();
    assert_eq!(host.wait_for_log("accepted a job")["key"], key);
    let answer = session.call("deploy", &json!({"hostname": "web2"}));
    let expected = format!(
        "signed by {key}, which web2 does not trust; add it to --trusted-key of the listener on web2"
    );
    assert!(answer.text().contains(&expected), "{}", answer.text());
}
