//! Builds and evaluations cannot read the builder's credentials.

use crate::stage::{Stage, host, says, text};
use std::fs;

/// A host that writes the readable content of this file into its system.
fn reader(file: &str) -> String {
    format!(
        r#"web1 = sh "web1" "if read line < {file}; then echo $line > $out; else echo denied > $out; fi";"#
    )
}

/// What the build of the host could read.
fn read_by(stage: &Stage, file: &str) -> String {
    stage.hosts(&reader(file));
    let report = stage.build("b-1", "web1").all_reports().pop().unwrap();
    says(&report, "completed", "", &["web1 built"]);
    fs::read_to_string(text(&host(&report, "web1")["system"])).unwrap().trim().to_owned()
}

#[test]
fn a_build_cannot_read_the_seed_of_the_builder() {
    let stage = Stage::sandboxed("", &[]);
    let seed = stage.nats.key("builder");
    assert!(fs::read_to_string(seed).unwrap().starts_with('S'));
    assert_eq!(read_by(&stage, seed.to_str().unwrap()), "denied");
}

#[test]
fn a_build_reads_what_the_operator_allows() {
    let named = tempfile::NamedTempFile::new().unwrap();
    let path = named.path().to_str().unwrap();
    fs::write(path, "for nix\n").unwrap();
    let stage = Stage::sandboxed("", &["--nix-may-read", path]);
    assert_eq!(read_by(&stage, path), "for nix");
}

#[test]
fn an_input_on_this_machine_is_denied_with_advice() {
    let input = tempfile::tempdir().unwrap();
    fs::write(input.path().join("secret"), "x").unwrap();
    let stage = Stage::sandboxed("", &[]);
    let flake = format!(
        r#"{{ inputs.loot = {{ url = "path:{}"; flake = false; }}; outputs = {{ self, loot }}: {{ nixosConfigurations = {{ }}; }}; }}"#,
        input.path().display()
    );
    stage.repo.commit("flake.nix", &flake);
    let report = stage.build("b-1", "all").all_reports().pop().unwrap();
    says(
        &report,
        "failed",
        text(&report["error"]),
        &["Permission denied", "pass the paths that the flake needs on this machine with --nix-may-read"],
    );
}
