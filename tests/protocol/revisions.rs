//! Valid revisions and reply subjects, and the errors for invalid ones.

use crate::samples::{self, bytes, id, with};
use homelab_deploy::protocol::{DeployRequest, ErrorCode, Query, ReplyTo, Revision, is_commit};
use serde_json::json;
use std::process::Command;

const CHARACTERS: &str = "git allows none of `~ ^ : ? * [ \\` in a name";
const BLANKS: &str = "git allows no blanks, line ends or control characters in a name";
const DOTS: &str = "git allows no `..`, `//` or `@{` in a name";
const ENDS: &str = "git allows no name that starts with `-` or `/`, or ends in `/` or `.`";
const PARTS: &str = "git allows no part of a name that starts with `.` or ends in `.lock`";
const UNSEEN: &str = "it has invisible characters; rename the branch or tag";

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
        "_x",
        "+x",
        "#42",
        "@x",
        "100%",
        "a&b=c",
        "$(x)",
        "it's",
        "a,b;c|d",
        "ü",
        "🚀",
        "a./b",
        "HEAD",
        &"x".repeat(255),
    ] {
        assert_eq!(Revision::new(good).unwrap().as_str(), good);
        let request = with(samples::request(), "revision", json!(good));
        let request = DeployRequest::parse(&bytes(&request)).unwrap();
        assert_eq!(request.revision.unwrap().to_string(), good);
    }
}

#[test]
fn what_git_nix_or_a_shell_could_misread_is_an_invalid_revision_with_a_reason() {
    for (bad, why) in [
        ("--help", ENDS),
        ("-x", ENDS),
        ("/x", ENDS),
        ("a/", ENDS),
        ("a.", ENDS),
        (".x", PARTS),
        ("a/.x", PARTS),
        ("a.lock", PARTS),
        ("a.lock/b", PARTS),
        ("a..b", DOTS),
        ("a//b", DOTS),
        ("a@{1}", DOTS),
        ("x y", BLANKS),
        (" x", BLANKS),
        ("x\n", BLANKS),
        ("x\0", BLANKS),
        ("a?ref=b", CHARACTERS),
        ("a:b", CHARACTERS),
        ("a~1", CHARACTERS),
        ("a^", CHARACTERS),
        ("a*", CHARACTERS),
        ("a[b", CHARACTERS),
        ("a\\b", CHARACTERS),
        ("a\u{202e}b", UNSEEN),
        ("a\u{200b}", UNSEEN),
        ("a\u{9b}31m", UNSEEN),
    ] {
        let text = format!("{bad:?} is not a revision: {why}");
        assert_eq!(Revision::new(bad).unwrap_err().to_string(), text);
        let refused = DeployRequest::parse(&bytes(&with(samples::request(), "revision", json!(bad))));
        let refused = refused.unwrap_err();
        assert_eq!((&refused.code, &refused.message), (&ErrorCode::InvalidRevision, &text));
    }
}

/// A few hundred names, composed of strings with a meaning in git; deterministic.
fn generated() -> Vec<String> {
    const PIECES: [&str; 36] = [
        "a", "B", "7", "/", ".", "-", "_", "@", "{", "}", "#", "%", "&", "=", "+", "~", "^", ":", "?", "*",
        "[", "]", "\\", " ", "..", "//", "@{", ".lock", "HEAD", "ü", "🚀", "'", "\"", "$(x)", "\t", "\u{7f}",
    ];
    let mut state: u32 = 1;
    let mut next = |most: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) as usize % most
    };
    let mut names: Vec<String> = PIECES.map(str::to_owned).into();
    while names.len() < 600 {
        let pieces = 2 + next(4);
        // Every second name is mostly letters, so that many are valid.
        let of = if names.len().is_multiple_of(2) { PIECES.len() } else { 15 };
        names.push((0..pieces).map(|_| PIECES[next(of)]).collect());
    }
    names
}

#[test]
fn a_branch_name_that_git_allows_is_a_revision_and_nothing_else_is() {
    let dir = tempfile::TempDir::new().unwrap();
    let mut allowed = 0;
    for name in generated() {
        let git = Command::new("git")
            .args(["check-ref-format", "--branch", &name])
            .current_dir(dir.path())
            .env("GIT_CEILING_DIRECTORIES", dir.path())
            .output();
        let by_git = git.unwrap().status.success();
        // git rejects HEAD as a branch name; here it is the default branch.
        assert_eq!(Revision::new(name.as_str()).is_ok(), by_git || name == "HEAD", "{name:?}");
        allowed += usize::from(by_git);
    }
    assert!((200..500).contains(&allowed), "{allowed} of 600 are allowed");
}

#[test]
fn a_revision_that_is_empty_too_long_not_a_string_or_a_short_commit_names_the_reason() {
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
fn an_error_shows_only_the_start_of_a_hostile_revision() {
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
fn a_request_accepts_only_a_report_reply_subject() {
    for (bad, text) in [
        ("", "bad `reply_to`: \"\" is not `deploy.responses.<id>`"),
        ("deploy.responses", "bad `reply_to`: \"deploy.responses\" is not `deploy.responses.<id>`"),
        ("deploy.prod.web1", "bad `reply_to`: \"deploy.prod.web1\" is not `deploy.responses.<id>`"),
        ("_INBOX.x", "bad `reply_to`: \"_INBOX.x\" is not `deploy.responses.<id>`"),
        ("build.responses.x", "bad `reply_to`: \"build.responses.x\" is not `deploy.responses.<id>`"),
        ("deploy.responses.a.b", "bad `reply_to`: \"deploy.responses.a.b\" is not `deploy.responses.<id>`"),
        (
            "deploy.responses.",
            "bad `reply_to`: the last token is not an id: \"\" is not a name: use 1 to 63 letters, \
             digits, `_` or `-`",
        ),
        (
            "deploy.responses.*",
            "bad `reply_to`: the last token is not an id: \"*\" is not a name: use 1 to 63 letters, \
             digits, `_` or `-`",
        ),
        (
            "deploy.responses.>",
            "bad `reply_to`: the last token is not an id: \">\" is not a name: use 1 to 63 letters, \
             digits, `_` or `-`",
        ),
        (
            "deploy.responses.presence",
            "bad `reply_to`: the last token is not an id: \"presence\" is a reserved word and cannot be a name",
        ),
        (
            "deploy.responses.ask",
            "bad `reply_to`: the last token is not an id: \"ask\" is a reserved word and cannot be a name",
        ),
        (
            "deploy.responses._x",
            "bad `reply_to`: the last token is not an id: \"_x\" is not an id: it must start with a \
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
fn a_query_accepts_both_forms_of_reply_subject() {
    for (good, reply_to) in [
        ("deploy.responses.ask.x", ReplyTo::replies(id("x"))),
        ("deploy.responses.x", ReplyTo::reports(id("x"))),
    ] {
        let query = Query::parse(&bytes(&with(samples::query(), "reply_to", json!(good)))).unwrap();
        assert_eq!((query.reply_to.to_string(), &query.reply_to), (good.to_owned(), &reply_to));
    }
    for bad in [
        "deploy.responses.ask.x.y",
        "deploy.responses.ask.*",
        "deploy.responses.ask.",
        "deploy.responses.presence",
        "deploy.responses.x.log.web1",
        "deploy.discover",
    ] {
        let refused = Query::parse(&bytes(&with(samples::query(), "reply_to", json!(bad)))).unwrap_err();
        assert!(refused.to_string().starts_with("bad field `reply_to`: "), "{bad}: {refused}");
    }
}
