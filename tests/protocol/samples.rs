//! A message of each kind with every field set, as JSON, and helpers for names and ids.

use homelab_deploy::protocol::{Id, Name};
use serde_json::{Value, json};

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub(crate) fn id(text: &str) -> Id {
    Id::new(text).unwrap()
}

pub(crate) fn bytes(message: &Value) -> Vec<u8> {
    serde_json::to_vec(message).unwrap()
}

pub(crate) fn json_of(message: &[u8]) -> Value {
    serde_json::from_slice(message).unwrap()
}

/// Sets a top-level field of the message.
pub(crate) fn with(mut message: Value, field: &str, value: Value) -> Value {
    message[field] = value;
    message
}

/// Removes a top-level field of the message.
pub(crate) fn without(mut message: Value, field: &str) -> Value {
    message.as_object_mut().unwrap().remove(field);
    message
}

pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

pub(crate) fn request() -> Value {
    json!({
        "action": "switch", "revision": "feature/x", "reply_to": "deploy.responses.d1", "id": "d1",
        "issued_at": "2026-11-21T09:00:00Z", "expires_at": "2026-11-21T09:01:00Z", "issuer": "alice",
        "commit": COMMIT, "timeout_s": 600, "on_failure": "keep", "reason": "disk swap", "job": "d0",
        "generation": 41,
    })
}

/// A request for a host with services.
pub(crate) fn service_request() -> Value {
    with(with(request(), "services", json!(["mosquitto", "zigbee2mqtt"])), "prune", json!(true))
}

pub(crate) fn report() -> Value {
    json!({
        "hostname": "web1", "status": "failed", "error": "activation_failed", "message": "it did not start",
        "id": "d1", "tier": "prod", "role": "dns", "action": "switch", "revision": "master",
        "issuer": "alice", "instance": "i1", "seq": 3_000_007, "at": "2026-11-21T09:00:05Z",
        "elapsed_ms": 5000, "heartbeat_s": 10, "commit": COMMIT, "system": "/nix/store/x-nixos",
        "generation": 42,
        "phases": [
            {"name": "prepare", "state": "done", "elapsed_ms": 12},
            {"name": "activate", "state": "failed", "elapsed_ms": 900},
        ],
        "components": [
            {"name": "mosquitto", "state": "unchanged", "elapsed_ms": 3},
            {"name": "zigbee2mqtt", "state": "failed", "elapsed_ms": 900, "message": "unhealthy"},
        ],
        "progress": {
            "done": 3, "expected": 9, "running": 2, "downloaded_bytes": 1024, "expected_bytes": 4096,
            "activity": "building hello",
        },
        "rolled_back": true, "reboot_needed": false,
        "changes": {
            "units_stopped": ["a.service"], "units_started": ["b.service"], "units_restarted": ["c.service"],
            "packages": [{"name": "openssl", "from": "3.0", "to": "3.1"}], "bytes": -17,
        },
        "failed_units": ["b.service"], "running_job": "d0", "cause": "b: exit 1", "diagnostics": "b.service: exit 1",
    })
}

pub(crate) fn presence() -> Value {
    json!({
        "query": "host", "id": "q1", "hostname": "web1", "tier": "prod", "role": "dns",
        "deploy_subjects": ["deploy.prod.web1", "deploy.prod.all"], "instance": "i1", "version": "0.1.0",
        "os_version": "NixOS 26.05", "revision": "master", "commit": COMMIT,
        "system": "/nix/store/x-nixos", "generation": 42, "booted_system": "/nix/store/w-nixos",
        "reboot_needed": true, "failed_units": ["b.service"], "booted_at": "2026-11-01T00:00:00Z",
        "flake_url": "git+https://git.example/fleet", "nix_free_bytes": 1, "boot_free_bytes": 2, "state_free_bytes": 3,
        "warnings": ["the disk is nearly full"], "held": "disk swap", "restarting": false, "job": report(), "last_change": report(),
        "deployed_at": "2026-11-20T09:00:00Z",
        "engine": "compose", "components": ["mosquitto", "zigbee2mqtt"],
        "capabilities": ["build", "rollback"], "public_key": "UA", "trusted_keys": ["UB", "UC"], "interval_s": 60, "online": true,
    })
}

pub(crate) fn query() -> Value {
    json!({
        "reply_to": "deploy.responses.ask.q1", "tier": "prod", "role": "dns", "hosts": ["web1", "web2"],
        "query": "log", "id": "d1", "limit": 20, "before": "d0", "offset": 4096,
    })
}

pub(crate) fn job_reply() -> Value {
    json!({"query": "job", "id": "d1", "hostname": "web1", "report": report()})
}

pub(crate) fn history_reply() -> Value {
    json!({
        "query": "history", "hostname": "web1", "next": "d0",
        "entries": [{
            "id": "d1", "at": "2026-11-21T09:00:00Z", "action": "switch", "status": "failed",
            "error": "timeout", "issuer": "alice", "key": "UALICE", "revision": "master", "commit": COMMIT, "generation": 42,
            "elapsed_ms": 61_000,
        }],
    })
}

pub(crate) fn log_reply() -> Value {
    json!({
        "query": "log", "id": "d1", "hostname": "web1", "offset": 7, "text": "building\n", "eof": true,
        "running": true,
    })
}

pub(crate) fn log_line() -> Value {
    json!({"id": "d1", "hostname": "web1", "offset": 16, "text": "done\n"})
}

pub(crate) fn build_request() -> Value {
    json!({
        "target": "web1", "repo": "fleet", "branch": "master", "reply_to": "build.responses.b1", "id": "b1",
        "issued_at": "2026-11-21T09:00:00Z", "expires_at": "2026-11-21T09:01:00Z", "issuer": "alice",
    })
}

pub(crate) fn build_report() -> Value {
    json!({
        "target": "all", "repo": "fleet", "status": "failed", "error": "build_failed",
        "message": "1 of 2 failed", "id": "b1", "seq": 4, "at": "2026-11-21T09:05:00Z", "commit": COMMIT,
        "hosts": [{
            "hostname": "web1", "state": "failed", "elapsed_ms": 100, "system": "/nix/store/x",
            "error": "build_failed", "log_tail": "error: oops",
        }],
        "done": 1, "expected": 2,
    })
}
