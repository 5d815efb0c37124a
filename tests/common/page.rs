//! The page of metrics as a client reads it.

use super::{DEADLINE, Host, HostBuilder};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;

/// An answer over HTTP.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: String,
}

/// Asks for a path.
pub fn get(address: &str, path: &str) -> Reply {
    try_get(address, path).unwrap()
}

/// The same where nobody may be there yet.
pub fn try_get(address: &str, path: &str) -> std::io::Result<Reply> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    // The older version ends with the connection and comes in one piece.
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Ok(Reply { status, head: head.to_lowercase(), body: body.to_owned() })
}

/// Lets a service serve metrics on a port of its own.
pub fn served(host: HostBuilder) -> HostBuilder {
    host.args(&["--metrics-enabled", "--metrics-addr", "127.0.0.1:0"])
}

/// Where it serves.
pub fn address(host: &mut Host) -> String {
    host.has_logged("serving metrics")["address"].as_str().expect("an address").to_owned()
}

/// Every sample of a page, by its name and labels as they stand there.
#[derive(Debug, Clone, PartialEq)]
pub struct Page(pub BTreeMap<String, f64>);

impl Page {
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
        assert_eq!(page.0.len(), samples.count(), "no series stands there twice");
        page
    }

    /// The value of a series that must be there.
    pub fn value(&self, series: &str) -> f64 {
        *self.0.get(series).unwrap_or_else(|| panic!("no {series} in {self:#?}"))
    }

    /// The same of one that holds whole numbers.
    pub fn count(&self, series: &str) -> u64 {
        whole(self.value(series))
    }

    /// How many requests ended so.
    pub fn ended(&self, status: &str, action: &str, error: &str) -> u64 {
        self.count(&ending(status, action, error))
    }

    /// How many jobs were timed.
    pub fn timed(&self, action: &str, success: bool) -> u64 {
        self.count(&format!(
            "homelab_deploy_deployment_duration_seconds_count{{action={action:?},success=\"{success}\"}}"
        ))
    }

    /// The sum of all samples whose series begins so.
    pub fn sum(&self, begin: &str) -> u64 {
        self.0.iter().filter(|(series, _)| series.starts_with(begin)).map(|(_, value)| whole(*value)).sum()
    }
}

/// The metrics that a page serves: the kind and the labels of each.
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

/// The metrics that the table below this heading of docs/metrics.md tells of: the kind and the labels of each.
pub fn metrics_told(heading: &str) -> BTreeMap<String, (String, BTreeSet<String>)> {
    let of = |cells: Vec<&str>| {
        (words(cells[1]).pop_first().unwrap(), (cells[2].to_owned(), words(cells[3]).into_iter().collect()))
    };
    told(heading).into_iter().map(of).collect()
}

/// The rows of the table below this heading of docs/metrics.md, as cells.
pub fn told(heading: &str) -> Vec<Vec<&'static str>> {
    let page = include_str!("../../docs/metrics.md");
    let below = page.split(heading).nth(1).unwrap_or_else(|| panic!("no table {heading}"));
    let rows = below.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.split('|').map(str::trim).collect()).collect()
}

/// The words in code style of a cell.
pub fn words(text: &str) -> BTreeSet<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Counts are whole and small.
pub fn whole(value: f64) -> u64 {
    assert!(value.fract() == 0.0 && (0.0..1e15).contains(&value), "{value}");
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "just looked at")]
    let whole = value as u64;
    whole
}

pub fn ending(status: &str, action: &str, error: &str) -> String {
    format!("homelab_deploy_deployments_total{{status={status:?},action={action:?},error_code={error:?}}}")
}
