//! Trusted keys that expire: while they are valid, when they expire, and after.

use crate::common::{Broker, HostBuilder, Signer};
use crate::stage::{Stage, text};
use crate::trusted::{signed, trusting_with};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

fn after(seconds: i64) -> Timestamp {
    Timestamp::now() + SignedDuration::from_secs(seconds)
}

fn warnings(stage: &Stage) -> Vec<String> {
    let answer = stage.ask(json!({"want": "host"}));
    let warnings = answer["warnings"].as_array().cloned().unwrap_or_default();
    warnings
        .iter()
        .map(|warning| text(warning).to_owned())
        .filter(|text| text.contains("trusted key"))
        .collect()
}

#[test]
fn an_expired_key_is_refused_with_what_to_do_and_another_is_not() {
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
    assert_eq!(stage.host.has_logged("refused a request")["code"], "not_permitted");
    let logged = stage.host.has_logged("a trusted key has expired");
    assert_eq!(
        (&logged["key"], &logged["expires_at"]),
        (&json!(admin.key()), &json!("2026-03-01T00:00:00Z"))
    );
    let warned = format!(
        "the trusted key {} expired at 2026-03-01T00:00:00Z: what it has signed is refused; ",
        admin.key()
    );
    let told = warnings(&stage);
    assert!(told.len() == 1 && told[0].starts_with(&warned), "{told:?}");
    // Its signature is looked at first.
    let mut changed = signed(&admin, "e-2", json!({}));
    changed.payload.push(b' ');
    stage.refuses(&changed, "not_permitted", &["has not signed this request"]);
    assert_eq!(stage.publish(&signed(&tester, "e-3", json!({}))).verdict()["status"], "completed");
    assert_eq!(stage.calls(), 1);
}

#[test]
fn a_key_expires_while_the_listener_runs() {
    let signer = Signer::of("tester");
    let expires_at = after(4);
    let key = format!("{}@{expires_at}", signer.key());
    let mut stage = Stage::with("echo >> $DIR/calls", |host| {
        // Announced once at the start, and then only because of the key.
        host.args(&["--trusted-key", &key, "--presence-interval", "3600"])
    });
    let presence = stage.wire.listen("deploy.responses.presence");
    assert_eq!(stage.publish(&signed(&signer, "x-1", json!({}))).verdict()["status"], "completed");
    stage.host.has_logged("a trusted key expires soon");
    let told = warnings(&stage);
    assert!(told.len() == 1 && told[0].contains(" expires at "), "{told:?}");
    let logged = stage.host.logged("a trusted key has expired");
    assert_eq!(logged["expires_at"], json!(expires_at.to_string()));
    presence.until(|answer| answer["warnings"].to_string().contains(" expired at "));
    stage.refuses(&signed(&signer, "x-2", json!({})), "not_permitted", &["which expired on web1 at "]);
    let told = warnings(&stage);
    assert!(told.len() == 1 && told[0].contains(" expired at "), "{told:?}");
    // With all of its keys expired a host takes nothing, signed or not.
    let unsigned = stage.deploy("x-3", json!({})).next().body;
    assert_eq!(unsigned["error"], "not_permitted", "{unsigned}");
    assert_eq!(stage.calls(), 1);
}

#[test]
fn a_key_is_warned_about_in_time_and_is_named_without_its_date() {
    let [soon, later, forever] = ["tester", "admin", "viewer"].map(Signer::of);
    let day = |days: i64| after(days * 86_400).to_string()[..10].to_owned();
    let keys = [format!("{}@{}", soon.key(), day(12)), format!("{}@{}", later.key(), day(15)), forever.key()];
    let stage = Stage::with("", |host| {
        host.args(&["--trusted-key", &keys[0], "--trusted-key", &keys[1], "--trusted-key", &keys[2]])
    });
    let told = warnings(&stage);
    assert!(
        told.len() == 1 && told[0].starts_with(&format!("the trusted key {} expires at ", soon.key())),
        "{told:?}"
    );
    let answer = stage.ask(json!({"want": "host"}));
    assert_eq!(answer["trusted_keys"], json!([soon.key(), later.key(), forever.key()]));
    assert_eq!(answer["public_key"], json!(Signer::of("web1").key()));
    let bare = Stage::new("");
    assert_eq!(bare.ask(json!({"want": "host"}))["trusted_keys"], json!([]));
}

#[test]
fn a_wrong_date_or_a_second_one_is_refused() {
    let broker = Broker::start();
    let key = Signer::of("tester").key();
    let refused = |keys: &[String]| {
        let flags: Vec<_> = keys.iter().flat_map(|key| ["--trusted-key", key.as_str()]).collect();
        let mut host = HostBuilder::new(&broker, "web1", "test", "web").args(&flags).launch();
        assert_eq!(host.ended().code(), Some(2), "{keys:?}");
        let Some(Value::String(said)) = host.rest_of_log().pop() else { panic!("nothing was said") };
        said
    };
    let expected = "expected a day such as 2027-01-01, which still counts as valid (UTC), or a time such as 2027-01-01T12:00:00Z; \
        write it behind the key as U…@2027-01-01, or leave it out";
    for (date, shown) in
        [("", ""), ("tomorrow", ""), ("2027-13-01", " \"2027-13-01\""), ("2027-01-01@2028-01-01", "")]
    {
        let said = refused(&[format!("{key}@{date}")]);
        assert_eq!(said, format!("error: --trusted-key: invalid expiry date{shown}: {expected}"));
    }
    let again = format!(
        "error: --trusted-key (number 2): {key} is given before with another date; give each key once"
    );
    for (first, second) in [("@2099-01-01", "@2099-01-02"), ("", "@2099-01-01"), ("@2099-01-01", "")] {
        assert_eq!(refused(&[format!("{key}{first}"), format!("{key}{second}")]), again);
    }
    // The same moment, written in another way, is the same date.
    let same = [format!("{key}@2099-01-01"), format!("{key}@2099-01-02T01:00:00+01:00")];
    let flags = ["--trusted-key", &same[0], "--trusted-key", &same[1]];
    drop(HostBuilder::new(&broker, "web1", "test", "web").args(&flags).start());
}
