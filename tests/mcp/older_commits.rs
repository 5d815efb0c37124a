//! An older commit is rejected with a hint, and deployed if the call allows it.

use crate::common::{HostBuilder, NatsServer, Repo};
use crate::harness::{Session, admin_server, code_of};
use serde_json::json;

#[test]
fn an_older_commit_is_deployed_if_the_call_allows_it() {
    let nats = NatsServer::start();
    let repo = Repo::new();
    let old = repo.commit("flake.nix", "old");
    repo.commit("flake.nix", "new");
    let _host = HostBuilder::new(&nats, "web1", "test", "web").flake(&repo.url()).start();
    let mut session = Session::with(&mut admin_server(&nats));
    session.call("deploy", &json!({"hostname": "web1", "branch": "master"})).done();
    let back = json!({"hostname": "web1", "branch": old});
    let refused = session.call("deploy", &back);
    assert_eq!(refused.failed()["hosts"][0]["result"], "failed");
    let hint = "accepts it with allow_older: true. Ask the person first whether they want to go back.";
    assert!(refused.text().contains("is older than") && refused.text().contains(hint), "{}", refused.text());

    let mut allowed = back.clone();
    allowed["allow_older"] = json!(true);
    let done = session.call("deploy", &allowed);
    assert_eq!(done.done()["hosts"][0]["job"]["commit"], json!(old));
    assert!(!done.text().contains(hint), "{}", done.text());
    let expected: Vec<_> = (0..3).map(|_| session.audit_line()["what"].clone()).collect();
    let what = format!("switch {old} on 1 host of tier test: web1");
    assert_eq!(expected[1..], [json!(what), json!(format!("{what}, even if it is older"))]);

    // A confirmation of the commit does not cover an older one.
    (allowed["tier"], allowed["branch"]) = (json!("test"), json!(old));
    let question = session.call("deploy_admin", &allowed);
    question.refused(&["tier test: web1, even if it is older; "]);
    allowed["confirm"] = json!(code_of(question.text()));
    allowed["allow_older"] = json!(false);
    session.call("deploy_admin", &allowed).refused(&["the code belongs to another question"]);
}
