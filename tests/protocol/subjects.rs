//! The syntax of subjects, the subjects for requests, overlaps, and names within subjects.

use crate::samples::{id, name};
use crate::strategies::cases;
use homelab_deploy::protocol::{
    DISCOVER, Id, Name, PRESENCE, REPORTS, ReplyTo, build_report_subject, build_subject,
    check_request_subject, host_subject, log_subject, overlaps, reply_subject, report_subject, role_subject,
    tier_subject,
};
use proptest::prelude::*;

#[test]
fn subjects_match_the_wire_format() {
    let (prod, web, dns, job) = (&name("prod"), &name("web1"), &name("dns"), &id("d1"));
    for (subject, spelling) in [
        (host_subject(prod, web), "deploy.prod.web1"),
        (tier_subject(prod), "deploy.prod.all"),
        (role_subject(prod, dns), "deploy.prod.role.dns"),
        (report_subject(job), "deploy.responses.d1"),
        (log_subject(job, web), "deploy.responses.d1.log.web1"),
        (reply_subject(job), "deploy.responses.ask.d1"),
        (build_subject(None, "web1"), "build.web1"),
        (build_subject(None, "all"), "build.all"),
        (build_subject(Some(&name("fleet")), "all"), "build.fleet.all"),
        (build_report_subject(job), "build.responses.d1"),
        (DISCOVER.to_owned(), "deploy.discover"),
        (PRESENCE.to_owned(), "deploy.responses.presence"),
        (REPORTS.to_owned(), "deploy.responses.*"),
        (ReplyTo::reports(job.clone()).to_string(), "deploy.responses.d1"),
        (ReplyTo::replies(job.clone()).to_string(), "deploy.responses.ask.d1"),
    ] {
        assert_eq!(subject, spelling);
    }
}

#[test]
fn a_console_receives_reports_and_presence_but_no_logs_and_no_replies_to_others() {
    let job = id("d1");
    assert!(overlaps(REPORTS, &report_subject(&job)) && overlaps(REPORTS, PRESENCE));
    assert!(
        !overlaps(REPORTS, &reply_subject(&job)) && !overlaps(REPORTS, &log_subject(&job, &name("web1")))
    );
}

#[test]
fn a_literal_subject_goes_to_one_place_that_carries_requests() {
    for good in
        ["deploy.prod.web1", "deploy.prod.all", "deploy.prod.role.dns", "fleet.web1", "x", "build.all"]
    {
        check_request_subject(good).unwrap();
    }
    let malformed = "is not a subject: expected tokens without blanks, separated by single dots";
    let wildcard = "has wildcards; write a single subject";
    for (bad, why) in [
        ("", malformed),
        (".", malformed),
        ("deploy..web1", malformed),
        (".deploy", malformed),
        ("deploy.", malformed),
        ("deploy.web 1", malformed),
        ("deploy.web1\n", malformed),
        ("deploy.\u{7f}", malformed),
        ("deploy.>.x", malformed),
        ("deploy.*.web1", wildcard),
        ("deploy.prod.>", wildcard),
        (">", wildcard),
        ("*", wildcard),
        ("deploy.discover", "overlaps deploy.discover, which carries no requests"),
        ("deploy.responses", "overlaps deploy.responses, which carries no requests"),
        ("deploy.responses.d1", "overlaps deploy.responses.>, which carries no requests"),
        ("deploy.responses.ask.q1", "overlaps deploy.responses.>, which carries no requests"),
    ] {
        assert_eq!(check_request_subject(bad).unwrap_err().to_string(), format!("{bad:?} {why}"));
    }
}

