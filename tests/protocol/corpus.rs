//! Valid inputs for every parser.

use crate::samples;
use nkeys::{KeyPair, KeyPairType};
use serde_json::Value;

/// The parser of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A message, preceded by its subject and a line break.
    Message,
    /// A short string: a name, id, revision, subject, template or address.
    Text,
    /// A string that a user types: a target, filter, key or batch size.
    Typed,
    /// A header with a key or a signature.
    Header,
    /// A flake URL.
    Flake,
    /// Log lines of nix, of a rebuild program, or of an activation.
    Log,
    /// A fleet file.
    FleetFile,
    /// An operator's configuration file.
    Config,
    /// A builder's configuration file.
    Builder,
}

/// A valid input, with its parser.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(crate) kind: Kind,
    pub(crate) bytes: Vec<u8>,
}

const TEXTS: [&str; 14] = [
    "web1",
    "018f3c1e-7b1a-7c3d-8e4f-5a6b7c8d9e0f",
    "feature/nginx-1.27",
    samples::COMMIT,
    "deploy.prod.ns1",
    "deploy.responses.ask.d1",
    "deploy.<tier>.<hostname>",
    "deploy.responses.d1.log.web1",
    "switch",
    "127.0.0.1:9972",
    "[::1]:9972",
    "the disk is swapped on Monday",
    "nats://user:pass@nats.example.org:4222,tls://[::1]:4223",
    "build.responses.b1",
];
const TYPED: [&str; 8] = [
    "tier:prod role:dns state:failed web",
    "ctrl-c",
    "web1",
    "25%",
    "10m",
    "1,25%,100%",
    "dns prod -offline",
    "deploy.prod.all",
];
const FLAKES: [&str; 7] = [
    "git+https://user:token@git.example.org/fleet?dir=hosts",
    "git+ssh://git@git.example.org:2222/fleet.git",
    "github:owner/fleet",
    "git+ssh://git.example.org/fleet",
    "path:/etc/nixos",
    "git+file:///srv/fleet",
    "git+http://git.example.org/fleet",
];
const LOGS: [&str; 5] = [
    "@nix {\"action\":\"start\",\"id\":7,\"level\":3,\"type\":105,\"text\":\"building\",\"parent\":0,\"fields\":[\"/nix/store/x.drv\",\"\",1,1]}\n\
     @nix {\"action\":\"result\",\"id\":7,\"type\":101,\"fields\":[\"compiling\"]}\n\
     @nix {\"action\":\"result\",\"id\":7,\"type\":105,\"fields\":[1,9,2,0]}\n@nix {\"action\":\"stop\",\"id\":7}",
    "@homelab-deploy {\"phase\":\"build\",\"done\":3,\"expected\":9,\"activity\":\"building nginx\",\"message\":\"so far\"}",
    "error: builder for '/nix/store/x-foo-1.2.drv' failed with exit code 2;\n       last 3 log lines:\n       > make: *** [all] Error 1",
    "stopping the following units: a.service, b.service\nwarning: the following units failed: b.service\n",
    "building '/nix/store/x-linux-6.12.drv'...\ncopying path '/nix/store/y-hello' from 'https://cache.example.org'...",
];
const CONFIG: &str = r#"context = "home"
[contexts.home]
nats_url = "nats://nats.example.org"
nkey_file = "~/deployer.nkey"
branch = "main"
[contexts.home.aliases]
dns = "deploy.prod.dns"
[contexts.home.hosts.ns1]
tier = "prod"
"#;
const BUILDER: &str = r#"timeout = "2h"
[repos.infra]
url = "git+https://git.example.org/infra"
"#;

/// Returns all samples.
pub(crate) fn samples() -> Vec<Sample> {
    let texts = |kind, texts: &[&str]| -> Vec<Sample> {
        texts.iter().map(|text| Sample { kind, bytes: text.as_bytes().to_vec() }).collect()
    };
    let message = |subject: &str, message: Value| {
        let bytes = [subject.as_bytes(), b"\n", &samples::bytes(&message)].concat();
        Sample { kind: Kind::Message, bytes }
    };
    let key = KeyPair::new_from_raw(KeyPairType::User, [7; 32]).unwrap().public_key();
    let other = KeyPair::new_from_raw(KeyPairType::User, [8; 32]).unwrap().public_key();
    let fleet = format!(
        "[hosts.ns1]\ntier = \"prod\"\nrole = \"dns\"\npublic_key = \"{key}\"\n[operators.alice]\nkind = \"admin\"\npublic_key = \"{other}\"\n"
    );
    let mut all = vec![
        message("deploy.prod.web1", samples::request()),
        message("deploy.responses.d1", samples::report()),
        message("deploy.responses.presence", samples::presence()),
        message("deploy.responses.ask.q1", samples::presence()),
        message("deploy.discover", samples::query()),
        message("deploy.responses.ask.q1", samples::job_reply()),
        message("deploy.responses.ask.q1", samples::history_reply()),
        message("deploy.responses.ask.q1", samples::log_reply()),
        message("deploy.responses.d1.log.web1", samples::log_line()),
        message("build.web1", samples::build_request()),
        message("build.responses.b1", samples::build_report()),
    ];
    all.extend(texts(Kind::Text, &TEXTS));
    all.extend(texts(Kind::Typed, &TYPED));
    all.extend(texts(Kind::Header, &[&key, &"A".repeat(86)]));
    all.extend(texts(Kind::Flake, &FLAKES));
    all.extend(texts(Kind::Log, &LOGS));
    all.extend(texts(Kind::FleetFile, &[&fleet]));
    all.extend(texts(Kind::Config, &[CONFIG]));
    all.extend(texts(Kind::Builder, &[BUILDER]));
    all
}
