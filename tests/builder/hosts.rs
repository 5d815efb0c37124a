//! Which hosts are built, and how each one is reported.

use crate::stage::{Stage, host, says, text};
use serde_json::json;
use std::fs;

/// Three hosts, one of which fails.
const THREE: &str = r#"
    web1 = sh "web1" "echo one > $out";
    web2 = sh "web2" "echo undefined reference; exit 1";
    db1 = sh "db1" "echo three > $out";
"#;

#[test]
fn a_request_in_the_base_format_builds_a_host() {
    let stage = Stage::new(THREE);
    let commit = stage.repo.git(&["rev-parse", "HEAD"]);
    let story = stage.build("b-1", "web1").all_reports();
    let report = story.last().unwrap();
    says(report, "completed", "", &["web1 built"]);
    assert_eq!(report["commit"], json!(commit));
    assert_eq!(
        (&report["repo"], &report["target"], &report["id"]),
        (&json!("infra"), &json!("web1"), &json!("b-1"))
    );
    assert_eq!((&report["done"], &report["expected"]), (&json!(1), &json!(1)));
    let web1 = host(report, "web1");
    assert_eq!(web1["state"], "done", "{web1}");
    assert_eq!(fs::read_to_string(text(&web1["system"])).unwrap(), "one\n");
    says(&story[0], "started", "", &["looking up master in infra"]);
    let seqs: Vec<_> = story.iter().map(|report| report["seq"].as_u64().unwrap()).collect();
    assert!(seqs.is_sorted_by(|a, b| a < b), "{seqs:?}");
}

#[test]
fn a_failed_host_does_not_prevent_the_results_of_the_others() {
    let stage = Stage::new(THREE);
    let story = stage.build("b-1", "all").all_reports();
    let report = story.last().unwrap();
    says(report, "failed", "build_failed", &["2 of 3 built; failed: web2"]);
    assert_eq!((&report["done"], &report["expected"]), (&json!(2), &json!(3)));
    let states: Vec<_> =
        ["db1", "web1", "web2"].iter().map(|name| text(&host(report, name)["state"])).collect();
    assert_eq!(states, ["done", "done", "failed"]);
    let web2 = host(report, "web2");
    assert_eq!(web2["error"], "\"web2\" did not build: builder for 'web2' failed with exit code 1");
    assert!(text(&web2["log_tail"]).contains("undefined reference"), "{web2}");
    assert!(host(report, "web1")["log_tail"].is_null());
    let progress = story.iter().filter(|report| report["status"] == "progress").count();
    assert!(progress > 0, "{story:#?}");
}

#[test]
fn a_host_with_an_invalid_name_is_skipped_and_reaches_no_shell() {
    let stage = Stage::new("");
    stage.hosts(
        &r#"
        web1 = sh "web1" "echo one > $out";
        "a b" = sh "x" "echo > $out";
        "../../evil" = sh "x" "echo > $out";
        "\$(touch PWNED)" = sh "x" "echo > $out";
        "all" = sh "x" "echo > $out";
        "q\"; touch PWNED; \"" = sh "x" "echo > $out";
    "#
        .replace("PWNED", stage.at("pwned").to_str().unwrap()),
    );
    let story = stage.build("b-1", "all").all_reports();
    let report = story.last().unwrap();
    says(
        report,
        "completed",
        "",
        &["1 of 1 built; skipped ", "\"../../evil\"", "\"a b\"", "a host name has 1 to 63 letters"],
    );
    assert_eq!(report["hosts"].as_array().unwrap().len(), 1, "{report}");
    assert!(!stage.at("pwned").exists());
    assert_eq!(stage.root("").read_dir().unwrap().count(), 1);
}

#[test]
fn a_host_may_have_its_domain_name_or_a_configured_attribute_in_the_flake() {
    let hosts = r#"
        "ns1.example.org" = sh "ns1" "echo ns1 > $out";
        "db.a.org" = sh "db" "echo a > $out";
        "db.b.org" = sh "db" "echo b > $out";
        web = sh "web" "echo web > $out";
    "#;
    let stage = Stage::new(hosts);
    let report = stage.build("b-1", "ns1").final_report();
    says(&report, "completed", "", &["ns1 built"]);
    assert_eq!(fs::read_to_string(text(&host(&report, "ns1")["system"])).unwrap(), "ns1\n");
    let report = stage.build("b-2", "all").final_report();
    says(
        &report,
        "completed",
        "",
        &["2 of 2 built; skipped \"db.a.org\", \"db.b.org\": ", "that no other host begins with"],
    );
    let report = stage.build("b-3", "db").final_report();
    says(
        &report,
        "failed",
        "evaluation_failed",
        &["has no nixosConfigurations.\"db\"", "`flake_attrs` in the builder's"],
    );
    let attrs = "[repos.infra.flake_attrs]\nweb2 = \"web\"\ndb = \"db.b.org\"\n";
    let stage = Stage::with(hosts, attrs, |builder| builder);
    let report = stage.build("b-4", "web2").final_report();
    says(&report, "completed", "", &["web2 built"]);
    let report = stage.build("b-5", "db").final_report();
    assert_eq!(fs::read_to_string(text(&host(&report, "db")["system"])).unwrap(), "b\n");
    let report = stage.build("b-6", "all").final_report();
    says(&report, "completed", "", &["4 of 4 built"]);
}