#[test]
fn two_subjects_overlap_when_one_message_could_match_both() {
    for (a, b, meet) in [
        ("a", "a", true),
        ("a", "b", false),
        ("a.b", "a", false),
        ("a.*", "a.b", true),
        ("a.*", "a", false),
        ("a.*", "a.b.c", false),
        ("a.>", "a.b", true),
        ("a.>", "a.b.c", true),
        ("a.>", "a", false),
        ("a.>", "b.>", false),
        ("a.>", "*.b", true),
        ("a.*.c", "a.b.*", true),
        ("a.*.c", "a.b.d", false),
        ("*.*", "a.>", true),
        ("*", "a.>", false),
        (">", "a.b.c", true),
        (">", ">", true),
        ("a.b.>", "a.*", false),
    ] {
        assert_eq!(overlaps(a, b), meet, "{a} {b}");
        assert_eq!(overlaps(b, a), meet, "{b} {a}");
    }
}

#[test]
fn a_name_or_id_is_up_to_63_letters_digits_and_dashes() {
    for good in ["a", "7", "web-1", "Web_1", &"x".repeat(63)] {
        assert_eq!((Name::new(good).unwrap().as_str(), Id::new(good).unwrap().as_str()), (good, good));
    }
    for bad in ["", "a.b", "a b", "*", ">", "a\n", "é", "🚀", "<tier>", &"x".repeat(64)] {
        let text = format!("{bad:?} is not a name: use 1 to 63 letters, digits, `_` or `-`");
        if bad.len() <= 63 {
            assert_eq!(Name::new(bad).unwrap_err().to_string(), text);
            assert_eq!(Id::new(bad).unwrap_err().to_string(), text);
        }
        assert!(Name::new(bad).is_err() && Id::new(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn reserved_subject_tokens_are_not_valid_names() {
    for word in ["all", "role", "discover", "responses", "ask", "presence"] {
        let text = format!("{word:?} is a reserved word and cannot be a name");
        assert_eq!(Name::new(word).unwrap_err().to_string(), text);
        assert_eq!(Id::new(word).unwrap_err().to_string(), text);
    }
    for word in ["All", "roles", "all-1"] {
        assert_eq!(Name::new(word).unwrap().as_str(), word);
    }
}

#[test]
fn a_name_may_start_with_a_dash_and_an_id_may_not() {
    for text in ["-a", "_a"] {
        assert_eq!(Name::new(text).unwrap().as_str(), text);
        let refusal = format!("{text:?} is not an id: it must start with a letter or digit");
        assert_eq!(Id::new(text).unwrap_err().to_string(), refusal);
    }
}

#[test]
fn an_error_shows_only_the_start_of_a_hostile_name() {
    assert!(Name::new("\u{1b}".repeat(60_000)).unwrap_err().to_string().len() < 500);
    assert!(ReplyTo::parse(&"\u{1b}".repeat(60_000)).unwrap_err().to_string().len() < 600);
}

/// A valid subject with few different tokens, so that overlaps are common.
fn subject() -> impl Strategy<Value = String> {
    let token = prop_oneof![3 => "[ab]", 1 => Just("*".to_owned())];
    (prop::collection::vec(token, 1..5), any::<bool>()).prop_map(|(mut tokens, open)| {
        if open {
            tokens.push(">".to_owned());
        }
        tokens.join(".")
    })
}

fn tokens(subject: &str) -> Vec<&str> {
    subject.split('.').collect()
}

/// Whether the literal subject matches the pattern, by the rules of the NATS server.
fn matches(pattern: &[&str], literal: &[&str]) -> bool {
    match (pattern, literal) {
        ([">"], [_, ..]) | ([], []) => true,
        ([first, pattern @ ..], [token, literal @ ..]) => {
            (*first == "*" || first == token) && matches(pattern, literal)
        }
        _ => false,
    }
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn overlap_is_symmetric_and_every_subject_overlaps_itself(a in subject(), b in subject()) {
        prop_assert_eq!(overlaps(&a, &b), overlaps(&b, &a));
        prop_assert!(overlaps(&a, &a));
    }

    #[test]
    fn patterns_that_one_subject_matches_overlap(
        a in subject(),
        b in subject(),
        literal in "[ab](\\.[ab]){0,5}",
    ) {
        let literal = tokens(&literal);
        if matches(&tokens(&a), &literal) && matches(&tokens(&b), &literal) {
            prop_assert!(overlaps(&a, &b));
        }
    }
}
