//! Properties of all messages: their size, lossless encoding and parsing, and that no input causes a panic.

use crate::samples;
use crate::strategies::{answer, build_report, cases, log_line, presence, query, report, request};
use homelab_deploy::protocol::{
    BuildReport, BuildRequest, DeployReport, DeployRequest, ErrorCode, Id, Inbound, JobReply, LogLine,
    MAX_ENCODED, Name, Presence, Query, QueryKind, QueryReply, ReplyTo, Revision, Status,
    check_request_subject, expand_template, overlaps,
};
use proptest::prelude::*;
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;

/// Whether the message fits without being truncated.
fn fits<T: Serialize>(message: &T) -> bool {
    serde_json::to_vec(message).unwrap().len() < MAX_ENCODED
}

/// The size of a string in JSON, without its quotes.
fn encoded(text: &str) -> usize {
    serde_json::to_string(text).unwrap().len() - 2
}

/// The fields of a report that must never be lost.
type RequiredFields<'a> = (&'a Name, &'a Status, Option<&'a ErrorCode>, Option<&'a Id>, Option<u64>);

fn required_fields(report: Option<&Arc<DeployReport>>) -> Option<RequiredFields<'_>> {
    report.map(|r| (&r.hostname, &r.status, r.error.as_ref(), r.id.as_ref(), r.seq))
}

