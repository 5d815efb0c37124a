//! `/health`: whether a deployment could be taken now.

use crate::common::{Broker, HostBuilder, eventually};
use crate::page::{Page, address, get, measured, served};
use std::collections::BTreeSet;
use std::fs;
use std::time::Instant;

#[test]
fn it_is_ok_while_connected_and_says_why_it_is_not() {
    let mut broker = Broker::start();
    let mut host = served(HostBuilder::new(&broker, "web1", "test", "web")).start();
    let address = address(&mut host);
    let health = || {
        let reply = get(&address, "/health");
        (reply.status, reply.body)
    };
    eventually("health", || (health() == (200, "ok".to_owned())).then_some(()));
    broker.stop();
    host.logged("not connected");
    let (status, said) = health();
    assert_eq!(status, 503);
    assert!(said.starts_with("not connected to the server: "), "{said}");
    assert_eq!(Page::of(&mut host).count("homelab_deploy_nats_connected"), 0);
    broker.restart();
    host.logged("connected");
    eventually("health", || (health() == (200, "ok".to_owned())).then_some(()));
}

#[test]
fn it_tells_when_there_never_was_a_connection() {
    let mut broker = Broker::start();
    broker.stop();
    let mut host = served(HostBuilder::new(&broker, "web1", "test", "web")).launch();
    let address = address(&mut host);
    host.has_logged("not connected");
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
    fs::write(&jobs, "not a folder").unwrap();
    let reply = get(&address, "/health");
    assert_eq!(reply.status, 503);
    let expected = format!("could not write {}/.probe: Not a directory", jobs.display());
    assert!(reply.body.starts_with(&expected), "{}", reply.body);
    fs::remove_file(&jobs).unwrap();
    fs::create_dir(&jobs).unwrap();
    eventually("health", || (get(&address, "/health").body == "ok").then_some(()));
    assert_eq!(fs::read_dir(&jobs).unwrap().count(), 0);
}

/// Each check leaves another time of change on the directory.
#[test]
fn many_that_ask_at_once_cause_one_write_a_second() {
    let mut stage = measured("");
    let address = address(&mut stage.host);
    let jobs = stage.host.file("state/jobs");
    let begun = Instant::now();
    let changes: BTreeSet<_> = (0..60)
        .map(|_| {
            assert_eq!(get(&address, "/health").body, "ok");
            fs::metadata(&jobs).unwrap().modified().unwrap()
        })
        .collect();
    let most = begun.elapsed().as_secs() + 1;
    assert!(changes.len() as u64 <= most, "{} writes, at most {most} expected", changes.len());
}
