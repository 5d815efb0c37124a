//! The expiry of keys: its syntax, and the messages about it.

use crate::fixture::public_key;
use homelab_deploy::keys::{TrustedKey, parse_expiry, parse_fleet_file, render_authorization_at};
use jiff::Timestamp;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn a_day_is_valid_to_its_end_and_a_time_to_the_moment() {
    for (text, expected) in [
        ("2027-01-01", "2027-01-02T00:00:00Z"),
        ("2028-02-29", "2028-03-01T00:00:00Z"),
        ("2026-12-31", "2027-01-01T00:00:00Z"),
        ("2027-01-01T12:00:00Z", "2027-01-01T12:00:00Z"),
        ("2027-01-01T12:00:00.5Z", "2027-01-01T12:00:00.5Z"),
        ("2027-01-01T12:00:00+02:00", "2027-01-01T10:00:00Z"),
    ] {
        assert_eq!(parse_expiry(text).unwrap(), at(expected), "{text}");
    }
}

#[test]
fn other_dates_are_refused_and_repeated_only_if_they_cannot_be_secret() {
    let expected = "expected a day such as 2027-01-01, which still counts as valid (UTC), or a time such as \
        2027-01-01T12:00:00Z";
    for text in
        ["2027-13-01", "2027-02-29", "20270101", "2027-1-1", "2027-01-01T12:00:00", "2027", "9999-12-31"]
    {
        assert_eq!(
            parse_expiry(text).unwrap_err().to_string(),
            format!("invalid expiry date {text:?}: {expected}")
        );
    }
    for text in ["", "tomorrow", "SUAMLK2ZNL35WSMW37E7UD4", "2027-01-01 bis 12", "١٢٣٤٥٦٧٨", &"1".repeat(70)]
    {
        assert_eq!(parse_expiry(text).unwrap_err().to_string(), format!("invalid expiry date: {expected}"));
    }
}

#[test]
fn a_key_is_warned_about_from_fourteen_days_before_it_expires() {
    let key = public_key("x");
    let trusted = TrustedKey::parse(&format!("{key}@2027-01-01")).unwrap();
    let warning = |now: &str| trusted.warning(at(now)).unwrap_or_default();
    assert_eq!(warning("2026-12-18T23:59:59.999Z"), "");
    let soon = format!(
        "the trusted key {key} expires at 2027-01-02T00:00:00Z: requests signed with it will be rejected; replace it with \
         `homelab-deploy keys rotate`, or give it a later date in --trusted-key"
    );
    assert_eq!(warning("2026-12-19T00:00:00Z"), soon);
    assert_eq!(warning("2027-01-01T23:59:59.999Z"), soon);
    let expired = format!(
        "the trusted key {key} expired at 2027-01-02T00:00:00Z: requests signed with it are rejected; remove it from --trusted-key, or \
         give it a later date there"
    );
    assert_eq!(warning("2027-01-02T00:00:00Z"), expired);
    assert_eq!(warning("2127-01-02T00:00:00Z"), expired);
    assert_eq!(TrustedKey::parse(&key).unwrap().warning(at("2127-01-02T00:00:00Z")), None);
}

/// A fleet of a host and of a deployer whose entry has these additional fields.
fn fleet(fields: &str) -> String {
    format!(
        "[hosts.ns1]\ntier = \"prod\"\npublic_key = {:?}\n[operators.al]\nkind = \"deployer\"\ntiers = [\"prod\"]\npublic_key = {:?}\n{fields}\n",
        public_key("ns1"),
        public_key("al")
    )
}

#[test]
fn an_expired_operator_is_left_out_of_the_server_configuration() {
    for date in ["\"2027-01-01\"", "2027-01-01", "2027-01-02T00:00:00Z", "\"2027-01-02T00:00:00Z\""] {
        let users = parse_fleet_file(&fleet(&format!("expires = {date}")), "fleet.toml".as_ref()).unwrap();
        let before = render_authorization_at(&users, at("2027-01-01T23:59:59Z"));
        assert!(
            before.contains("# operators.al: deployer of prod, until 2027-01-02T00:00:00Z\n"),
            "{before}"
        );
        assert!(before.contains(&public_key("al")), "{before}");
        let after = render_authorization_at(&users, at("2027-01-02T00:00:00Z"));
        assert!(
            after.contains(
                "    # operators.al: deployer of prod, left out: expired at 2027-01-02T00:00:00Z\n"
            ),
            "{after}"
        );
        assert!(!after.contains(&public_key("al")) && after.contains(&public_key("ns1")), "{after}");
    }
}

#[test]
fn a_wrong_date_names_its_field() {
    for (value, why) in [
        ("\"soon\"", "invalid expiry date: expected a day such as 2027-01-01, "),
        ("2027-01-01T12:00:00", "invalid expiry date \"2027-01-01T12:00:00\": expected a day"),
        ("12:00:00", "invalid expiry date \"12:00:00\": expected a day"),
        ("2027", "expected a quoted string, found a number"),
    ] {
        let error = parse_fleet_file(&fleet(&format!("expires = {value}")), "fleet.toml".as_ref())
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with(&format!("fleet.toml:8:11: operators.al.expires: {why}")),
            "{value}: {error}"
        );
    }
    let host = fleet("").replace("tier = \"prod\"", "tier = \"prod\"\nexpires = \"2027-01-01\"");
    let error = parse_fleet_file(&host, "fleet.toml".as_ref()).unwrap_err().to_string();
    assert!(error.starts_with("fleet.toml:3:1: unknown key \"expires\" in [hosts.ns1]; "), "{error}");
}