/// A small message with one byte or one value changed.
fn near_message() -> impl Strategy<Value = Vec<u8>> {
    let sample = prop::sample::select(vec![
        samples::request(),
        samples::report(),
        samples::presence(),
        samples::query(),
        samples::job_reply(),
        samples::history_reply(),
        samples::log_reply(),
        samples::log_line(),
        samples::build_request(),
        samples::build_report(),
    ]);
    let value = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(serde_json::json!([[], {}])),
        Just(serde_json::json!({"name": [null]})),
    ];
    let other_value =
        (sample.clone(), any::<prop::sample::Index>(), value).prop_map(|(mut message, at, value)| {
            let fields = message.as_object_mut().unwrap();
            let key = fields.keys().nth(at.index(fields.len())).unwrap().clone();
            fields.insert(key, value);
            samples::bytes(&message)
        });
    let other_byte = (sample, any::<prop::sample::Index>(), any::<u8>()).prop_map(|(message, at, byte)| {
        let mut bytes = samples::bytes(&message);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        bytes
    });
    prop_oneof![other_value, other_byte, prop::collection::vec(any::<u8>(), 0..200)]
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn a_report_always_fits_and_keeps_its_result(report in report()) {
        let bytes = report.encode();
        prop_assert!(bytes.len() < MAX_ENCODED, "{} bytes", bytes.len());
        let read = DeployReport::parse(&bytes).unwrap();
        let (report, read) = (Arc::new(report), Arc::new(read));
        prop_assert_eq!(required_fields(Some(&read)), required_fields(Some(&report)));
        prop_assert!(report.message.starts_with(&read.message));
        let diagnostics = [&report, &read].map(|report| report.diagnostics.as_deref().unwrap_or_default());
        prop_assert!(diagnostics[0].ends_with(diagnostics[1]) && encoded(diagnostics[1]) <= 16 * 1024);
        if fits(&report) && encoded(&report.message) <= 4 * 1024 && encoded(diagnostics[0]) <= 16 * 1024 {
            prop_assert_eq!(read, report);
        }
    }

    #[test]
    fn a_presence_always_fits_and_is_complete_if_possible(answer in presence()) {
        let bytes = answer.encode();
        prop_assert!(bytes.len() < MAX_ENCODED, "{} bytes", bytes.len());
        let read = Presence::parse(&bytes).unwrap();
        prop_assert_eq!((&read.hostname, &read.tier), (&answer.hostname, &answer.tier));
        prop_assert_eq!(&read.role, &answer.role);
        prop_assert_eq!((&read.id, read.online), (&answer.id, answer.online));
        prop_assert_eq!(required_fields(read.job.as_ref()), required_fields(answer.job.as_ref()));
        if fits(&answer) {
            prop_assert_eq!(read, answer);
        }
    }

    #[test]
    fn a_job_reply_always_fits_and_is_complete_if_possible(report in report()) {
        let job = JobReply {
            query: QueryKind::Job,
            id: report.id.clone(),
            hostname: report.hostname.clone(),
            report: Some(report.into()),
        };
        let bytes = QueryReply::Job(job.clone()).encode();
        prop_assert!(bytes.len() < MAX_ENCODED, "{} bytes", bytes.len());
        let QueryReply::Job(read) = QueryReply::parse(&bytes).unwrap() else { panic!("the reply is not a job reply") };
        prop_assert_eq!(required_fields(read.report.as_ref()), required_fields(job.report.as_ref()));
        if fits(&job) {
            prop_assert_eq!(read, job);
        }
    }

    #[test]
    fn a_build_report_always_fits_and_is_complete_if_possible(report in build_report()) {
        let bytes = report.encode();
        prop_assert!(bytes.len() < MAX_ENCODED, "{} bytes", bytes.len());
        let read = BuildReport::parse(&bytes).unwrap();
        prop_assert_eq!((&read.status, &read.error), (&report.status, &report.error));
        prop_assert_eq!((&read.id, read.seq), (&report.id, report.seq));
        prop_assert_eq!((read.done, read.expected), (report.done, report.expected));
        if fits(&report) {
            prop_assert_eq!(read, report);
        }
    }

    #[test]
    fn a_log_line_always_fits_and_starts_at_its_offset(line in log_line()) {
        let bytes = line.encode();
        prop_assert!(bytes.len() < MAX_ENCODED, "{} bytes", bytes.len());
        let read = LogLine::parse(&bytes).unwrap();
        prop_assert_eq!((&read.id, &read.hostname, read.offset), (&line.id, &line.hostname, line.offset));
        prop_assert!(line.text.starts_with(&read.text));
        if encoded(&line.text) < MAX_ENCODED - 1024 {
            prop_assert_eq!(read, line);
        }
    }

    #[test]
    fn a_query_always_fits_and_leaves_no_host_out(query_message in query()) {
        let bytes = query_message.encode();
        prop_assert!(bytes.len() < MAX_ENCODED, "{} bytes", bytes.len());
        let read = Query::parse(&bytes).unwrap();
        let tier = query_message.tier.clone().unwrap_or_else(|| samples::name("prod"));
        for host in &query_message.hosts {
            prop_assert!(read.matches(host, &tier, query_message.role.as_ref()), "{}", host);
        }
        if fits(&query_message) {
            prop_assert_eq!(read, query_message);
        }
    }

    #[test]
    fn a_request_always_fits_and_means_the_same(request in request()) {
        let bytes = request.encode();
        prop_assert!(bytes.len() < MAX_ENCODED, "{} bytes", bytes.len());
        let read = DeployRequest::parse(&bytes).unwrap();
        if fits(&request) {
            prop_assert_eq!(read, request);
        } else {
            let plain = |request| DeployRequest { issuer: None, reason: None, ..request };
            prop_assert_eq!(plain(read), plain(request));
        }
    }

    #[test]
    fn a_reply_always_fits_and_history_and_log_lose_nothing_that_cannot_be_queried(answer in answer()) {
        let bytes = answer.encode();
        prop_assert!(bytes.len() < MAX_ENCODED, "{} bytes", bytes.len());
        let read = QueryReply::parse(&bytes).unwrap();
        prop_assert_eq!(read.hostname(), answer.hostname());
        match (&answer, &read) {
            (QueryReply::History(all), QueryReply::History(part)) if part.entries.len() < all.entries.len() => {
                prop_assert!(part.next.is_some());
                prop_assert_eq!(part.next.as_ref(), part.entries.last().map(|entry| &entry.id));
            }
            (QueryReply::History(all), QueryReply::History(part)) => prop_assert_eq!(&part.next, &all.next),
            (QueryReply::Log(all), QueryReply::Log(part)) => {
                prop_assert_eq!((&part.id, part.offset, part.running), (&all.id, all.offset, all.running));
                let texts = [all, part].map(|log| log.text.as_deref().unwrap_or_default());
                prop_assert!(texts[0].starts_with(texts[1]));
                prop_assert_eq!(part.eof, all.eof && texts[0] == texts[1]);
            }
            (QueryReply::Host(_), QueryReply::Host(_)) => {}
            other => prop_assert!(false, "another kind of answer: {:?}", other),
        }
    }
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn no_bytes_make_a_parser_panic(
        payload in near_message(),
        subject in "(deploy|build)?(\\.[a-z*>]{0,9}){0,5}",
    ) {
        let _ = DeployRequest::parse(&payload);
        let _ = DeployReport::parse(&payload);
        let _ = Presence::parse(&payload);
        let _ = QueryReply::parse(&payload);
        let _ = Query::parse(&payload);
        let _ = LogLine::parse(&payload);
        let _ = BuildRequest::parse(&payload);
        let _ = BuildReport::parse(&payload);
        let _ = Inbound::parse(&subject, &payload);
        let _ = Inbound::parse("deploy.responses.d1", &payload);
    }

    #[test]
    fn no_string_makes_a_check_panic(text in any::<String>(), other in any::<String>()) {
        let _ = (Name::new(&text[..]), Id::new(&text[..]), Revision::new(&text[..]));
        let _ = (ReplyTo::parse(&text), ReplyTo::parse(&format!("deploy.responses.{text}")));
        let _ = (check_request_subject(&text), overlaps(&text, &other), Inbound::parse(&text, other.as_bytes()));
        let _ = expand_template(&text, &samples::name("web1"), &samples::name("prod"), None, true);
    }
}
