//! Passes an input to every public parser of its kind, and the result to the functions that use it.

use crate::corpus::Kind;
use homelab_deploy::activation::ProgressMarker;
use homelab_deploy::builder::BuildRules;
use homelab_deploy::client::{BatchSize, Canary, LogSplicer, OrderKey, RolloutStrategy, Target, parse_pause};
use homelab_deploy::config::Config;
use homelab_deploy::git::without_userinfo;
use homelab_deploy::keys::{parse_fleet_file, render_authorization};
use homelab_deploy::metrics::Address;
use homelab_deploy::nats::{ConnectionSettings, display_servers};
use homelab_deploy::nix::{FlakeUrl, LogTail, ProgressReader, parse_unit_changes};
use homelab_deploy::protocol::{
    BuildReport, BuildRequest, DeployReport, DeployRequest, Id, Inbound, LogLine, Name, Presence, PublicKey,
    Purpose, Query, QueryReply, ReplyTo, Revision, check_hold_reason, check_request_subject,
    decode_signature, expand_template, overlaps, signed_bytes,
};
use homelab_deploy::text::{closest_matches, fitting_prefix, fitting_suffix, holds_seed, printable};
use homelab_deploy::tui::{Chord, Filter};
use std::path::Path;
use std::str::FromStr;

/// Whether one of the parsers accepts the input.
pub(crate) fn feed(kind: Kind, bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let text = text.as_ref();
    match kind {
        Kind::Message => message(bytes),
        Kind::Text => short(text),
        Kind::Typed => typed(text),
        Kind::Header => {
            let signature = decode_signature(text).unwrap_or_default();
            let key = PublicKey::parse(text);
            if let Ok(key) = &key {
                key.has_signed(&signed_bytes(Purpose::of_response(text), None, text, bytes), &signature);
            }
            key.is_ok() || !signature.is_empty()
        }
        Kind::Flake => {
            without_userinfo(text);
            let flake = FlakeUrl::from_str(text);
            if let Ok(flake) = &flake {
                flake.remote();
                flake.without_credentials();
                flake.redact(text);
                flake.mask(text);
            }
            flake.is_ok()
        }
        Kind::Log => log(text),
        Kind::FleetFile => {
            let users = parse_fleet_file(text, "fleet.toml".as_ref());
            if let Err(error) = &users {
                let _ = error.to_string();
            }
            users.map(|users| render_authorization(&users)).is_ok()
        }
        Kind::Config => {
            let config = Config::parse(text, Path::new("config.toml"), Some(Path::new("/home/a")));
            config.map_err(|error| error.to_string()).is_ok()
        }
        Kind::Builder => {
            BuildRules::parse(text, Path::new("builder.toml")).map_err(|error| error.to_string()).is_ok()
        }
    }
}

fn message(bytes: &[u8]) -> bool {
    let at = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let subject = String::from_utf8_lossy(&bytes[..at]);
    let payload = bytes.get(at + 1..).unwrap_or_default();
    let mut taken = Inbound::parse(&subject, payload).is_ok();
    taken |= DeployRequest::parse(payload).map(|request| request.encode()).is_ok();
    taken |= DeployReport::parse(payload).map(|report| report.encode()).is_ok();
    taken |= Presence::parse(payload).map(|answer| answer.encode()).is_ok();
    taken |= Query::parse(payload).map(|query| query.encode()).is_ok();
    taken |= QueryReply::parse(payload).map(|answer| answer.encode()).is_ok();
    taken |= BuildRequest::parse(payload).map(|request| request.encode()).is_ok();
    taken |= BuildReport::parse(payload).map(|report| report.encode()).is_ok();
    if let Ok(line) = LogLine::parse(payload) {
        line.encode();
        let mut joiner = LogSplicer::new(line.offset / 2);
        joiner.add(line.offset, line.text.clone());
        joiner.add(line.offset.saturating_sub(3), line.text);
        joiner.take();
        joiner.gap();
        joiner.end();
        taken = true;
    }
    taken
}

fn short(text: &str) -> bool {
    let (shown, half) = (printable(text), text.len() / 2);
    fitting_prefix(text, half);
    fitting_suffix(text, half);
    fitting_prefix(&shown, half);
    holds_seed(text);
    closest_matches(text, ["web1", "deploy", "é"]);
    let (host, tier) = (Name::new("web1").unwrap(), Name::new("prod").unwrap());
    let mut taken = expand_template(text, &host, &tier, None, true).is_ok();
    overlaps(text, "deploy.prod.>");
    overlaps("deploy.*.web1", text);
    taken |= Name::new(text).is_ok();
    taken |= Id::new(text).is_ok();
    taken |= Revision::new(text).is_ok();
    taken |= ReplyTo::parse(text).is_ok();
    taken |= check_request_subject(text).is_ok();
    taken |= Address::from_str(text).is_ok();
    taken |= check_hold_reason(text).is_ok();
    taken |= display_servers(text).is_ok();
    taken |= ConnectionSettings::new(text, None, "test", "test")
        .map(|settings| settings.server_hostnames())
        .is_ok();
    taken
}

fn typed(text: &str) -> bool {
    let mut taken = Filter::parse(text).is_ok();
    taken |= Chord::parse(text).is_ok();
    taken |= BatchSize::from_str(text).is_ok();
    taken |= OrderKey::parse_list(text).is_ok();
    taken |= RolloutStrategy::parse(text.split(' ')).is_ok();
    taken |= Canary::from_str(text).is_ok();
    taken |= parse_pause(text).is_ok();
    taken |= Target::parse(text, |_| None).is_ok();
    taken
}

fn log(text: &str) -> bool {
    let (mut progress, mut tail) = (ProgressReader::new(), LogTail::of(512));
    for line in text.split('\n') {
        ProgressMarker::parse(line);
        progress.line(line);
        progress.progress();
        tail.push(line);
    }
    tail.text();
    parse_unit_changes(text);
    printable(text);
    true
}
