//! The test in virtual machines, as far as it can be checked without nixpkgs and hardware virtualisation: it is evaluated with
//! stand-ins, and its script is checked as the build of the NixOS test driver does.

use crate::evaluate::{Library, file, nix_instantiate};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

/// The script and the machines of the test.
fn vm_test(library: &Library) -> Value {
    let mut nix = nix_instantiate();
    nix.args(["--eval", "--strict", "--json"]).arg(file("tests/nixos/vm_test.nix"));
    let output = nix.args(["--arg", "lib", &library.expression()]).output().unwrap();
    assert!(output.status.success(), "{library:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn every_machine_can_be_evaluated_and_has_what_its_units_name() {
    for library in Library::all() {
        let test = vm_test(&library);
        assert_eq!(test["name"], "homelab-deploy");
        let machines = test["machines"].as_object().unwrap();
        assert_eq!(machines.keys().collect::<Vec<_>>(), ["host1", "host2", "server"]);
        for (name, machine) in machines {
            assert_eq!(machine["failed"], json!([]), "{name}");
            assert!(
                machine["unbound"].as_object().unwrap().values().all(|paths| *paths == json!([])),
                "{name}"
            );
        }
        assert_eq!(machines["host1"]["unbound"], json!({"homelab-deploy-listener": []}));
    }
}

/// A program of the Python environment that `make test-nixos` creates.
fn python(program: &str) -> Command {
    let environment = std::env::var_os("HOMELAB_DEPLOY_NIXOS_VENV").expect("run by make test-nixos");
    Command::new(PathBuf::from(environment).join("bin").join(program))
}

/// The output of a check that failed.
fn passed(name: &str, output: &Output) -> Result<(), String> {
    let text =
        [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).concat();
    if output.status.success() { Ok(()) } else { Err(format!("{name}: {text}")) }
}

/// Checks a script as the driver's build does: mypy on the script with the driver's types, then pyflakes on the script alone.
fn check(script: &str, machines: &[&str]) -> Result<(), String> {
    let directory = tempfile::tempdir().unwrap();
    let prefix = fs::read_to_string(file("tests/nixos/driver/prefix.py")).unwrap();
    let hints = machines.join(": QemuMachine;\n") + ": QemuMachine;\n";
    let typed = directory.path().join("testScriptWithTypes");
    fs::write(&typed, format!("{prefix}{hints}{script}")).unwrap();
    let mut mypy = python("mypy");
    mypy.args(["--no-implicit-optional", "--pretty", "--no-color-output", "--cache-dir=/dev/null"]);
    mypy.arg(&typed).env("MYPYPATH", file("tests/nixos/driver")).current_dir(directory.path());
    passed("mypy", &mypy.output().expect("mypy runs"))?;
    let plain = directory.path().join("test-script");
    fs::write(&plain, script).unwrap();
    let symbols = prefix.lines().filter_map(|line| line.split_once(": ")).map(|(name, _)| name);
    let symbols: Vec<_> = symbols.chain(machines.iter().copied()).collect();
    let mut pyflakes = python("pyflakes");
    pyflakes.arg(&plain).env("PYFLAKES_BUILTINS", symbols.join(","));
    passed("pyflakes", &pyflakes.output().expect("pyflakes runs"))
}

#[test]
#[ignore = "needs mypy and pyflakes: make test-nixos"]
fn the_script_passes_what_the_drivers_build_checks() {
    for library in Library::all() {
        let test = vm_test(&library);
        let machines: Vec<_> = test["machines"].as_object().unwrap().keys().map(String::as_str).collect();
        check(test["script"].as_str().unwrap(), &machines)
            .unwrap_or_else(|error| panic!("{library:?}: {error}"));
    }
}

#[test]
#[ignore = "needs mypy and pyflakes: make test-nixos"]
fn a_script_that_the_drivers_build_refuses_is_refused() {
    let test = vm_test(&Library::Little);
    let machines: Vec<_> = test["machines"].as_object().unwrap().keys().map(String::as_str).collect();
    let script = test["script"].as_str().unwrap();
    for (from, to, expected) in [
        (
            "for name in [\"host1\"",
            "for host in [\"host1\"",
            "expression has type \"str\", variable has type \"QemuMachine\"",
        ),
        ("start_all()", "start_all(1)", "Too many arguments"),
        ("server.succeed(", "server.suceed(", "has no attribute \"suceed\""),
        (
            "wait_for_open_port(4222)",
            "wait_for_open_port(\"4222\")",
            "incompatible type \"str\"; expected \"int\"",
        ),
        ("[host1, host2]", "[host1, host3]", "Name \"host3\" is not defined"),
        ("import json", "import json\nimport time", "imported but unused"),
    ] {
        let broken = script.replacen(from, to, 1);
        assert_ne!(broken, script, "{from}");
        let error = check(&broken, &machines).expect_err(to);
        assert!(
            error.replace('\n', " ").split_whitespace().collect::<Vec<_>>().join(" ").contains(expected),
            "{to}: {error}"
        );
    }
}
