//! The operator's machine: the program, and a configuration for everybody.

use crate::evaluate::Library;
use serde_json::{Value, json};

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
        let file = &host["etc"]["xdg/homelab-deploy/config.toml"]["source"];
        let file: Value =
            serde_json::from_str(file.as_str().unwrap().trim_start_matches("/nix/store/")).unwrap();
        assert_eq!(file["value"], json!({"contexts": {"home": {"nats_url": "nats://nats.example.org"}}}));
        let host = library.evaluate("services.homelab-deploy.operator.enable = true;");
        assert_eq!(host["etc"], json!({}));
    }
}
