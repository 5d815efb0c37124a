//! `/health`: whether the listener can accept a deployment now.

use crate::common::{HostBuilder, NatsServer, eventually};
use crate::page::{MetricsPage, address, get, measured, with_metrics};
use std::collections::BTreeSet;
use std::fs;
use std::time::Instant;

#[test]
fn health_is_ok_while_connected_and_otherwise_has_a_reason() {
    let mut nats = NatsServer::start();
    let mut host = with_metrics(HostBuilder::new(&nats, "web1", "test", "web")).start();
    let address = address(&mut host);
    let health = || {
        let reply = get(&address, "/health");
        (reply.status, reply.body)
    };
    eventually("health", || (health() == (200, "ok".to_owned())).then_some(()));
    nats.stop();
    host.wait_for_log("not connected");
    let (status, reason) = health();
    assert_eq!(status, 503);
    assert!(reason.starts_with("not connected to the server: "), "{reason}");
    assert_eq!(MetricsPage::of(&mut host).count("homelab_deploy_nats_connected"), 0);
    nats.restart();
    host.wait_for_log("connected");
    eventually("health", || (health() == (200, "ok".to_owned())).then_some(()));
}

#[test]
fn health_reports_that_there_never_was_a_connection() {
    let mut nats = NatsServer::start();
    nats.stop();
    let mut host = with_metrics(HostBuilder::new(&nats, "web1", "test", "web")).launch();
    let address = address(&mut host);
    host.last_log("not connected");
    let reply = get(&address, "/health");
    assert_eq!(reply.status, 503);
    assert!(reply.body.contains("Connection refused"), "{}", reply.body);
}

#[test]
fn a_job_store_that_cannot_be_written_to_is_not_ok() {
    let mut stage = measured("");
    let address = address(&mut stage.host);
    let jobs = stage.host.file("state/jobs");
    fs::remove_dir(&jobs).unwrap();
    fs::write(&jobs, "not a directory").unwrap();
    let reply = get(&address, "/health");
    assert_eq!(reply.status, 503);
    let expected = format!("could not write {}/.probe: Not a directory", jobs.display());
    assert!(reply.body.starts_with(&expected), "{}", reply.body);
    fs::remove_file(&jobs).unwrap();
    fs::create_dir(&jobs).unwrap();
    eventually("health", || (get(&address, "/health").body == "ok").then_some(()));
    assert_eq!(fs::read_dir(&jobs).unwrap().count(), 0);
}

/// Each check changes the modification time of the directory.
#[test]
fn many_concurrent_health_checks_cause_one_write_a_second() {
    let mut stage = measured("");
    let address = address(&mut stage.host);
    let jobs = stage.host.file("state/jobs");
    let started = Instant::now();
    let changes: BTreeSet<_> = (0..60)
        .map(|_| {
            assert_eq!(get(&address, "/health").body, "ok");
            fs::metadata(&jobs).unwrap().modified().unwrap()
        })
        .collect();
    let most = started.elapsed().as_secs() + 1;
    assert!(changes.len() as u64 <= most, "{} writes, at most {most} expected", changes.len());
}
