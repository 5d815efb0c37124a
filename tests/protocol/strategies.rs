//! Arbitrary messages within the limits of their types: hostile strings, long lists and unknown values.

use crate::samples::COMMIT;
use homelab_deploy::protocol::{
    Action, BuildHost, BuildReport, BuildStatus, Changes, Component, ComponentState, Components,
    DeployReport, DeployRequest, EngineKind, ErrorCode, HistoryEntry, HistoryReply, Id, InternedStr, LogLine,
    LogReply, Name, OnFailure, PackageChange, Phase, PhaseName, PhaseState, Phases, Presence, Progress,
    Query, QueryKind, QueryReply, ReplyTo, Revision, Status,
};
use jiff::Timestamp;
use proptest::array::{uniform2, uniform3, uniform4, uniform5};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use std::sync::Arc;

/// A configuration with this number of cases and little shrinking, because the messages are large and a failure should
/// be reported soon.
pub(crate) fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() }
}

/// Any string: usually short, sometimes of control characters, sometimes up to 200 KB.
///
/// Boxed, like values and lists, because the many fields of a message would otherwise overflow a test's stack.
pub(crate) fn text() -> BoxedStrategy<String> {
    let unit = select(vec!["x", "\u{1}", "\u{1b}[31m", "🚀", "\"\\\n", "é\u{7f}", "line of a log\n"]);
    let long = (unit, 0..200_000_usize).prop_map(|(unit, size)| unit.repeat(size / unit.len()));
    prop_oneof![8 => "[a-z ]{0,20}", 4 => any::<String>(), 2 => "[\0-\u{1f}\u{7f}-\u{9f}]{0,40}", 1 => long]
        .boxed()
}

fn shared() -> BoxedStrategy<InternedStr> {
    text().prop_map(InternedStr::from).boxed()
}

/// A string that may occur many times in a message.
fn short() -> BoxedStrategy<String> {
    prop_oneof![4 => "[a-z0-9 /.-]{0,40}", 1 => any::<String>()].boxed()
}