#[test]
fn a_flake_without_a_buildable_host_fails() {
    let stage = Stage::new("\"a b\" = sh \"x\" \"echo > $out\";");
    let report = stage.build("b-1", "all").final_report();
    says(&report, "failed", "evaluation_failed", &["no hosts to build: skipped \"a b\""]);
    stage.hosts("");
    let report = stage.build("b-2", "all").final_report();
    says(&report, "failed", "evaluation_failed", &["nixosConfigurations is empty"]);
}

#[test]
fn an_unknown_host_is_reported_with_similar_names() {
    let stage = Stage::new(THREE);
    let report = stage.build("b-1", "web9").final_report();
    says(&report, "failed", "evaluation_failed", &["has no nixosConfigurations.\"web9\""]);
    assert_eq!(host(&report, "web9")["state"], "failed");
}

#[test]
fn an_evaluation_error_is_reported_with_the_message_of_nix() {
    let stage = Stage::new("web1 = throw \"the option is gone\";");
    for (id, target) in [("b-1", "web1"), ("b-2", "all")] {
        let report = stage.build(id, target).final_report();
        says(&report, "failed", "evaluation_failed", &[]);
        assert!(text(&host(&report, "web1")["error"]).contains("the option is gone"), "{report}");
    }
    stage.repo.commit("flake.nix", "{ outputs = { self }: throw \"all of it is gone\"; }");
    let report = stage.build("b-3", "all").final_report();
    says(&report, "failed", "evaluation_failed", &["all of it is gone"]);
}

#[test]
fn without_keep_going_the_first_failure_stops_the_others() {
    let hosts = r#"
        db1 = sh "db1" "read _ < GATE";
        web1 = sh "web1" "exit 1";
        web2 = sh "web2" "echo > $out";
    "#;
    let stage = Stage::with("", "keep_going = false", |builder| builder);
    let _gate = stage.gate("gate");
    stage.hosts(&hosts.replace("GATE", stage.at("gate").to_str().unwrap()));
    let report = stage.build("b-1", "all").final_report();
    says(&report, "failed", "build_failed", &["0 of 3 built; failed: web1"]);
    for name in ["db1", "web2"] {
        assert_eq!(host(&report, name)["state"], "skipped", "{report:#}");
        assert_eq!(host(&report, name)["error"], "another host failed", "{report:#}");
    }
}

#[test]
fn at_most_parallel_hosts_are_built_at_a_time() {
    let (two, one) = ("parallel = 2", "parallel = 1");
    for (top, most) in [(two, 2), (one, 1)] {
        let stage = Stage::with("", top, |builder| builder);
        let here = stage.at("");
        let name = |n: usize| format!("h{n}");
        let script = format!(
            "echo > {0}$name; ls {0} | grep -c ^h >> {0}most; sleep 0.3; rm {0}$name; echo > $out",
            here.display()
        );
        let each = |n: usize| format!("{0} = sh \"{0}\" \"name={0}; {script}\";\n", name(n));
        // The directory also contains nix's home.
        stage.hosts(&(0..5).map(each).collect::<String>());
        says(&stage.build("b-1", "all").final_report(), "completed", "", &["5 of 5 built"]);
        let seen = fs::read_to_string(stage.at("most")).unwrap();
        let seen: Vec<usize> = seen.lines().map(|line| line.parse::<usize>().unwrap() - 1).collect();
        assert_eq!(seen.iter().max(), Some(&most), "{seen:?}");
    }
}

#[test]
fn every_line_of_a_build_names_its_id_repository_target_and_action() {
    let mut stage = Stage::new(THREE);
    stage.build("b-1", "all").final_report();
    for message in ["accepted a build", "starting build", "host failed to build", "build finished"] {
        let line = stage.builder.last_log(message);
        for (field, value) in [("id", "b-1"), ("repo", "infra"), ("target", "all"), ("action", "build")] {
            assert_eq!(line[field], value, "{line}");
        }
        let host = if message == "host failed to build" { json!("web2") } else { json!(null) };
        assert_eq!(line["host"], host, "{line}");
    }
    stage.build("b-2", "web1").final_report();
    assert_eq!(stage.builder.wait_for_log("build finished")["host"], "web1");
}
