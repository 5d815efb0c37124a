//! Hands an input to every public parser of its kind, and what was read on to what is done with it.

use crate::corpus::Kind;
use homelab_deploy::activation::PhaseLine;
use homelab_deploy::builder::Rules;
use homelab_deploy::bus::{Settings, shown_servers};
use homelab_deploy::config::Config;
use homelab_deploy::deployer::{Batch, Canary, Joiner, OrderKey, Target, Waves, parse_pause};
use homelab_deploy::keys::{parse_fleet_file, render_authorization};
use homelab_deploy::metrics::Address;
use homelab_deploy::nix::{FlakeUrl, LogTail, ProgressReader, units_of_activation, without_userinfo};
use homelab_deploy::protocol::{
    Answer, Ask, BuildReport, BuildRequest, DeployReport, DeployRequest, HostAnswer, Id, Inbound, LogLine,
    Name, PublicKey, Purpose, ReplyTo, Revision, check_literal, decode_signature, expand, fit_end, fit_start,
    holds_seed, near, overlaps, printable, reason, signed_bytes,
};
use homelab_deploy::tui::{Chord, Filter};
use std::path::Path;
use std::str::FromStr;

/// Whether one of the parsers takes it.
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
                flake.scrub(text);
                flake.mask(text);
            }
            flake.is_ok()
        }
        Kind::Log => log(text),
        Kind::FleetFile => {
            let users = parse_fleet_file(text);
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
            Rules::parse(text, Path::new("builder.toml")).map_err(|error| error.to_string()).is_ok()
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
    taken |= HostAnswer::parse(payload).map(|answer| answer.encode()).is_ok();
    taken |= Ask::parse(payload).map(|ask| ask.encode()).is_ok();
    taken |= Answer::parse(payload).map(|answer| answer.encode()).is_ok();
    taken |= BuildRequest::parse(payload).map(|request| request.encode()).is_ok();
    taken |= BuildReport::parse(payload).map(|report| report.encode()).is_ok();
    if let Ok(line) = LogLine::parse(payload) {
        line.encode();
        let mut joiner = Joiner::new(line.offset / 2);
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
    fit_start(text, half);
    fit_end(text, half);
    fit_start(&shown, half);
    holds_seed(text);
    near(text, ["web1", "deploy", "é"]);
    let (host, tier) = (Name::new("web1").unwrap(), Name::new("prod").unwrap());
    let mut taken = expand(text, &host, &tier, None, true).is_ok();
    overlaps(text, "deploy.prod.>");
    overlaps("deploy.*.web1", text);
    taken |= Name::new(text).is_ok();
    taken |= Id::new(text).is_ok();
    taken |= Revision::new(text).is_ok();
    taken |= ReplyTo::parse(text).is_ok();
    taken |= check_literal(text).is_ok();
    taken |= Address::from_str(text).is_ok();
    taken |= reason(text).is_ok();
    taken |= shown_servers(text).is_ok();
    taken |= Settings::new(text, None, "test", "test").map(|settings| settings.machines()).is_ok();
    taken
}

fn typed(text: &str) -> bool {
    let mut taken = Filter::parse(text).is_ok();
    taken |= Chord::parse(text).is_ok();
    taken |= Batch::from_str(text).is_ok();
    taken |= OrderKey::parse_list(text).is_ok();
    taken |= Waves::parse(text.split(' ')).is_ok();
    taken |= Canary::from_str(text).is_ok();
    taken |= parse_pause(text).is_ok();
    taken |= Target::parse(text, |_| None).is_ok();
    taken
}

fn log(text: &str) -> bool {
    let (mut progress, mut tail) = (ProgressReader::new(), LogTail::of(512));
    for line in text.split('\n') {
        PhaseLine::parse(line);
        progress.line(line);
        progress.progress();
        tail.push(line);
    }
    tail.text();
    units_of_activation(text);
    printable(text);
    true
}
