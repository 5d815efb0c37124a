//! Strings that occur in many messages.

use crate::samples::COMMIT;
use homelab_deploy::protocol::{DeployReport, InternedStr};
use serde_json::json;

fn read(text: &str) -> InternedStr {
    serde_json::from_value(json!(text)).unwrap()
}

fn is_one(a: &InternedStr, b: &InternedStr) -> bool {
    std::ptr::eq(a.as_str(), b.as_str())
}

#[test]
fn equal_strings_of_two_messages_share_memory() {
    let report = |host: &str| {
        let report = json!({"hostname": host, "status": "running", "commit": COMMIT});
        DeployReport::parse(report.to_string().as_bytes()).unwrap().commit.unwrap()
    };
    let (first, second) = (report("web1"), report("web2"));
    assert_eq!((first.as_str(), &second), (COMMIT, &first));
    assert!(is_one(&first, &second));
}

#[test]
fn many_other_strings_do_not_change_one_that_is_held() {
    let held: Vec<_> = (0..5000).map(|n| (n, read(&format!("text {n}")))).collect();
    for (n, text) in held {
        assert_eq!(text.as_str(), format!("text {n}"));
        assert_eq!(read(&format!("text {n}")), text);
    }
}

#[test]
fn long_strings_are_not_interned() {
    let long = "x".repeat(10_000);
    let (first, second) = (read(&long), read(&long));
    assert_eq!((first.as_str(), &second), (long.as_str(), &first));
    assert!(!is_one(&first, &second));
}

#[test]
fn it_serializes_and_displays_as_its_string() {
    let text = read("\"é\"\n");
    assert_eq!(serde_json::to_value(&text).unwrap(), json!("\"é\"\n"));
    assert_eq!(
        (text.to_string(), format!("{text:?}")),
        ("\"é\"\n".to_owned(), "\"\\\"é\\\"\\n\"".to_owned())
    );
    let error = serde_json::from_value::<InternedStr>(json!(7)).unwrap_err().to_string();
    assert_eq!(error, "invalid type: integer `7`, expected a string");
}
