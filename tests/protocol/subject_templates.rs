//! Subject templates: the expansion of placeholders, and the templates that are rejected when a listener starts.

use crate::samples::name;
use homelab_deploy::protocol::{DEPLOY_TEMPLATES, DISCOVER, TemplateError, expand_template};

fn expanded(template: &str, role: Option<&str>) -> Result<Option<String>, TemplateError> {
    expand_template(template, &name("web1"), &name("prod"), role.map(name).as_ref(), true)
}

#[test]
fn placeholders_expand_to_the_hosts_names() {
    for (template, subject) in [
        ("deploy.<tier>.<hostname>", "deploy.prod.web1"),
        ("deploy.<tier>.all", "deploy.prod.all"),
        ("deploy.<tier>.role.<role>", "deploy.prod.role.dns"),
        ("<role>.<role>.x", "dns.dns.x"),
        ("fleet.<tier>-<hostname>", "fleet.prod-web1"),
        ("plain", "plain"),
        ("deploy.<tier>.>", "deploy.prod.>"),
        ("deploy.prod.*", "deploy.prod.*"),
    ] {
        assert_eq!(expanded(template, Some("dns")).unwrap().as_deref(), Some(subject));
    }
}

#[test]
fn the_default_templates_skip_the_role_if_there_is_none() {
    let of = |role| DEPLOY_TEMPLATES.iter().filter_map(|t| expanded(t, role).unwrap()).collect::<Vec<_>>();
    assert_eq!(of(Some("dns")), ["deploy.prod.web1", "deploy.prod.all", "deploy.prod.role.dns"]);
    assert_eq!(of(None), ["deploy.prod.web1", "deploy.prod.all"]);
}

#[test]
fn an_unknown_placeholder_is_refused() {
    for template in
        ["deploy.<tier>.<host>", "deploy.<>", "deploy.<tier", "deploy.<Tier>.x", "deploy.<role>.<x>"]
    {
        let text = format!(
            "the subject {template:?} has an unknown placeholder; \
             the known ones are `<hostname>`, `<tier>` and `<role>`"
        );
        for role in [Some("dns"), None] {
            if template.contains("<role>") && role.is_none() {
                continue;
            }
            assert_eq!(expanded(template, role).unwrap_err().to_string(), text);
        }
    }
}

#[test]
fn a_request_template_may_not_overlap_queries_or_reports() {
    for (template, subject, taken) in [
        ("deploy.discover", "deploy.discover", "deploy.discover"),
        ("deploy.responses.<hostname>", "deploy.responses.web1", "deploy.responses.>"),
        ("deploy.responses", "deploy.responses", "deploy.responses"),
        ("deploy.responses.>", "deploy.responses.>", "deploy.responses.>"),
        ("deploy.>", "deploy.>", "deploy.responses.>"),
        ("deploy.*", "deploy.*", "deploy.responses"),
        ("deploy.*.x", "deploy.*.x", "deploy.responses.>"),
        ("deploy.*.role.<role>", "deploy.*.role.dns", "deploy.responses.>"),
        ("*.discover", "*.discover", "deploy.discover"),
        ("*.*", "*.*", "deploy.responses"),
        (">", ">", "deploy.responses.>"),
    ] {
        let text = format!(
            "the subject template {template:?} cannot be used: {subject:?} overlaps {taken}, \
             which carries no requests"
        );
        assert_eq!(expanded(template, Some("dns")).unwrap_err().to_string(), text);
    }
}

#[test]
fn a_template_without_requests_may_use_the_query_subject() {
    let (host, tier) = (name("web1"), name("prod"));
    assert_eq!(expand_template(DISCOVER, &host, &tier, None, false).unwrap().as_deref(), Some(DISCOVER));
}

#[test]
fn a_template_that_expands_to_an_invalid_subject_is_refused() {
    for template in ["", "deploy..x", "deploy.<tier>.", "deploy. <tier>", "deploy.>.<tier>"] {
        let subject = template.replace("<tier>", "prod");
        let text = format!(
            "the subject template {template:?} cannot be used: {subject:?} is not a subject: \
             expected tokens without blanks, separated by single dots"
        );
        assert_eq!(expanded(template, None).unwrap_err().to_string(), text);
    }
}
