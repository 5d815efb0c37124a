//! The text that Prometheus reads.

use std::fmt::{Display, Write};

/// A page of metrics in the text format, version 0.0.4.
#[derive(Debug, Clone, Default)]
pub struct Page(String);

impl Page {
    /// What the page is, for the header of an answer.
    pub const CONTENT_TYPE: &'static str = "text/plain; version=0.0.4; charset=utf-8";

    /// Begins a metric: all its samples follow. `kind` is `counter`, `gauge` or `histogram`.
    pub fn metric(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// A sample of the metric that was begun.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (n, (label, value)) in labels.iter().enumerate() {
            let before = if n == 0 { '{' } else { ',' };
            let _ = write!(self.0, "{before}{label}=\"{}\"", escaped(value));
        }
        let end = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{end} {value}");
    }

    /// A gauge of one sample without labels.
    pub fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.metric(name, "gauge", help);
        self.sample(name, &[], value);
    }

    /// The state of the connection, which every service has, and how often a malformed message has ended it.
    pub fn connection(&mut self, up: bool, ended: u64) {
        let help = "1 while connected to the NATS server, else 0.";
        self.gauge("homelab_deploy_nats_connected", help, u8::from(up));
        let name = "homelab_deploy_connections_ended_total";
        self.metric(name, "counter", "Connections that a malformed message ended, since the start.");
        self.sample(name, &[], ended);
    }

    /// The counter of messages that were dropped before they were read, which every service has.
    pub fn dropped(&mut self, queue_full: u64, too_large: u64) {
        let name = "homelab_deploy_messages_dropped_total";
        self.metric(name, "counter", "Messages that were dropped unread since the service started.");
        self.sample(name, &[("reason", "queue_full")], queue_full);
        self.sample(name, &[("reason", "too_large")], too_large);
    }

    /// The text.
    pub fn into_text(self) -> String {
        self.0
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}
