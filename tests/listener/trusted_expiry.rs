//! Trusted keys before, at and after their expiry.

use crate::common::{HostBuilder, NatsServer, Signer};
use crate::stage::{Stage, text};
use crate::trusted::{signed, trusting_with};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

fn after(seconds: i64) -> Timestamp {
    Timestamp::now() + SignedDuration::from_secs(seconds)
}

fn warnings(stage: &Stage) -> Vec<String> {
    let reply = stage.query(json!({"query": "host"}));
    let warnings = reply["warnings"].as_array().cloned().unwrap_or_default();
    warnings
        .iter()
        .map(|warning| text(warning).to_owned())
        .filter(|text| text.contains("trusted key"))
        .collect()
}

#[test]
fn an_expired_key_is_refused_with_advice_and_another_is_not() {
    let admin = Signer::of("admin");
    let (mut stage, tester) = trusting_with("echo >> $DIR/calls", |host| {
        host.args(&["--trusted-key", &format!("{}@2026-02-28", admin.key())])
    });
    let refused = format!(
        "the request is signed by {}, which expired on web1 at 2026-03-01T00:00:00Z; use a newer key (--nkey-file), or give this \
         one a later date in --trusted-key of the listener on web1",
        admin.key()
    );
    stage.refuses(&signed(&admin, "e-1", json!({})), "not_permitted", &[&refused]);
    assert_eq!(stage.host.last_log("refused a request")["code"], "not_permitted");
    let logged = stage.host.last_log("a trusted key has expired");
    assert_eq!(
        (&logged["key"], &logged["expires_at"]),
        (&json!(admin.key()), &json!("2026-03-01T00:00:00Z"))
    );
    let warning = format!(
        "the trusted key {} expired at 2026-03-01T00:00:00Z: requests signed with it are rejected; ",
        admin.key()
    );
    let current = warnings(&stage);
    assert!(current.len() == 1 && current[0].starts_with(&warning), "{current:?}");
    // The signature is checked before the expiry.
    let mut changed = signed(&admin, "e-2", json!({}));
    changed.payload.push(b' ');
    stage.refuses(&changed, "not_permitted", &["does not match this request"]);
    assert_eq!(stage.publish(&signed(&tester, "e-3", json!({}))).final_report()["status"], "completed");
    assert_eq!(stage.calls(), 1);
}

#[test]
fn a_key_expires_while_the_listener_runs() {
    let signer = Signer::of("tester");
    let expires_at = after(4);
    let key = format!("{}@{expires_at}", signer.key());
    let mut stage = Stage::with("echo >> $DIR/calls", |host| {
        // One presence message is sent at the start, and later ones only because of the key.
        host.args(&["--trusted-key", &key, "--presence-interval", "3600"])
    });
    let presence = stage.wire.subscribe("deploy.responses.presence");
    assert_eq!(stage.publish(&signed(&signer, "x-1", json!({}))).final_report()["status"], "completed");
    stage.host.last_log("a trusted key expires soon");
    let current = warnings(&stage);
    assert!(current.len() == 1 && current[0].contains(" expires at "), "{current:?}");
    let logged = stage.host.wait_for_log("a trusted key has expired");
    assert_eq!(logged["expires_at"], json!(expires_at.to_string()));
    presence.until(|reply| reply["warnings"].to_string().contains(" expired at "));
    stage.refuses(&signed(&signer, "x-2", json!({})), "not_permitted", &["which expired on web1 at "]);
    let current = warnings(&stage);
    assert!(current.len() == 1 && current[0].contains(" expired at "), "{current:?}");
    // If all keys have expired, the host rejects signed and unsigned requests.
    let unsigned = stage.deploy("x-3", json!({})).next().body;
    assert_eq!(unsigned["error"], "not_permitted", "{unsigned}");
    assert_eq!(stage.calls(), 1);
}

#[test]
fn a_key_that_expires_soon_causes_a_warning_and_is_listed_without_its_date() {
    let [soon, later, forever] = ["tester", "admin", "viewer"].map(Signer::of);
    let day = |days: i64| after(days * 86_400).to_string()[..10].to_owned();
    let keys = [format!("{}@{}", soon.key(), day(12)), format!("{}@{}", later.key(), day(15)), forever.key()];
    let stage = Stage::with("", |host| {
        host.args(&["--trusted-key", &keys[0], "--trusted-key", &keys[1], "--trusted-key", &keys[2]])
    });
    let current = warnings(&stage);
    assert!(
        current.len() == 1 && current[0].starts_with(&format!("the trusted key {} expires at ", soon.key())),
        "{current:?}"
    );
    let reply = stage.query(json!({"query": "host"}));
    assert_eq!(reply["trusted_keys"], json!([soon.key(), later.key(), forever.key()]));
    assert_eq!(reply["public_key"], json!(Signer::of("web1").key()));
    let bare = Stage::new("");
    assert_eq!(bare.query(json!({"query": "host"}))["trusted_keys"], json!([]));
}

#[test]
fn an_invalid_or_conflicting_date_is_refused() {
    let nats = NatsServer::start();
    let key = Signer::of("tester").key();
    let refused = |keys: &[String]| {
        let flags: Vec<_> = keys.iter().flat_map(|key| ["--trusted-key", key.as_str()]).collect();
        let mut host = HostBuilder::new(&nats, "web1", "test", "web").args(&flags).launch();
        assert_eq!(host.wait_for_exit().code(), Some(2), "{keys:?}");
        let Some(Value::String(error)) = host.rest_of_log().pop() else { panic!("expected an error") };
        error
    };
    let expected = "expected a day such as 2027-01-01, which still counts as valid (UTC), or a time such as 2027-01-01T12:00:00Z; \
        write it after the key as in U…@2027-01-01, or leave it out";
    for (date, shown) in
        [("", ""), ("tomorrow", ""), ("2027-13-01", " \"2027-13-01\""), ("2027-01-01@2028-01-01", "")]
    {
        let error = refused(&[format!("{key}@{date}")]);
        assert_eq!(error, format!("error: --trusted-key: invalid expiry date{shown}: {expected}"));
    }
    let again = format!(
        "error: --trusted-key (number 2): {key} was already given with another date: give each key once"
    );
    for (first, second) in [("@2099-01-01", "@2099-01-02"), ("", "@2099-01-01"), ("@2099-01-01", "")] {
        assert_eq!(refused(&[format!("{key}{first}"), format!("{key}{second}")]), again);
    }
    // The same moment in another notation is the same date.
    let same = [format!("{key}@2099-01-01"), format!("{key}@2099-01-02T01:00:00+01:00")];
    let flags = ["--trusted-key", &same[0], "--trusted-key", &same[1]];
    drop(HostBuilder::new(&nats, "web1", "test", "web").args(&flags).start());
}
