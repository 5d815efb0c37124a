//! Which texts are revisions and reply subjects, and how the others are refused.

use crate::samples::{self, bytes, id, with};
use homelab_deploy::protocol::{Ask, DeployRequest, ErrorCode, ReplyTo, Revision, is_commit};
use serde_json::json;

const CHARACTERS: &str = "use letters, digits, `.`, `_`, `/`, `+` and `-` only";
const START: &str = "it must start with a letter or digit";
const DOTS: &str = "`..` and `//` are not allowed";
const END: &str = "it must not end in `/`, `.` or `.lock`";

#[test]
fn branches_tags_and_full_commits_are_revisions() {
    for good in [
        "master",
        "feature/x",
        "v1.2.3",
        "release+1",
        "20241121",
        samples::COMMIT,
        "a",
        "7",
        "x.lock.y",
        "deadbee-1",
        "abc123",
        "under_score",
        &"x".repeat(255),
    ] {
        assert_eq!(Revision::new(good).unwrap().as_str(), good);
        let request = with(samples::request(), "revision", json!(good));
        let request = DeployRequest::parse(&bytes(&request)).unwrap();
        assert_eq!(request.revision.unwrap().to_string(), good);
    }
}

#[test]
fn what_git_nix_or_a_shell_could_misread_is_an_invalid_revision_and_says_why() {
    for (bad, why) in [
        ("--help", START),
        ("-x", START),
        (".x", START),
        ("/x", START),
        ("_x", START),
        ("+x", START),
        ("a..b", DOTS),
        ("a//b", DOTS),
        ("$(x)", CHARACTERS),
        ("x y", CHARACTERS),
        (" x", CHARACTERS),
        ("x\n", CHARACTERS),
        ("x\0", CHARACTERS),
        ("🚀", CHARACTERS),
        ("é", CHARACTERS),
        ("a@{1}", CHARACTERS),
        ("a?ref=b", CHARACTERS),
        ("a&b", CHARACTERS),
        ("a#b", CHARACTERS),
        ("a%2e", CHARACTERS),
        ("a:b", CHARACTERS),
        ("a~1", CHARACTERS),
        ("a^", CHARACTERS),
        ("a\\b", CHARACTERS),
        ("a/", END),
        ("a.", END),
        ("a.lock", END),
    ] {
        let text = format!("{bad:?} is not a revision: {why}");
        assert_eq!(Revision::new(bad).unwrap_err().to_string(), text);
        let refused = DeployRequest::parse(&bytes(&with(samples::request(), "revision", json!(bad))));
        let refused = refused.unwrap_err();
        assert_eq!((&refused.code, &refused.message), (&ErrorCode::InvalidRevision, &text));
    }
}

#[test]
fn a_revision_that_is_empty_too_long_no_text_or_a_short_commit_says_so() {
    let long = "x".repeat(256);
    for (bad, text) in [
        (json!(""), "`switch` needs a `revision`: a branch, tag or full commit"),
        (json!(null), "`switch` needs a `revision`: a branch, tag or full commit"),
        (json!(7), "invalid type: integer `7`, expected a string"),
        (json!(long), "the revision is 256 characters long; at most 255 are allowed"),
        (json!("abc1234"), "\"abc1234\" looks like a short commit: give all 40 digits, or a branch or tag"),
        (
            json!(samples::COMMIT[..39]),
            "\"0123456789abcdef0123456789abcdef0123456\" looks like a short commit: give all 40 digits, or a \
             branch or tag",
        ),
    ] {
        let refused = DeployRequest::parse(&bytes(&with(samples::request(), "revision", bad))).unwrap_err();
        assert_eq!((&refused.code, &refused.message[..]), (&ErrorCode::InvalidRevision, text));
    }
    let empty = Revision::new("").unwrap_err().to_string();
    assert_eq!(empty, "the revision is empty: name a branch, a tag or a full commit");
}

