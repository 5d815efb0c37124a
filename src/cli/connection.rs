//! How operator commands connect.

use super::exit::Failed;
use crate::bus::{Bus, Seed, Settings, Tls};
use crate::deployer::{Operator, Roster};
use anyhow::Context;
use clap::Args;
use std::fs::File;
use std::path::PathBuf;

/// A subject every operator may subscribe to; nobody publishes there.
const PING_SUBJECT: &str = "deploy.responses.ask.ping";

/// The server and the key.
#[derive(Debug, Args)]
#[command(next_help_heading = "Connection")]
pub(super) struct ConnectionArgs {
    /// The NATS server, or a comma list of a cluster's: nats://host:4222 or tls://host:4222
    #[arg(long, env = "HOMELAB_DEPLOY_NATS_URL", value_name = "URL")]
    nats_url: String,
    /// The file with our nkey seed; only a server on this machine may be used without
    #[arg(long, env = "HOMELAB_DEPLOY_NKEY_FILE", value_name = "FILE")]
    nkey_file: Option<PathBuf>,
    /// A certificate authority to trust beyond the system's, PEM
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,
    /// Our certificate, PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The key of our certificate, PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

impl ConnectionArgs {
    fn settings(&self) -> Result<Settings, Failed> {
        let seed = self.nkey_file.as_deref().map(Seed::read_private).transpose()?;
        let mut settings = Settings::new(&self.nats_url, seed, "homelab-deploy", PING_SUBJECT)?;
        self.check_certificates()?;
        let identity = self.tls_cert.clone().zip(self.tls_key.clone());
        settings.tls = Tls { ca: self.tls_ca.clone(), identity };
        Ok(settings)
    }

    /// A connection without TLS never looks at these files: one that is not there is told before.
    fn check_certificates(&self) -> Result<(), Failed> {
        for (flag, file) in
            [("--tls-ca", &self.tls_ca), ("--tls-cert", &self.tls_cert), ("--tls-key", &self.tls_key)]
        {
            let Some(file) = file else { continue };
            let opened = File::open(file);
            opened
                .with_context(|| format!("could not read {flag} {}", file.display()))
                .map_err(Failed::usage)?;
        }
        Ok(())
    }

    /// The roster that belongs to these servers.
    pub(super) fn roster(&self) -> Result<Roster, Failed> {
        Ok(Roster::open(&roster_file(&self.settings()?.shown()))?)
    }

    /// Connects, or fails at once.
    pub(super) async fn operator(&self) -> Result<Operator, Failed> {
        let (settings, roster) = (self.settings()?, self.roster()?);
        Ok(Operator { bus: Bus::once(&settings).await?, roster, issuer: issuer() })
    }

    /// Connects as soon as there is a server, and again whenever it comes back.
    pub(super) async fn lasting_operator(&self) -> Result<Operator, Failed> {
        let (settings, roster) = (self.settings()?, self.roster()?);
        Ok(Operator { bus: Bus::lasting(&settings).await?, roster, issuer: issuer() })
    }

    /// The servers, as a person reads them.
    pub(super) fn servers(&self) -> Result<String, Failed> {
        Ok(self.settings()?.shown())
    }
}

/// Without a named context, the servers are the context.
fn roster_file(servers: &str) -> PathBuf {
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default().join(".local/state");
    let safe = |c: char| if c.is_ascii_alphanumeric() || "-._".contains(c) { c } else { '_' };
    let name: String = servers.chars().map(safe).collect();
    state.unwrap_or_else(home).join("homelab-deploy/roster").join(format!("{name}.json"))
}

/// Who deploys, as hosts will show it.
pub(super) fn issuer() -> String {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
    let machine = rustix::system::uname();
    format!("{}@{}", user.as_deref().unwrap_or("unknown"), machine.nodename().to_string_lossy())
}
