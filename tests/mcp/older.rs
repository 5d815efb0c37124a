//! An older commit: refused with the way to deploy it, and deployed if the call says so.

use crate::common::{Broker, HostBuilder, Repo};
use crate::stage::{Session, admin_server, code_of};
use serde_json::json;

#[test]
fn an_older_commit_is_deployed_if_the_call_allows_it() {
    let broker = Broker::start();
    let repo = Repo::new();
    let old = repo.commit("flake.nix", "old");
    repo.commit("flake.nix", "new");
    let _host = HostBuilder::new(&broker, "web1", "test", "web").flake(&repo.url()).start();
    let mut session = Session::of(&mut admin_server(&broker));
    session.call("deploy", &json!({"hostname": "web1", "branch": "master"})).done();
    let back = json!({"hostname": "web1", "branch": old});
    let refused = session.call("deploy", &back);
    assert_eq!(refused.failed()["hosts"][0]["verdict"], "failed");
    let hint = "takes it with allow_older: true. Ask the person first whether they want to go back.";
    assert!(refused.text().contains("is older than") && refused.text().contains(hint), "{}", refused.text());

    let mut allowed = back.clone();
    allowed["allow_older"] = json!(true);
    let done = session.call("deploy", &allowed);
    assert_eq!(done.done()["hosts"][0]["job"]["commit"], json!(old));
    assert!(!done.text().contains(hint), "{}", done.text());
    let said: Vec<_> = (0..3).map(|_| session.audited()["what"].clone()).collect();
    let what = format!("switch {old} on 1 host of tier test: web1");
    assert_eq!(said[1..], [json!(what), json!(format!("{what}, also if that is older"))]);

    // A person who was asked about the commit was not asked whether it may be older.
    (allowed["tier"], allowed["branch"]) = (json!("test"), json!(old));
    let question = session.call("deploy_admin", &allowed);
    question.refused(&["tier test: web1, also if that is older; "]);
    allowed["confirm"] = json!(code_of(question.text()));
    allowed["allow_older"] = json!(false);
    session.call("deploy_admin", &allowed).refused(&["is the code of another question"]);
}
