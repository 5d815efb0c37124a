//! What a demo of many hosts needs from this machine: memory and open files.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Memory of a demo without hosts: this process, the console and the NATS server, in MiB.
const BASE: usize = 80;
/// Memory per 1,000 hosts, in MiB.
const PER_THOUSAND: usize = 15;

/// A warning if this machine has too little free memory for a demo of this size.
pub fn memory_warning(hosts: usize) -> Option<String> {
    let available = available_mib(&std::fs::read_to_string("/proc/meminfo").ok()?)?;
    warning(hosts, available)
}

/// Raises the number of files that this process and the NATS server may open to the highest that is permitted.
pub fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    // Without a higher limit, a small demo works as well.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

fn warning(hosts: usize, available: usize) -> Option<String> {
    let needed = BASE + hosts * PER_THOUSAND / 1000;
    (available < needed).then(|| {
        format!("{hosts} hosts need about {needed} MiB of memory, but only {available} MiB are available; try fewer --hosts")
    })
}

/// The available memory in MiB, from the text of `/proc/meminfo`.
fn available_mib(meminfo: &str) -> Option<usize> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok().map(|kib| kib / 1024)
}

#[cfg(test)]
mod tests {
    use super::{available_mib, warning};

    #[test]
    fn a_machine_with_too_little_memory_is_warned_about() {
        let available = available_mib("MemTotal:  2048000 kB\nMemAvailable:     204800 kB\n");
        assert_eq!(available, Some(200));
        assert_eq!(warning(40, 200), None);
        let warning = warning(10_000, 200).unwrap();
        assert!(
            warning.contains("10000 hosts need about 230 MiB") && warning.contains("only 200 MiB"),
            "{warning}"
        );
    }
}
