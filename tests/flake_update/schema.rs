//! What `--output json` prints is as its schema says.

use crate::common::Ended;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// The schema in one piece. What readers are told may come in later versions is not allowed here.
fn schema() -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schemas");
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap().replace("common.json#", "#");
    let mut schema: Value = serde_json::from_str(&read("flake-update.json")).unwrap();
    let common: Value = serde_json::from_str(&read("common.json")).unwrap();
    for name in ["name", "note_event"] {
        schema["$defs"][name] = common["$defs"][name].clone();
    }
    close(&mut schema);
    schema
}

fn close(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if map.get("properties").is_some_and(Value::is_object) {
                map.insert("additionalProperties".to_owned(), json!(false));
            }
            map.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

/// Every line is as the schema says; gives the lines.
pub(crate) fn valid(ended: &Ended) -> Vec<Value> {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let lines = ended.json();
    assert!(!lines.is_empty(), "{ended}");
    for line in &lines {
        let errors: Vec<_> = validator.iter_errors(line).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:#?}\n{line:#}");
    }
    lines
}
