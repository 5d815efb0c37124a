//! Arguments as clients send them, made into those that the schema of a tool names.

use super::tools::tools;
use crate::protocol::{near, printable};
use rmcp::model::JsonObject;
use serde_json::{Map, Value};

/// The longest name of an argument that a client may add.
const MAX_NAME: usize = 100;

/// Takes out what a client has added for itself, and gives a note of it. Null counts as absent, and a whole number may come
/// as 5.0.
///
/// A name that is an argument of another tool, or looks like one of this tool, stays and is refused: whoever wrote it meant
/// something by it.
pub(super) fn tidy(tool: &str, arguments: &mut JsonObject) -> Option<String> {
    let tools = tools(true, true);
    let names = |schema: &Map<String, Value>| -> Vec<String> {
        let properties = schema.get("properties").and_then(Value::as_object);
        properties.into_iter().flat_map(Map::keys).cloned().collect()
    };
    let of_all: Vec<_> = tools.iter().flat_map(|tool| names(&tool.input_schema)).collect();
    let of_this = tools.iter().find(|other| other.name == tool).map(|tool| names(&tool.input_schema))?;
    arguments.retain(|_, value| !value.is_null());
    arguments.values_mut().for_each(make_whole);
    let is_added = |name: &str| {
        name.len() <= MAX_NAME
            && !of_all.iter().any(|known| known == name)
            && near(name, of_this.iter().map(String::as_str)).is_empty()
    };
    let added: Vec<_> = arguments.keys().filter(|name| is_added(name)).cloned().collect();
    arguments.retain(|name, _| !added.contains(name));
    let (first, others) = added.split_first()?;
    let others = if others.is_empty() { String::new() } else { format!(" and {} more", others.len()) };
    Some(format!("note: {tool} has no argument {:?}{others}; ignored", printable(first)))
}

fn make_whole(value: &mut Value) {
    /// The largest number below which each whole one has a float of its own.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if let Some(number) =
        value.as_f64().filter(|number| value.is_f64() && number.fract() == 0.0 && number.abs() < EXACT)
    {
        #[expect(clippy::cast_possible_truncation, reason = "it is whole and in range")]
        let whole = number as i64;
        *value = whole.into();
    }
}
