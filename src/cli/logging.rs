//! Logging of services: JSON lines with `time`, `level`, `msg` and fields at the top level, or plain text. The fields of
//! the spans, such as the id of the job, are shown like those of the line itself.

use crate::text::printable;
use anyhow::Context;
use clap::{Args, ValueEnum};
use serde_json::{Map, Value};
use std::fmt;
use std::path::{Path, PathBuf};
use tracing::field::{Field, Visit};
use tracing::span::Attributes;
use tracing::{Event, Id, Level, Subscriber};
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, Layer};
use tracing_subscriber::layer::{Context as LayerContext, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Scope};
use tracing_subscriber::util::SubscriberInitExt;

/// Number of daily log files to keep.
const KEPT_FILES: usize = 14;

/// Format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// One JSON object per line.
    Json,
    /// Plain text.
    Text,
}

/// Logging arguments of a service.
#[derive(Debug, Clone, Args)]
pub(super) struct LogArgs {
    /// Verbose logging
    #[arg(long)]
    debug: bool,
    /// Format of the log on standard error
    #[arg(long, value_enum, default_value_t = LogFormat::Json)]
    log_format: LogFormat,
    /// Also log to daily files in this directory; 14 are kept
    #[arg(long, value_name = "DIR")]
    log_dir: Option<PathBuf>,
}

impl LogArgs {
    /// Starts logging to standard error and, with `--log-dir`, to daily files.
    pub(super) fn start(&self) -> anyhow::Result<()> {
        start(self.log_format, self.debug, self.log_dir.as_deref())
    }
}

/// Starts logging with these settings.
pub(super) fn start(format: LogFormat, debug: bool, directory: Option<&Path>) -> anyhow::Result<()> {
    let (ours, others) = if debug { (Level::DEBUG, Level::INFO) } else { (Level::INFO, Level::ERROR) };
    // The library logs every failed connection attempt; our connection state logs the reason once.
    let library = if debug { LevelFilter::INFO } else { LevelFilter::OFF };
    let filter = Targets::new()
        .with_target("homelab_deploy", ours)
        .with_target("async_nats", library)
        .with_default(others);
    let json = (format == LogFormat::Json)
        .then(|| Layer::new().event_format(JsonFormat).with_writer(std::io::stderr));
    let text = (format == LogFormat::Text)
        .then(|| Layer::new().compact().with_target(false).with_ansi(false).with_writer(std::io::stderr));
    let files = directory.map(files).transpose()?;
    let files = files.map(|files| Layer::new().event_format(JsonFormat).with_writer(files));
    tracing_subscriber::registry()
        .with(SpanFieldsLayer)
        .with(json)
        .with(text)
        .with(files)
        .with(filter)
        .try_init()
        .context("could not start logging")
}

/// Shows warnings as lines on standard error, for commands that are not services.
pub(super) fn show_warnings() {
    let warnings = Layer::new().event_format(Warning).with_writer(std::io::stderr);
    let filter = Targets::new().with_target("homelab_deploy", Level::WARN);
    // This fails only on a second call, when warnings are already shown.
    let _ = tracing_subscriber::registry().with(warnings).with(filter).try_init();
}

fn files(directory: &Path) -> anyhow::Result<RollingFileAppender> {
    RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix("homelab-deploy")
        .filename_suffix("log")
        .max_log_files(KEPT_FILES)
        .build(directory)
        .with_context(|| {
            format!("could not log to {}: --log-dir must be a writable directory", directory.display())
        })
}

/// The fields of a span.
struct SpanFields(Map<String, Value>);

/// Keeps the fields of each span for [`JsonFormat`].
struct SpanFieldsLayer;

impl<S: Subscriber + for<'a> LookupSpan<'a>> tracing_subscriber::Layer<S> for SpanFieldsLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: LayerContext<'_, S>) {
        let mut fields = Map::new();
        attributes.record(&mut FieldVisitor(&mut fields));
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(SpanFields(fields));
        }
    }
}

/// `{"time":…,"level":"INFO","msg":…,…}`.
struct JsonFormat;

impl<S, N> FormatEvent<S, N> for JsonFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Map::new();
        for span in context.event_scope().into_iter().flat_map(Scope::from_root) {
            if let Some(SpanFields(fields)) = span.extensions().get() {
                line.extend(fields.clone());
            }
        }
        line.insert("time".to_owned(), Value::from(jiff::Timestamp::now().to_string()));
        line.insert("level".to_owned(), Value::from(event.metadata().level().as_str()));
        line.insert("msg".to_owned(), Value::from(""));
        event.record(&mut FieldVisitor(&mut line));
        writeln!(out, "{}", Value::Object(line))
    }
}

/// `warning: MESSAGE, FIELD: VALUE`.
struct Warning;

impl<S, N> FormatEvent<S, N> for Warning
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Map::new();
        event.record(&mut FieldVisitor(&mut fields));
        let text = |value: &Value| printable(value.as_str().unwrap_or(&value.to_string()));
        let message = fields.remove("msg").as_ref().map(text).unwrap_or_default();
        let fields = fields.iter().map(|(name, value)| format!(", {name}: {}", text(value)));
        writeln!(out, "warning: {message}{}", fields.collect::<String>())
    }
}

struct FieldVisitor<'a>(&'a mut Map<String, Value>);

impl FieldVisitor<'_> {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        let name = if field.name() == "message" { "msg" } else { field.name() };
        self.0.insert(name.to_owned(), value.into());
    }
}

impl Visit for FieldVisitor<'_> {
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
