//! Texts that many messages hold alike.

use crate::samples::COMMIT;
use homelab_deploy::protocol::{DeployReport, SharedText};
use serde_json::json;

fn read(text: &str) -> SharedText {
    serde_json::from_value(json!(text)).unwrap()
}

fn is_one(a: &SharedText, b: &SharedText) -> bool {
    std::ptr::eq(a.as_str(), b.as_str())
}

#[test]
fn equal_texts_of_two_messages_are_kept_once() {
    let report = |host: &str| {
        let report = json!({"hostname": host, "status": "running", "commit": COMMIT});
        DeployReport::parse(report.to_string().as_bytes()).unwrap().commit.unwrap()
    };
    let (first, second) = (report("web1"), report("web2"));
    assert_eq!((first.as_str(), &second), (COMMIT, &first));
    assert!(is_one(&first, &second));
}

#[test]
fn many_other_texts_change_none_that_is_held() {
    let held: Vec<_> = (0..5000).map(|n| (n, read(&format!("text {n}")))).collect();
    for (n, text) in held {
        assert_eq!(text.as_str(), format!("text {n}"));
        assert_eq!(read(&format!("text {n}")), text);
    }
}

#[test]
fn long_texts_are_kept_by_whoever_holds_them_alone() {
    let long = "x".repeat(10_000);
    let (first, second) = (read(&long), read(&long));
    assert_eq!((first.as_str(), &second), (long.as_str(), &first));
    assert!(!is_one(&first, &second));
}

#[test]
fn it_is_written_and_shown_as_the_text_that_it_is() {
    let text = read("\"é\"\n");
    assert_eq!(serde_json::to_value(&text).unwrap(), json!("\"é\"\n"));
    assert_eq!(
        (text.to_string(), format!("{text:?}")),
        ("\"é\"\n".to_owned(), "\"\\\"é\\\"\\n\"".to_owned())
    );
    let error = serde_json::from_value::<SharedText>(json!(7)).unwrap_err().to_string();
    assert_eq!(error, "invalid type: integer `7`, expected a string");
}
