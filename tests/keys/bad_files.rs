//! Fleet files that are refused, by the sentence that a person reads.

use crate::fixture::{pair, public_key};
use homelab_deploy::keys::parse_fleet_file;
use nkeys::KeyPair;

const WRITE_KEY: &str = "write the text starting with U that `homelab-deploy keys new` printed";

/// The sentence for a file in which `KEY` stands for a good public key.
fn refusal(text: &str) -> String {
    let text = text.replace("KEY", &format!("public_key = {:?}", public_key("x")));
    match parse_fleet_file(&text) {
        Err(error) => error.to_string(),
        Ok(users) => panic!("taken: {text}\n{users:?}"),
    }
}

/// Checks pairs of a file and its sentence.
fn hold(table: &[(&str, &str)]) {
    for (text, sentence) in table {
        assert_eq!(refusal(text), *sentence, "for:\n{text}");
    }
}

/// Checks triples of an entry's fields, the field that is named, and what is said about it.
fn hold_fields(entry: &str, table: &[(&str, &str, &str)]) {
    for (fields, field, sentence) in table {
        let text = format!("[{entry}]\n{fields}\nKEY\n");
        assert_eq!(refusal(&text), format!("{entry}.{field}: {sentence}"), "for:\n{text}");
    }
}

#[test]
fn the_file_as_a_whole() {
    let empty = "it names no host and no operator; write at least one [hosts.<name>] or [operators.<name>]";
    hold(&[
        ("", empty),
        ("[hosts]\n[operators]\n", empty),
        (
            "[hosts.ns1]\ntier = \n",
            "line 2 is not TOML: string values must be quoted, expected literal string",
        ),
        ("[hosts.ns1]\nKEY\nKEY\n", "line 3 is not TOML: duplicate key"),
        (
            "[host.ns1]\n",
            "there is no section `host`; the sections are [hosts.<name>] and [operators.<name>], and above them there may be \
             base_subjects = false",
        ),
        ("hosts = 3", "hosts is not a section; write [hosts.<name>] for each of its entries"),
        (
            "base_subjects = \"no\"",
            "base_subjects: it is a text, not true or false; write base_subjects = false, or leave it out",
        ),
        ("operators = []", "operators is not a section; write [operators.<name>] for each of its entries"),
    ]);
}

#[test]
fn names_of_entries() {
    hold(&[
        (
            "[hosts.'n s']",
            "[hosts] has an entry that cannot be named so: \"n s\" is not a name: use 1 to 63 letters, digits, \
             `_` or `-`",
        ),
        (
            "[operators.'a.b']",
            "[operators] has an entry that cannot be named so: \"a.b\" is not a name: use 1 to 63 letters, digits, \
             `_` or `-`",
        ),
        (
            "[hosts.all]",
            "[hosts] has an entry that cannot be named so: \"all\" is a reserved word and cannot be a name",
        ),
        (
            "[hosts]\nns1 = 3",
            "hosts.ns1: it is a number, not a section; write [hosts.ns1] and its fields below",
        ),
    ]);
}

#[test]
fn fields_of_hosts() {
    let unknown = "there is no such field here; the fields of a host are tier, role, confirm_peers, public_key, next_public_key";
    hold_fields(
        "hosts.ns1",
        &[
            ("", "tier", "it is missing; write tier = \"prod\", or another tier's name"),
            ("tier = 3", "tier", "it is a number, not a text; write tier = \"prod\", or another tier's name"),
            (
                "tier = \"a b\"",
                "tier",
                "\"a b\" is not a name: use 1 to 63 letters, digits, `_` or `-`; write tier = \"prod\", or another \
             tier's name",
            ),
            (
                "tier = \"responses\"",
                "tier",
                "\"responses\" is a reserved word and cannot be a name; write tier = \"prod\", or another tier's name",
            ),
            (
                "tier = \"prod\"\nrole = \"\"",
                "role",
                "\"\" is not a name: use 1 to 63 letters, digits, `_` or `-`; write role = \"dns\", or leave it out",
            ),
            (
                "tier = \"prod\"\nrole = [\"dns\"]",
                "role",
                "it is a list, not a text; write role = \"dns\", or leave it out",
            ),
            ("teir = \"prod\"", "teir", unknown),
            ("tier = \"prod\"\nkind = \"listener\"", "kind", unknown),
        ],
    );
}

