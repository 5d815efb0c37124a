//! What an assistant sends is signed with its key, or an admin's.

use crate::common::{Broker, HostBuilder, Signer};
use crate::stage::Session;
use serde_json::json;

#[test]
fn a_host_that_trusts_the_key_deploys_and_another_says_what_to_do() {
    let broker = Broker::start();
    let key = Signer::of("mcp").key();
    let trusting = |name: &str, key: &str| {
        HostBuilder::new(&broker, name, "test", "web").args(&["--trusted-key", key]).start()
    };
    let mut host = trusting("web1", &key);
    let _other = trusting("web2", &Signer::of("tester").key());
    let mut session = Session::open(&broker);
    session.call("deploy", &json!({"hostname": "web1"})).done();
    assert_eq!(host.logged("accepted a job")["key"], key);
    let answer = session.call("deploy", &json!({"hostname": "web2"}));
    let said = format!(
        "signed by {key}, which web2 does not trust; add it to --trusted-key of the listener on web2"
    );
    assert!(answer.text().contains(&said), "{}", answer.text());
}
