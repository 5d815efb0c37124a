//! Validates `--output json` against its schema.

use crate::common::CommandOutput;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// The schema with its shared definitions included. Unknown properties, which readers must accept, are errors here.
fn schema() -> Value {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schemas");
    let read = |name: &str| fs::read_to_string(dir.join(name)).unwrap().replace("common.json#", "#");
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

/// Asserts that all lines match the schema, and returns them.
pub(crate) fn valid(ended: &CommandOutput) -> Vec<Value> {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let lines = ended.json();
    assert!(!lines.is_empty(), "{ended}");
    for line in &lines {
        let errors: Vec<_> = validator.iter_errors(line).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:#?}\n{line:#}");
    }
    lines
}
