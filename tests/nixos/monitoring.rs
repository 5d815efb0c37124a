//! The module for the host of Prometheus and Grafana.

use crate::evaluate::{Library, file};
use crate::store::Store;
use serde_json::{Value, json};
use std::fs;

const SETTINGS: &str =
    "services.homelab-deploy.monitoring = { enable = true; targets = [ \"ns1:9972\" \"cache:9973\" ]; };";

#[test]
fn prometheus_scrapes_the_fleet_and_has_its_alerts() {
    for library in Library::all() {
        let host = library.evaluate(SETTINGS);
        let prometheus = &host["prometheus"];
        assert_eq!(prometheus["enable"], true);
        let targets = json!([{"targets": ["ns1:9972", "cache:9973"]}]);
        let job = json!([{"job_name": "homelab-deploy", "static_configs": targets}]);
        assert_eq!(prometheus["scrapeConfigs"], job, "{library:?}");
        let alerts = fs::read_to_string(file("nixos/alerts.yml")).unwrap();
        for job in alerts.split("job=").skip(1) {
            assert!(job.starts_with("\"homelab-deploy\""), "the alerts expect another job: {job}");
        }
        // The file of the module, which is a store path in the JSON.
        let files = prometheus["ruleFiles"].as_array().unwrap();
        let [alerts] = &files[..] else { panic!("{files:?}") };
        assert!(alerts.as_str().unwrap().ends_with("-alerts.yml"), "{alerts}");
        assert_eq!(host["grafana"]["provision"]["enable"], false);
        assert_eq!(library.evaluate("")["prometheus"]["scrapeConfigs"], json!([]));
    }
}

#[test]
fn grafana_has_the_dashboard() {
    let settings = format!("{SETTINGS} services.grafana.enable = true;");
    for library in Library::all() {
        let provision = library.evaluate(&settings)["grafana"]["provision"].clone();
        assert_eq!(provision["enable"], true);
        let providers = provision["dashboards"]["settings"]["providers"].as_array().unwrap();
        let [provider] = &providers[..] else { panic!("{providers:?}") };
        assert_eq!(provider["name"], "homelab-deploy");
        let store = Store::new();
        let provider = "grafana.provision.dashboards.settings.providers.0";
        let directory = store.build(&library, &settings, &format!("{provider}.options.path"));
        let path = directory.join("homelab-deploy.json");
        let dashboard = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let dashboard: Value = serde_json::from_slice(&dashboard).unwrap();
        assert_eq!(dashboard["uid"], "homelab-deploy");
    }
}

#[test]
fn invalid_targets_are_rejected() {
    for library in Library::all() {
        let failed = |settings: &str| library.try_evaluate(settings).unwrap()["failed"].clone();
        let none = "services.homelab-deploy.monitoring.enable = true;";
        let expected = "services.homelab-deploy.monitoring.targets must be set, for example to (lib.fleet \
                        self.nixosConfigurations).targets; that list is empty if no host sets listener.metrics.enable.";
        assert_eq!(failed(none), json!([expected]), "{library:?}");
        let wrong = SETTINGS.replace("ns1:9972", "http://ns1:9972/metrics");
        let expected = "services.homelab-deploy.monitoring.targets: http://ns1:9972/metrics: expected a host and a port, such as \
                        \"ns1:9972\".";
        assert_eq!(failed(&wrong), json!([expected]), "{library:?}");
    }
}