#[test]
fn a_refusal_shows_no_more_of_a_hostile_revision_than_a_person_needs() {
    let refused = Revision::new("\u{1b}".repeat(255)).unwrap_err().to_string();
    assert!(refused.len() < 700 && !refused.contains('\u{1b}'), "{refused}");
}

#[test]
fn only_forty_lower_case_hexadecimal_digits_are_a_commit() {
    assert!(is_commit(samples::COMMIT));
    assert!(Revision::new(samples::COMMIT).unwrap().is_commit());
    for name in ["master", &samples::COMMIT[1..], &samples::COMMIT.to_uppercase(), &"g".repeat(40)] {
        assert!(!is_commit(name), "{name}");
    }
}

#[test]
fn a_request_wants_its_reports_on_a_reply_subject_and_nowhere_else() {
    for (bad, text) in [
        ("", "bad `reply_to`: \"\" is not `deploy.responses.<id>`"),
        ("deploy.responses", "bad `reply_to`: \"deploy.responses\" is not `deploy.responses.<id>`"),
        ("deploy.prod.web1", "bad `reply_to`: \"deploy.prod.web1\" is not `deploy.responses.<id>`"),
        ("_INBOX.x", "bad `reply_to`: \"_INBOX.x\" is not `deploy.responses.<id>`"),
        ("build.responses.x", "bad `reply_to`: \"build.responses.x\" is not `deploy.responses.<id>`"),
        ("deploy.responses.a.b", "bad `reply_to`: \"deploy.responses.a.b\" is not `deploy.responses.<id>`"),
        (
            "deploy.responses.",
            "bad `reply_to`: its last token is no id: \"\" is not a name: use 1 to 63 letters, \
             digits, `_` or `-`",
        ),
        (
            "deploy.responses.*",
            "bad `reply_to`: its last token is no id: \"*\" is not a name: use 1 to 63 letters, \
             digits, `_` or `-`",
        ),
        (
            "deploy.responses.>",
            "bad `reply_to`: its last token is no id: \">\" is not a name: use 1 to 63 letters, \
             digits, `_` or `-`",
        ),
        (
            "deploy.responses.presence",
            "bad `reply_to`: its last token is no id: \"presence\" is a reserved word and cannot be a name",
        ),
        (
            "deploy.responses.ask",
            "bad `reply_to`: its last token is no id: \"ask\" is a reserved word and cannot be a name",
        ),
        (
            "deploy.responses._x",
            "bad `reply_to`: its last token is no id: \"_x\" is not an id: it must start with a \
             letter or digit",
        ),
        ("deploy.responses.ask.x", "bad `reply_to`: reports go to `deploy.responses.<id>`"),
    ] {
        let request = with(samples::request(), "reply_to", json!(bad));
        let refused = DeployRequest::parse(&bytes(&request)).unwrap_err();
        assert_eq!((&refused.code, &refused.message[..]), (&ErrorCode::InvalidRequest, text));
        assert_eq!(refused.reply_to, None, "{bad}");
    }
}

#[test]
fn an_ask_may_want_its_answers_apart_from_reports() {
    for (good, reply_to) in [
        ("deploy.responses.ask.x", ReplyTo::answers(id("x"))),
        ("deploy.responses.x", ReplyTo::reports(id("x"))),
    ] {
        let ask = Ask::parse(&bytes(&with(samples::ask(), "reply_to", json!(good)))).unwrap();
        assert_eq!((ask.reply_to.to_string(), &ask.reply_to), (good.to_owned(), &reply_to));
    }
    for bad in [
        "deploy.responses.ask.x.y",
        "deploy.responses.ask.*",
        "deploy.responses.ask.",
        "deploy.responses.presence",
        "deploy.responses.x.log.web1",
        "deploy.discover",
    ] {
        let refused = Ask::parse(&bytes(&with(samples::ask(), "reply_to", json!(bad)))).unwrap_err();
        assert!(refused.to_string().starts_with("bad field `reply_to`: "), "{bad}: {refused}");
    }
}
