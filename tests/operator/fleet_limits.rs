//! Memory limits for hosts that do not exist but are announced.

use crate::common::base_presence;
use homelab_deploy::fleet::Fleet;
use homelab_deploy::protocol::{Name, Presence};
use jiff::Timestamp;
use serde_json::json;

fn answer(name: &str, warnings: &[String]) -> Presence {
    let mut answer = base_presence(name, "prod", "dns");
    answer["warnings"] = json!(warnings);
    Presence::parse(answer.to_string().as_bytes()).unwrap()
}

#[test]
fn a_thousand_unknown_hosts_are_kept_and_four_more_per_known_host() {
    let mut fleet = Fleet::default();
    fleet.expect_hosts(10);
    for n in 0..1500 {
        fleet.apply_presence(answer(&format!("f{n}"), &[]), Timestamp::now());
    }
    assert_eq!((fleet.hosts.len(), fleet.ignored), (1040, 460));
    // Known hosts are still updated.
    assert!(fleet.apply_presence(answer("f7", &["a warning".to_owned()]), Timestamp::now()));
    let known = &fleet.hosts[&Name::new("f7").unwrap()];
    assert_eq!(known.answer.as_ref().unwrap().warnings, ["a warning"]);
}

#[test]
fn long_strings_are_truncated() {
    let mut fleet = Fleet::default();
    fleet.apply_presence(answer("web1", &["w".repeat(60_000)]), Timestamp::now());
    fleet.apply_presence(answer("web2", &vec!["short".to_owned(); 3000]), Timestamp::now());
    let warnings = |name| fleet.hosts[&Name::new(name).unwrap()].answer.clone().unwrap().warnings.clone();
    let long = warnings("web1");
    assert!(long.len() == 1 && (4000..=4096).contains(&long[0].len()), "{}", long[0].len());
    assert_eq!(warnings("web2").len(), 100);
}

#[test]
fn no_field_of_a_host_is_kept_whole_if_it_is_long() {
    let full = json!({
        "hostname": "web1", "tier": "prod", "deploy_subjects": ["deploy.prod.web1"], "instance": "i1",
        "version": "0.1.0", "os_version": "NixOS 26.05", "revision": "master", "commit": "c", "system": "s",
        "booted_system": "b", "failed_units": ["b.service"], "flake_url": "git+https://git.example/fleet",
        "warnings": ["w"], "held": "disk swap", "capabilities": ["build"], "public_key": "UA",
        "trusted_keys": ["UB"], "confirm": "n1", "engine": "compose", "components": ["db"],
    });
    for (field, value) in full.as_object().unwrap() {
        if ["hostname", "tier"].contains(&field.as_str()) {
            continue;
        }
        let long = json!("x".repeat(60_000));
        let mut one = full.clone();
        one[field] = if value.is_array() { json!([long]) } else { long };
        let mut fleet = Fleet::default();
        fleet.apply_presence(Presence::parse(one.to_string().as_bytes()).unwrap(), Timestamp::now());
        let stored = fleet.hosts[&Name::new("web1").unwrap()].answer.clone().unwrap();
        let size = serde_json::to_string(&*stored).unwrap().len();
        assert!(size < 5_000, "{field}: {size} bytes are kept");
    }
}
