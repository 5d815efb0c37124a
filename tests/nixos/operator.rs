//! The operator's machine: the program, and a configuration for everybody.

use crate::evaluate::Library;
use crate::store::Store;
use serde_json::{Value, json};
use std::fs;

const SETTINGS: &str = r#"
    services.homelab-deploy.operator = {
      enable = true;
      settings.contexts.home.nats_url = "nats://nats.example.org";
    };
"#;

#[test]
fn it_installs_the_program_and_the_file() {
    for library in Library::all() {
        let host = library.evaluate(SETTINGS);
        assert_eq!(host["packages"], json!(["homelab-deploy"]));
        assert!(host["etc"].get("xdg/homelab-deploy/config.toml").is_some(), "{host}");
        let store = Store::new();
        let file = store.build(&library, SETTINGS, "etc.\"xdg/homelab-deploy/config.toml\".source");
        let file: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        assert_eq!(file, json!({"contexts": {"home": {"nats_url": "nats://nats.example.org"}}}));
        let host = library.evaluate("services.homelab-deploy.operator.enable = true;");
        assert_eq!(host["etc"], json!({}));
    }
}
