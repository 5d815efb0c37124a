//! The metrics page as an HTTP client reads it.

use super::{DEADLINE, Host, HostBuilder};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;

/// An HTTP response.
#[derive(Debug)]
pub struct HttpResponse {
    pub status: u16,
    pub head: String,
    pub body: String,
}

/// Requests a path.
pub fn get(address: &str, path: &str) -> HttpResponse {
    try_get(address, path).unwrap()
}

/// Requests a path from a server that may not be running yet.
pub fn try_get(address: &str, path: &str) -> std::io::Result<HttpResponse> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    // With HTTP/1.0 the response ends with the connection and is not chunked.
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Ok(HttpResponse { status, head: head.to_lowercase(), body: body.to_owned() })
}

/// Configures a service to serve metrics on a free port.
pub fn with_metrics(host: HostBuilder) -> HostBuilder {
    host.args(&["--metrics-enabled", "--metrics-addr", "127.0.0.1:0"])
}

/// The address of the metrics server.
pub fn address(host: &mut Host) -> String {
    host.last_log("serving metrics")["address"].as_str().expect("an address").to_owned()
}

/// The samples of a page, by name and labels as on the page.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricsPage(pub BTreeMap<String, f64>);

impl MetricsPage {
    pub fn of(host: &mut Host) -> Self {
        Self::parse(&get(&address(host), "/metrics").body)
    }

    pub fn parse(text: &str) -> Self {
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        let sample = |line: &str| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            (series.to_owned(), value.parse().unwrap())
        };
        let page = Self(samples.clone().map(sample).collect());
        assert_eq!(page.0.len(), samples.count(), "each series occurs once");
        page
    }

    /// Returns the value of an existing series.
    pub fn value(&self, series: &str) -> f64 {
        *self.0.get(series).unwrap_or_else(|| panic!("no {series} in {self:#?}"))
    }

    /// Returns the value of an existing series of whole numbers.
    pub fn count(&self, series: &str) -> u64 {
        whole_count(self.value(series))
    }

    /// Returns the number of requests with this result.
    pub fn deployments(&self, status: &str, action: &str, error: &str) -> u64 {
        self.count(&deployments_series(status, action, error))
    }

    /// Returns the number of jobs in the duration histogram.
    pub fn timed_deployments(&self, action: &str, success: bool) -> u64 {
        self.count(&format!(
            "homelab_deploy_deployment_duration_seconds_count{{action={action:?},success=\"{success}\"}}"
        ))
    }

    /// Returns the sum of all samples whose series starts with `begin`.
    pub fn sum(&self, begin: &str) -> u64 {
        self.0
            .iter()
            .filter(|(series, _)| series.starts_with(begin))
            .map(|(_, value)| whole_count(*value))
            .sum()
    }
}

/// The metrics of a page: the kind and the labels of each.
pub fn metrics_of(page: &str) -> BTreeMap<String, (String, BTreeSet<String>)> {
    let of = |line: &str| {
        let (name, kind) = line.split_once(' ').unwrap();
        let sample = page.lines().find(|line| line.starts_with(name)).unwrap();
        let inner = sample.split_once('{').map_or("", |(_, rest)| rest.split_once('}').unwrap().0);
        let labels = inner.split(',').filter_map(|pair| Some(pair.split_once('=')?.0.to_owned()));
        (name.to_owned(), (kind.to_owned(), labels.filter(|label| label != "le").collect()))
    };
    page.lines().filter_map(|line| line.strip_prefix("# TYPE ")).map(of).collect()
}

/// The metrics in the table below this heading of docs/metrics.md: the kind and the labels of each.
pub fn documented_metrics(heading: &str) -> BTreeMap<String, (String, BTreeSet<String>)> {
    let of = |cells: Vec<&str>| {
        (
            code_spans(cells[1]).pop_first().unwrap(),
            (cells[2].to_owned(), code_spans(cells[3]).into_iter().collect()),
        )
    };
    documented_rows(heading).into_iter().map(of).collect()
}

/// The cells of the table below this heading of docs/metrics.md.
pub fn documented_rows(heading: &str) -> Vec<Vec<&'static str>> {
    let page = include_str!("../../docs/metrics.md");
    let below = page.split(heading).nth(1).unwrap_or_else(|| panic!("no table {heading}"));
    let rows = below.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.split('|').map(str::trim).collect()).collect()
}

/// The code spans of a cell.
pub fn code_spans(text: &str) -> BTreeSet<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Converts a count, which must be whole and small.
pub fn whole_count(value: f64) -> u64 {
    assert!(value.fract() == 0.0 && (0.0..1e15).contains(&value), "{value}");
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
    let whole = value as u64;
    whole
}

pub fn deployments_series(status: &str, action: &str, error: &str) -> String {
    format!("homelab_deploy_deployments_total{{status={status:?},action={action:?},error_code={error:?}}}")
}
