//! Invalid fleet files, with their error messages.

use crate::fixture::{pair, public_key};
use homelab_deploy::keys::parse_fleet_file;
use nkeys::KeyPair;

const PUBLIC_KEY_HINT: &str = "write the key starting with U that `homelab-deploy keys new` printed";

/// The error for a file, in which `KEY` is replaced with a valid public key.
fn refusal(text: &str) -> String {
    let text = text.replace("KEY", &format!("public_key = {:?}", public_key("x")));
    match parse_fleet_file(&text, "fleet.toml".as_ref()) {
        Err(error) => error.to_string(),
        Ok(users) => panic!("taken: {text}\n{users:?}"),
    }
}

/// Checks pairs of a file and its error, without the name of the file.
fn hold(table: &[(&str, &str)]) {
    for (text, sentence) in table {
        assert_eq!(refusal(text), format!("fleet.toml:{sentence}"), "for:\n{text}");
    }
}

/// Checks pairs of an entry's fields and the error.
fn hold_fields(entry: &str, table: &[(&str, &str)]) {
    for (fields, sentence) in table {
        hold(&[(&format!("[{entry}]\n{fields}\nKEY\n"), sentence)]);
    }
}

#[test]
fn the_file_as_a_whole() {
    let empty =
        "1:1: the file has no hosts or operators; write at least one [hosts.NAME] or [operators.NAME]";
    hold(&[
        ("", empty),
        ("[hosts]\n[operators]\n", empty),
        ("[hosts.ns1]\ntier = \n", "2:8: string values must be quoted, expected literal string"),
        ("[hosts.ns1]\nKEY\nKEY\n", "3:1: duplicate key"),
        ("[host.ns1]\n", "1:2: unknown key \"host\" in the file; did you mean hosts?"),
        ("hosts = 3", "1:9: hosts: expected a table, found a number"),
        ("base_subjects = \"no\"", "1:17: base_subjects: expected true or false, found a string"),
        ("operators = []", "1:13: operators: expected a table, found a list"),
    ]);
}

#[test]
fn all_problems_are_reported_in_the_order_of_the_file() {
    let text = "[operators.al]\nkind = \"viewr\"\nKEY\n[hosts.ns1]\ntier = 3\nrol = \"dns\"\n";
    let expected = [
        "fleet.toml:2:8: operators.al.kind: invalid kind \"viewr\": expected deployer, admin, viewer, builder or mcp",
        "fleet.toml:4:8: hosts.ns1 has no public_key; write public_key = \"U…\", as printed by `homelab-deploy keys new`",
        "fleet.toml:5:8: hosts.ns1.tier: expected a quoted string, found a number",
        "fleet.toml:6:1: unknown key \"rol\" in [hosts.ns1]; did you mean role?",
    ];
    assert_eq!(refusal(text).lines().collect::<Vec<_>>(), expected);
}

#[test]
fn names_of_entries() {
    let rule = "is not a name: use 1 to 63 letters, digits, `_` or `-`";
    hold(&[
        ("[hosts.'n s']", &format!("1:8: hosts.n s: \"n s\" {rule}")),
        ("[operators.'a.b']", &format!("1:12: operators.a.b: \"a.b\" {rule}")),
        ("[hosts.all]", "1:8: hosts.all: \"all\" is a reserved word and cannot be a name"),
        ("[hosts]\nns1 = 3", "2:7: hosts.ns1: expected a table, found a number"),
    ]);
}

#[test]
fn fields_of_hosts() {
    let rule = "is not a name: use 1 to 63 letters, digits, `_` or `-`";
    let known = "expected one of tier, role, confirm_peers, public_key, next_public_key";
    let no_tier = "1:8: hosts.ns1 has no tier; write tier = \"prod\", or another tier's name";
    hold_fields(
        "hosts.ns1",
        &[
            ("", no_tier),
            ("tier = 3", "2:8: hosts.ns1.tier: expected a quoted string, found a number"),
            ("tier = \"a b\"", &format!("2:8: hosts.ns1.tier: \"a b\" {rule}")),
            (
                "tier = \"responses\"",
                "2:8: hosts.ns1.tier: \"responses\" is a reserved word and cannot be a name",
            ),
            ("tier = \"prod\"\nrole = \"\"", "3:8: hosts.ns1.role: it is empty"),
            (
                "tier = \"prod\"\nrole = [\"dns\"]",
                "3:8: hosts.ns1.role: expected a quoted string, found a list",
            ),
            (
                "tier = \"prod\"\nkind = \"listener\"",
                &format!("3:1: unknown key \"kind\" in [hosts.ns1]; {known}"),
            ),
            (
                "teir = \"prod\"",
                &format!(
                    "{no_tier}\nfleet.toml:2:1: unknown key \"teir\" in [hosts.ns1]; did you mean tier?"
                ),
            ),
        ],
    );
}

#[test]
fn kinds_of_operators() {
    hold_fields(
        "operators.al",
        &[
            (
                "",
                "1:12: operators.al has no kind; write kind = \"deployer\", or admin, viewer, builder or mcp",
            ),
            ("kind = true", "2:8: operators.al.kind: expected a quoted string, found a boolean"),
            (
                "kind = \"root\"",
                "2:8: operators.al.kind: invalid kind \"root\": expected deployer, admin, viewer, builder or mcp",
            ),
            (
                "kind = \"listener\"\ntier = \"prod\"",
                "2:8: operators.al.kind: a listener belongs to a host: write [hosts.al] with its tier",
            ),
        ],
    );
}

