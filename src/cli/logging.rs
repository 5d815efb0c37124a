//! The log of services: JSON lines with `time`, `level`, `msg` and fields at the top level, or plain text.

use anyhow::Context;
use clap::{Args, ValueEnum};
use serde_json::{Map, Value};
use std::fmt;
use std::path::{Path, PathBuf};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, Layer};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

/// Days of files that are kept.
const KEPT_FILES: usize = 14;

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For reading along.
    Text,
}

/// The flags of a service for its log.
#[derive(Debug, Clone, Args)]
pub(super) struct LogArgs {
    /// Log more
    #[arg(long)]
    debug: bool,
    /// How to log to standard error
    #[arg(long, value_enum, default_value_t = LogFormat::Json)]
    log_format: LogFormat,
    /// Also log to daily files there, 14 kept
    #[arg(long, value_name = "DIR")]
    log_dir: Option<PathBuf>,
}

impl LogArgs {
    /// Starts logging to standard error and, if wanted, to daily files.
    pub(super) fn start(&self) -> anyhow::Result<()> {
        start(self.log_format, self.debug, self.log_dir.as_deref())
    }
}

/// The same with these.
pub(super) fn start(format: LogFormat, debug: bool, folder: Option<&Path>) -> anyhow::Result<()> {
    let (ours, others) = if debug { (Level::DEBUG, Level::INFO) } else { (Level::INFO, Level::ERROR) };
    // The library says at each attempt why it failed; the state of the link says it once.
    let library = if debug { LevelFilter::INFO } else { LevelFilter::OFF };
    let filter = Targets::new()
        .with_target("homelab_deploy", ours)
        .with_target("async_nats", library)
        .with_default(others);
    let json =
        (format == LogFormat::Json).then(|| Layer::new().event_format(Json).with_writer(std::io::stderr));
    let text = (format == LogFormat::Text)
        .then(|| Layer::new().compact().with_target(false).with_ansi(false).with_writer(std::io::stderr));
    let files = folder.map(files).transpose()?;
    let files = files.map(|files| Layer::new().event_format(Json).with_writer(files));
    tracing_subscriber::registry()
        .with(json)
        .with(text)
        .with(files)
        .with(filter)
        .try_init()
        .context("could not log")
}

fn files(folder: &Path) -> anyhow::Result<RollingFileAppender> {
    RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix("homelab-deploy")
        .filename_suffix("log")
        .max_log_files(KEPT_FILES)
        .build(folder)
        .with_context(|| {
            format!("could not log to {}; --log-dir must be a writable folder", folder.display())
        })
}

/// `{"time":…,"level":"INFO","msg":…,…}`.
struct Json;

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut line = Map::new();
        line.insert("time".to_owned(), Value::from(jiff::Timestamp::now().to_string()));
        line.insert("level".to_owned(), Value::from(event.metadata().level().as_str()));
        line.insert("msg".to_owned(), Value::from(""));
        event.record(&mut Fields(&mut line));
        writeln!(out, "{}", Value::Object(line))
    }
}

struct Fields<'a>(&'a mut Map<String, Value>);

impl Fields<'_> {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        let name = if field.name() == "message" { "msg" } else { field.name() };
        self.0.insert(name.to_owned(), value.into());
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}