#[test]
fn kinds_of_operators() {
    hold_fields(
        "operators.al",
        &[
            ("", "kind", "it is missing; write deployer, admin, viewer, builder or mcp"),
            (
                "kind = true",
                "kind",
                "it is true or false, not a text; write deployer, admin, viewer, builder or mcp",
            ),
            (
                "kind = \"root\"",
                "kind",
                "\"root\" is no kind of operator; write deployer, admin, viewer, builder or mcp",
            ),
            (
                "kind = \"listener\"\ntier = \"prod\"",
                "kind",
                "a listener belongs to a host; write [hosts.al] with its tier and public_key",
            ),
        ],
    );
}

#[test]
fn tiers_of_operators() {
    let needs = "a deployer needs at least one tier; write tiers = [\"prod\"], or other tiers' names";
    let alone = "an mcp deploys to that tier alone; write tiers = [\"test\"], or leave it out";
    hold_fields(
        "operators.al",
        &[
            ("kind = \"deployer\"", "tiers", needs),
            ("kind = \"deployer\"\ntiers = []", "tiers", needs),
            (
                "kind = \"deployer\"\ntiers = \"prod\"",
                "tiers",
                "it is a text, not a list; write tiers = [\"prod\"], or other tiers' names",
            ),
            (
                "kind = \"deployer\"\ntiers = [\"prod\", 1.5]",
                "tiers",
                "it holds a number, not a text; write tiers = [\"prod\"], or other tiers' names",
            ),
            (
                "kind = \"deployer\"\ntiers = [\">\"]",
                "tiers",
                "\">\" is not a name: use 1 to 63 letters, digits, `_` or `-`; write tiers = [\"prod\"], or other \
             tiers' names",
            ),
            (
                "kind = \"deployer\"\ntier = \"prod\"",
                "tier",
                "there is no such field here; the fields of a deployer are kind, tiers, builds, public_key, \
             next_public_key, expires",
            ),
            ("kind = \"mcp\"\ntiers = [\"prod\"]", "tiers", alone),
            ("kind = \"mcp\"\ntiers = [\"test\", \"prod\"]", "tiers", alone),
            ("kind = \"mcp\"\ntiers = []", "tiers", alone),
        ],
    );
}

#[test]
fn tiers_and_builds_where_they_do_not_belong() {
    for (kind, owner) in [("admin", "an admin"), ("viewer", "a viewer"), ("builder", "a builder")] {
        for (field, value) in [("tiers", "[\"prod\"]"), ("builds", "true")] {
            let sentence = format!(
                "there is no such field here; the fields of {owner} are kind, public_key, next_public_key, expires"
            );
            let fields = format!("kind = {kind:?}\n{field} = {value}");
            hold_fields("operators.al", &[(&fields, field, &sentence)]);
        }
    }
    hold_fields(
        "operators.al",
        &[(
            "kind = \"mcp\"\nbuilds = \"yes\"",
            "builds",
            "it is a text, not true or false; write builds = true, or leave it out",
        )],
    );
}

#[test]
fn one_key_for_two() {
    hold(&[(
        "[hosts.ns1]\ntier = \"prod\"\nKEY\n[operators.al]\nkind = \"viewer\"\nKEY",
        "hosts.ns1 and operators.al have the same public_key; give each its own by `homelab-deploy keys new`",
    )]);
}

#[test]
fn a_bad_public_key_is_explained_and_not_repeated() {
    let user = public_key("x");
    let account = KeyPair::new_account().public_key();
    let typo = user.replace(&user[20..21], if &user[20..21] == "A" { "B" } else { "A" });
    let table = [
        (account.as_str(), "it is the key of another kind, account"),
        (typo.as_str(), "it is not a public key (checksum match failure)"),
        (&user[..40], "it is not a public key (invalid key length)"),
        (&user.to_lowercase(), "it is not a public key (codec failure)"),
        ("", "it is not a public key (invalid key length)"),
    ];
    for (key, why) in table {
        let error = refusal(&format!("[hosts.ns1]\ntier = \"prod\"\npublic_key = \"{key}\"\n"));
        assert_eq!(error, format!("hosts.ns1.public_key: {why}; {WRITE_KEY}"), "for {key:?}");
    }
    assert_eq!(
        refusal("[hosts.ns1]\ntier = \"prod\"\n"),
        format!("hosts.ns1.public_key: it is missing; {WRITE_KEY}")
    );
    assert_eq!(
        refusal("[hosts.ns1]\ntier = \"prod\"\npublic_key = 3\n"),
        format!("hosts.ns1.public_key: it is a number, not a text; {WRITE_KEY}")
    );
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
        let error = parse_fleet_file(&file).unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 3 holds a seed, which is secret; write the public key that belongs to it, the text starting \
             with U, and make a new key if others have seen this file"
        );
        assert!(!format!("{error:?}").contains(&seed[..20]));
    }
}
