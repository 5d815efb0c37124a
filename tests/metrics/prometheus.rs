//! A real Prometheus reads the page across a restart, the alerts and the dashboard. `make test-metrics` installs it and
//! runs these tests.

use crate::builder::Stage as Builder;
use crate::common::{DEADLINE, eventually};
use crate::dashboard;
use crate::host::Stage as RealHost;
use crate::page::{address, deployments_series, get, measured, try_get, with_metrics};
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// Two hosts of a builder: one builds and the other does not.
pub(crate) const TWO: &str = r#"
    web1 = sh "web1" "echo one > $out";
    web2 = sh "web2" "exit 1";
"#;

/// A server that scrapes its targets ten times a second, and stops on drop.
struct Prometheus {
    server: Child,
    address: String,
    _dir: TempDir,
}

impl Prometheus {
    fn of(targets: &[&str]) -> Self {
        let dir = TempDir::new().unwrap();
        let config = format!(
            "global: {{scrape_interval: 100ms, scrape_timeout: 100ms}}\n\
             scrape_configs:\n- job_name: homelab-deploy\n  static_configs:\n  - targets: {targets:?}\n"
        );
        fs::write(dir.path().join("prometheus.yml"), config).unwrap();
        let address = free_address();
        let server = Command::new("prometheus")
            .current_dir(dir.path())
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(dir.path().join("log")).unwrap())
            .spawn()
            .expect("prometheus starts; `make test-metrics` installs it");
        let server = Self { server, address, _dir: dir };
        eventually("Prometheus being ready", || {
            try_get(&server.address, "/-/ready").ok().filter(|reply| reply.status == 200)
        });
        server
    }

    /// The result of a query, or the error.
    fn query(&self, query: &str) -> Result<Value, String> {
        let reply = get(&self.address, &format!("/api/v1/query?query={}", encoded(query)));
        let response: Value = serde_json::from_str(&reply.body).unwrap();
        match response["status"].as_str() {
            Some("success") => Ok(response["data"]["result"].clone()),
            _ => Err(response["error"].to_string()),
        }
    }

    /// The value of the first sample; `None` if there is none.
    fn value(&self, query: &str) -> Option<f64> {
        let result = self.query(query).unwrap();
        result[0]["value"][1].as_str()?.parse().ok()
    }

    /// Waits until a query has this value.
    fn until(&self, query: &str, value: f64) {
        let mut last = None;
        let started = std::time::Instant::now();
        while last != Some(value) {
            assert!(started.elapsed() < DEADLINE, "{query} is {last:?}, not {value}");
            last = self.value(query);
            std::thread::park_timeout(std::time::Duration::from_millis(20));
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// An address that was free when this function returned.
fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

/// Runs promtool, which must succeed without output on standard error.
fn promtool(arguments: &[&str], input: &str) {
    let mut tool = Command::new("promtool")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("nixos"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool starts; `make test-metrics` installs it");
    tool.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let ended = tool.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(ended.status.success() && errors.is_empty(), "promtool {arguments:?}: {errors}\n{input}");
}

#[test]
#[ignore = "needs prometheus: make test-metrics"]
fn promtool_accepts_the_page() {
    let mut stage = measured("");
    let address = address(&mut stage.host);
    promtool(&["check", "metrics"], &get(&address, "/metrics").body);
    stage.completes("p-1");
    promtool(&["check", "metrics"], &get(&address, "/metrics").body);
}

#[test]
#[ignore = "needs prometheus: make test-metrics"]
fn prometheus_sees_a_deployment_across_a_restart_without_a_reset() {
    let target = free_address();
    let mut stage = RealHost::with(|host| host.args(&["--metrics-enabled", "--metrics-addr", &target]));
    let gate = stage.gate("gate");
    stage.fault("v2", "test", "read _ < $STAGE/gate");
    let prometheus = Prometheus::of(&[&target]);
    let completed = deployments_series("completed", "switch", "");
    prometheus.until(&completed, 0.0);
    assert_eq!(stage.deploy("p-1", "switch", "v1").final_report()["status"], "completed");
    prometheus.until(&completed, 1.0);

    // This job waits in activate when its listener dies.
    let reports = stage.deploy("p-2", "switch", "v2");
    stage.called("v2 test");
    prometheus.until("homelab_deploy_deployment_in_progress", 1.0);
    stage.host.kill();
    prometheus.until("up", 0.0);
    stage.host.restart();
    prometheus.until("homelab_deploy_deployment_in_progress", 1.0);
    gate.pass();
    assert_eq!(reports.final_report()["status"], "completed");

    prometheus.until(&completed, 2.0);
    prometheus.until("sum(homelab_deploy_deployments_total)", 2.0);
    prometheus.until("sum(homelab_deploy_deployment_duration_seconds_count)", 2.0);
    prometheus.until("homelab_deploy_phase_duration_seconds_count{phase=\"activate\"}", 2.0);
    prometheus.until("homelab_deploy_deployment_in_progress", 0.0);
    for name in ["deployments_total", "rollbacks_total", "last_success_timestamp_seconds"] {
        prometheus.until(&format!("max(resets(homelab_deploy_{name}[1h]))"), 0.0);
    }
    for name in ["deployment", "phase"] {
        for part in ["bucket", "sum", "count"] {
            let query = format!("max(resets(homelab_deploy_{name}_duration_seconds_{part}[1h]))");
            prometheus.until(&query, 0.0);
        }
    }
    // Every successful scrape had every series, including the first scrape.
    let lacking = "sum_over_time(up[1h]) - on (instance) count_over_time(homelab_deploy_rollbacks_total[1h])";
    prometheus.until(lacking, 0.0);
}

#[test]
#[ignore = "needs prometheus: make test-metrics"]
fn the_alerts_are_well_formed_and_fire_when_they_should() {
    promtool(&["check", "rules", "alerts.yml"], "");
    promtool(&["test", "rules", "alerts.test.yml", "alerts.days.test.yml"], "");
}

#[test]
#[ignore = "needs prometheus: make test-metrics"]
fn prometheus_accepts_every_query_of_the_dashboard_and_the_alerts() {
    let mut stage = measured("");
    stage.completes("p-1");
    // A failed build has a separate panel.
    let mut building = Builder::with(TWO, "", with_metrics);
    building.build("p-2", "all").final_report();
    let prometheus = Prometheus::of(&[&address(&mut stage.host), &address(&mut building.builder)]);
    prometheus.until(&deployments_series("completed", "switch", ""), 1.0);
    // `increase` needs more than one sample.
    for info in ["homelab_deploy_info", "homelab_deploy_builder_info"] {
        prometheus.until(&format!("count_over_time({info}[1h]) >= bool 5"), 1.0);
    }
    for query in dashboard::queries().into_iter().chain(dashboard::alerts()) {
        let result = prometheus.query(&dashboard::filled_in(&query));
        assert!(result.is_ok(), "{query}: {result:?}");
    }
    // A healthy host and a healthy builder appear in every panel and cause no alert.
    for query in dashboard::queries().into_iter().filter(|query| !dashboard::asks_node_exporter(query)) {
        let result = prometheus.query(&dashboard::filled_in(&query)).unwrap();
        assert!(result.as_array().is_some_and(|samples| !samples.is_empty()), "no samples from {query}");
    }
    for query in dashboard::alerts() {
        assert_eq!(prometheus.query(&query).unwrap(), Value::Array(Vec::new()), "{query}");
    }
}