#[test]
fn tiers_of_operators() {
    let needs = "3:9: operators.al.tiers: a deployer needs at least one tier";
    let none = "1:12: operators.al has no tiers; write tiers = [\"prod\"], or other tiers' names";
    let alone = "3:9: operators.al.tiers: an mcp credential may only deploy to the tier test: write [\"test\"], or leave it out";
    hold_fields(
        "operators.al",
        &[
            ("kind = \"deployer\"", none),
            ("kind = \"deployer\"\ntiers = []", needs),
            (
                "kind = \"deployer\"\ntiers = \"prod\"",
                "3:9: operators.al.tiers: expected a list, as in [\"prod\"], found a string",
            ),
            (
                "kind = \"deployer\"\ntiers = [\"prod\", 1.5]",
                "3:18: operators.al.tiers: expected a quoted string, found a number",
            ),
            (
                "kind = \"deployer\"\ntiers = [\">\"]",
                "3:10: operators.al.tiers: \">\" is not a name: use 1 to 63 letters, digits, `_` or `-`",
            ),
            (
                "kind = \"deployer\"\ntier = \"prod\"",
                &format!(
                    "{none}\nfleet.toml:3:1: unknown key \"tier\" in [operators.al]; did you mean tiers?"
                ),
            ),
            ("kind = \"mcp\"\ntiers = [\"prod\"]", alone),
            ("kind = \"mcp\"\ntiers = [\"test\", \"prod\"]", alone),
            ("kind = \"mcp\"\ntiers = []", alone),
        ],
    );
}

#[test]
fn tiers_and_builds_where_they_do_not_belong() {
    for kind in ["admin", "viewer", "builder"] {
        for (field, value) in [("tiers", "[\"prod\"]"), ("builds", "true")] {
            let known = "expected one of kind, public_key, next_public_key, expires";
            let sentence = format!("3:1: unknown key {field:?} in [operators.al]; {known}");
            hold_fields("operators.al", &[(&format!("kind = {kind:?}\n{field} = {value}"), &sentence)]);
        }
    }
    hold_fields(
        "operators.al",
        &[(
            "kind = \"mcp\"\nbuilds = \"yes\"",
            "3:10: operators.al.builds: expected true or false, found a string",
        )],
    );
}

#[test]
fn one_key_for_two() {
    hold(&[(
        "[hosts.ns1]\ntier = \"prod\"\nKEY\n[operators.al]\nkind = \"viewer\"\nKEY",
        "4:12: operators.al: it has the same public_key as hosts.ns1: generate a separate key for each with `homelab-deploy keys new`",
    )]);
}

#[test]
fn a_bad_public_key_is_explained_and_not_repeated() {
    let user = public_key("x");
    let account = KeyPair::new_account().public_key();
    let typo = user.replace(&user[20..21], if &user[20..21] == "A" { "B" } else { "A" });
    let hinted = |why: &str| format!("{why}; {PUBLIC_KEY_HINT}");
    let table = [
        (account.as_str(), hinted("it is a key of type account, expected a user key")),
        (typo.as_str(), hinted("it is not a public key (checksum match failure)")),
        (&user[..40], hinted("it is not a public key (invalid key length)")),
        (&user.to_lowercase(), hinted("it is not a public key (codec failure)")),
        ("", "it is empty".to_owned()),
    ];
    for (key, why) in table {
        let error = refusal(&format!("[hosts.ns1]\ntier = \"prod\"\npublic_key = \"{key}\"\n"));
        assert_eq!(error, format!("fleet.toml:3:14: hosts.ns1.public_key: {why}"), "for {key:?}");
    }
    hold(&[
        (
            "[hosts.ns1]\ntier = \"prod\"\n",
            "1:8: hosts.ns1 has no public_key; write public_key = \"U…\", as printed by `homelab-deploy keys new`",
        ),
        (
            "[hosts.ns1]\ntier = \"prod\"\npublic_key = 3\n",
            "3:14: hosts.ns1.public_key: expected a quoted string, found a number",
        ),
    ]);
}

#[test]
fn a_seed_anywhere_in_the_file_is_refused_and_not_repeated() {
    let seed = pair("x").seed().unwrap();
    let files = [
        format!("[hosts.ns1]\ntier = \"prod\"\npublic_key = \"{seed}\"\n"),
        format!("[hosts.ns1]\ntier = \"prod\"\npublic_key = \"{}\"\n", &seed[..55]),
        format!("[hosts.ns1]\nKEY\ntier = \"{seed}\"\n"),
        format!("[hosts.ns1]\nKEY\ntier = {seed}\n"),
        format!("[hosts.ns1]\ntier = \"prod\"\nKEY # {seed}\n"),
        format!("[hosts.ns1]\ntier = \"prod\"\n{seed} = 1\n"),
    ];
    for file in files {
        let error = parse_fleet_file(&file, "fleet.toml".as_ref()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "fleet.toml:3:1: expected a path or a public key but found a seed, which is now exposed: generate a new key with \
             `homelab-deploy keys new`, and put the path of its file or its public key here"
        );
        assert!(!format!("{error:?}").contains(&seed[..20]));
    }
}
