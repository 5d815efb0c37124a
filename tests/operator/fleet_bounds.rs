//! How much of hosts that are made up is kept.

use crate::common::base_answer;
use homelab_deploy::fleet::Fleet;
use homelab_deploy::protocol::{HostAnswer, Name};
use jiff::Timestamp;
use serde_json::json;

fn answer(name: &str, warnings: &[String]) -> HostAnswer {
    let mut answer = base_answer(name, "prod", "dns");
    answer["warnings"] = json!(warnings);
    HostAnswer::parse(answer.to_string().as_bytes()).unwrap()
}

#[test]
fn of_unknown_hosts_a_thousand_are_kept_and_four_more_for_each_known_one() {
    let mut fleet = Fleet::default();
    fleet.expect_hosts(10);
    for n in 0..1500 {
        fleet.apply_host(answer(&format!("f{n}"), &[]), Timestamp::now());
    }
    assert_eq!((fleet.hosts.len(), fleet.ignored), (1040, 460));
    // Those that are kept go on.
    assert!(fleet.apply_host(answer("f7", &["a warning".to_owned()]), Timestamp::now()));
    let known = &fleet.hosts[&Name::new("f7").unwrap()];
    assert_eq!(known.answer.as_ref().unwrap().warnings, ["a warning"]);
}

#[test]
fn of_long_texts_a_part_is_kept() {
    let mut fleet = Fleet::default();
    fleet.apply_host(answer("web1", &["w".repeat(60_000)]), Timestamp::now());
    fleet.apply_host(answer("web2", &vec!["short".to_owned(); 3000]), Timestamp::now());
    let warnings = |name| fleet.hosts[&Name::new(name).unwrap()].answer.clone().unwrap().warnings.clone();
    let long = warnings("web1");
    assert!(long.len() == 1 && (4000..=4096).contains(&long[0].len()), "{}", long[0].len());
    assert_eq!(warnings("web2").len(), 100);
}
