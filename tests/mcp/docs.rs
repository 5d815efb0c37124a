//! `docs/mcp.md` lists the same tools and parameters as the server.

use crate::common::NatsServer;
use crate::harness::{Session, admin_server};
use serde_json::json;
use std::collections::BTreeSet;

const PAGE: &str = include_str!("../../docs/mcp.md");

/// The words in code style in a text.
fn words(text: &str) -> BTreeSet<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn the_page_lists_each_tool_with_its_parameters() {
    let table = PAGE.split("| tool | parameters | |").nth(1).expect("a table of the tools");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let documented: BTreeSet<_> = rows
        .map(|row| {
            let cells: Vec<_> = row.split('|').collect();
            (words(cells[1]).pop_first().unwrap(), words(cells[2]))
        })
        .collect();
    let nats = NatsServer::start();
    let mut session = Session::with(admin_server(&nats).arg("--enable-builds"));
    let tools = session.request("tools/list", &json!({}));
    let tools = tools["result"]["tools"].as_array().unwrap().iter();
    let listed: BTreeSet<_> = tools
        .map(|tool| {
            let parameters = tool["inputSchema"]["properties"].as_object().unwrap().keys().cloned().collect();
            (tool["name"].as_str().unwrap().to_owned(), parameters)
        })
        .collect();
    assert_eq!(documented, listed);
}