/// Any list: usually short, sometimes far too long for a message.
fn list<T>(entry: impl Strategy<Value = T> + 'static) -> BoxedStrategy<Vec<T>>
where
    T: Clone + std::fmt::Debug + 'static,
{
    let size = prop_oneof![6 => 0..4_usize, 1 => 0..3000_usize];
    (vec(entry, 1..4), size).prop_map(|(few, size)| few.into_iter().cycle().take(size).collect()).boxed()
}

/// A known value of an enum, or an unknown one.
fn word<T>(known: &'static [T]) -> BoxedStrategy<T>
where
    T: Clone + std::fmt::Debug + for<'a> From<&'a str>,
{
    prop_oneof![8 => select(known), 1 => text().prop_map(|word| T::from(&format!("x{word}")))].boxed()
}

pub(crate) fn name() -> impl Strategy<Value = Name> {
    "[a-z][A-Za-z0-9_-]{0,62}".prop_filter_map("a name", |text| Name::new(text).ok())
}

pub(crate) fn id() -> impl Strategy<Value = Id> {
    "[a-z0-9][A-Za-z0-9_-]{0,62}".prop_filter_map("an id", |text| Id::new(text).ok())
}

fn time() -> impl Strategy<Value = Timestamp> {
    (0..4_000_000_000_i64).prop_filter_map("a time", |second| Timestamp::from_second(second).ok())
}

fn phases() -> impl Strategy<Value = Phases> {
    let phase = (word(PhaseName::ALL), word(PhaseState::ALL), any::<u64>());
    let phase = phase.prop_map(|(name, state, elapsed_ms)| Phase { name, state, elapsed_ms });
    vec(phase, 0..24).prop_map(Phases)
}

fn components() -> impl Strategy<Value = Components> {
    let component = (short(), word(ComponentState::ALL), any::<u64>(), short());
    list(component.prop_map(|(name, state, elapsed_ms, message)| Component {
        name,
        state,
        elapsed_ms,
        message,
    }))
    .prop_map(Components)
}

fn progress() -> impl Strategy<Value = Progress> {
    (any::<[u64; 5]>(), text()).prop_map(|(numbers, activity)| {
        let [done, expected, running, downloaded_bytes, expected_bytes] = numbers;
        Progress { done, expected, running, downloaded_bytes, expected_bytes, activity }
    })
}

fn changes() -> impl Strategy<Value = Box<Changes>> {
    let package = (short(), of(short()), of(short()));
    let package = package.prop_map(|(name, from, to)| PackageChange { name, from, to });
    (units(), units(), units(), list(package), of(any::<i64>())).prop_map(
        |(units_stopped, units_started, units_restarted, packages, bytes)| {
            Box::new(Changes { units_stopped, units_started, units_restarted, packages, bytes })
        },
    )
}

/// Unit names, or any other list of strings.
fn units() -> impl Strategy<Value = Vec<String>> {
    prop_oneof![8 => list(short()), 1 => vec(text(), 0..4)]
}

prop_compose! {
    pub(crate) fn report()(
        (hostname, status, error, message) in (name(), word(Status::ALL), of(word(ErrorCode::ALL)), text()),
        (id, tier, role, running_job) in (of(id()), of(name()), of(name()), of(id())),
        action in of(word(Action::ALL)),
        [revision, issuer, instance, commit, system] in uniform5(of(shared())),
        [diagnostics, cause] in uniform2(of(text())),
        [seq, elapsed_ms, heartbeat_s, generation] in uniform4(of(any::<u64>())),
        (rolled_back, reboot_needed, at, confirm) in (of(any::<bool>()), of(any::<bool>()), of(time()), of(shared())),
        (phases, progress, changes, failed_units) in (phases(), of(progress()), of(changes()), units()),
        components in components(),
    ) -> DeployReport {
        DeployReport {
            hostname, status, error, message, id, tier, role, action, revision, issuer, instance, seq, at,
            elapsed_ms, heartbeat_s, commit, system, generation, phases, components,
            progress: progress.map(Box::new), rolled_back, reboot_needed,
            changes, failed_units, running_job, confirm, cause, diagnostics,
        }
    }
}

prop_compose! {
    pub(crate) fn presence()(
        (query, id, hostname, tier, role) in (of(Just(QueryKind::Host)), of(id()), name(), name(), of(name())),
        (deploy_subjects, failed_units, warnings) in (units(), units(), units()),
        [instance, version, os_version, revision, commit] in uniform5(of(shared())),
        [system, booted_system, flake_url] in uniform3(of(shared())),
        (held, confirm) in (of(text()), of(shared())),
        [generation, nix_free_bytes, boot_free_bytes, interval_s, seq] in uniform5(of(any::<u64>())),
        state_free_bytes in of(any::<u64>()),
        [reboot_needed, restarting, online] in uniform3(of(any::<bool>())),
        (booted_at, deployed_at, job, last_change) in
            (of(time()), of(time()), of(report().boxed()), of(report().boxed())),
        capabilities in list(word(Action::ALL)),
        (public_key, trusted_keys) in (of(shared()), of(units())),
        (engine, components) in (of(word(EngineKind::ALL)), units()),
    ) -> Presence {
        Presence {
            deploy_subjects: deploy_subjects.into_iter().map(InternedStr::from).collect(),
            query, id, hostname, tier, role, instance, version, os_version, revision, commit,
            system, generation, booted_system, reboot_needed, failed_units, booted_at, flake_url,
            nix_free_bytes, boot_free_bytes, state_free_bytes, warnings, held, restarting, job: job.map(Arc::new),
            last_change: last_change.map(Arc::new), deployed_at,
            engine, components, capabilities, public_key, trusted_keys, interval_s, online, seq, confirm,
        }
    }
}

prop_compose! {
    pub(crate) fn request()(
        (action, revision, id, job) in (select(Action::ALL), "[a-z]{1,6}(/[a-z]{1,6}){0,9}", id(), id()),
        (issued_at, expires_at) in (of(time()), of(time())),
        [issuer, reason] in uniform2(of(text())),
        (commit, timeout_s, generation) in (of(Just(COMMIT.to_owned())), of(1..u64::MAX), of(any::<u64>())),
        activate_timeout_s in of(1..u64::MAX),
        [reply_per_host, allow_older] in uniform2(of(any::<bool>())),
        on_failure in of(select(OnFailure::ALL)),
        (services, prune) in (vec(name(), 0..200), of(any::<bool>())),
    ) -> DeployRequest {
        // Some of these look like abbreviated commits.
        let revision = Revision::new(format!("z{revision}")).ok();
        // Only a hold requires a reason, of limited length.
        let reason = if action == Action::Hold { Some("bisect".to_owned()) } else { reason };
        let services = if action.takes_services() { services } else { Vec::new() };
        let prune = prune.filter(|prune| !prune || action.takes_prune());
        let request = DeployRequest::new(action, revision, id);
        DeployRequest {
            reply_per_host, issued_at, expires_at, issuer, commit, timeout_s, activate_timeout_s, on_failure, reason, job: Some(job), generation,
            allow_older, services, prune, ..request
        }
    }
}

prop_compose! {
    pub(crate) fn query()(
        (reply_to, answers, id, before) in (id(), any::<bool>(), of(id()), of(id())),
        (tier, role, query) in (of(name()), of(name()), of(word(QueryKind::ALL))),
        (hosts, confirm) in (list(name()), of(text())),
        [limit, offset] in uniform2(of(any::<u64>())),
        reply_per_host in of(any::<bool>()),
    ) -> Query {
        let reply_to = if answers { ReplyTo::replies(reply_to) } else { ReplyTo::reports(reply_to) };
        Query { reply_to, reply_per_host, tier, role, hosts, query, id, limit, before, offset, confirm }
    }
}

prop_compose! {
    fn history_entry(text: fn() -> BoxedStrategy<String>)(
        (id, at, action, status, error) in
            (id(), time(), word(Action::ALL), word(Status::ALL), of(word(ErrorCode::ALL))),
        [issuer, key, revision, commit, reason] in uniform5(of(text())),
        (generation, elapsed_ms, phases, components) in (of(any::<u64>()), any::<u64>(), phases(), vec(text(), 0..3)),
    ) -> HistoryEntry {
        HistoryEntry { id, at, action, status, error, issuer, key, revision, commit, generation, reason, elapsed_ms, phases, components }
    }
}

prop_compose! {
    pub(crate) fn history_reply()(
        (hostname, next) in (name(), of(id())),
        entries in prop_oneof![vec(history_entry(text), 0..4), list(history_entry(short))],
    ) -> HistoryReply {
        HistoryReply { query: QueryKind::History, hostname, entries, next }
    }
}

prop_compose! {
    pub(crate) fn log_reply()(
        (id, hostname, offset) in (of(id()), name(), of(any::<u64>())),
        (text, eof, running) in (of(text()), any::<bool>(), any::<bool>()),
    ) -> LogReply {
        LogReply { query: QueryKind::Log, id, hostname, offset, text, eof, running }
    }
}

prop_compose! {
    pub(crate) fn log_line()(
        id in id(),
        hostname in name(),
        offset in any::<u64>(),
        text in text(),
    ) -> LogLine {
        LogLine { id, hostname, offset, text }
    }
}

prop_compose! {
    fn build_host(text: fn() -> BoxedStrategy<String>)(
        (hostname, state, elapsed_ms) in (name(), word(PhaseState::ALL), any::<u64>()),
        [system, error, log_tail] in uniform3(of(text())),
    ) -> BuildHost {
        BuildHost { hostname, state, elapsed_ms, system, error, log_tail }
    }
}

prop_compose! {
    pub(crate) fn build_report()(
        (target, repo, status, error) in
            (text(), of(name()), word(BuildStatus::ALL), of(word(ErrorCode::ALL))),
        (message, id, at, commit) in (text(), of(id()), of(time()), of(text())),
        (seq, done, expected) in (of(any::<u64>()), any::<u64>(), any::<u64>()),
        hosts in prop_oneof![vec(build_host(text), 0..4), list(build_host(short))],
    ) -> BuildReport {
        BuildReport { target, repo, status, error, message, id, seq, at, commit, hosts, done, expected }
    }
}

pub(crate) fn answer() -> impl Strategy<Value = QueryReply> {
    prop_oneof![
        presence().prop_map(|answer| QueryReply::Host(Box::new(answer))),
        history_reply().prop_map(QueryReply::History),
        log_reply().prop_map(QueryReply::Log),
    ]
}
