//! The page about the modules lists every option. `REFERENCE=write make test-nixos` writes its tables.

use crate::builder::BUILDER;
use crate::evaluate::{LISTENER, Library, file};
use crate::fleet_page::{Page, stand_ins};
use crate::options::{options, text};
use crate::unit_text::settings;
use serde_json::Value;
use std::fmt::Write;
use std::fs;

const MODULES: [&str; 7] = ["listener", "builder", "notify", "nats", "operator", "monitoring", "flakeUpdate"];
const HEAD: &str = "| option | type | default | example | |\n|---|---|---|---|---|\n";

/// The table of a module, generated from its options.
fn table(library: &Library, module: &str) -> String {
    let mut table = HEAD.to_owned();
    for option in options(library) {
        let Some(name) = text(&option, "name").strip_prefix(&format!("{module}.")) else { continue };
        let default = match text(&option, "default") {
            "" => String::new(),
            words if words.contains("this repository") => words.to_owned(),
            code => format!("`{code}`"),
        };
        let description = text(&option, "description").split_whitespace().collect::<Vec<_>>().join(" ");
        let example = text(&option, "example");
        writeln!(table, "| `{name}` | {} | {default} | `{example}` | {description} |", text(&option, "type"))
            .unwrap();
    }
    table
}

/// A table without the types, which only the real library has.
fn without_types(table: &str) -> String {
    let row = |line: &str| {
        let (name, rest) = line.trim_start_matches("| ").split_once(" | ").unwrap();
        format!("{name} | {}", rest.split_once(" | ").unwrap().1)
    };
    table.lines().filter(|line| !line.starts_with("|-")).map(row).collect::<Vec<_>>().join("\n")
}

/// The table on the page below the heading of a module.
fn written<'a>(page: &'a str, module: &str) -> &'a str {
    let (_, chapter) = page.split_once(&format!("\n## {module}\n")).expect("a chapter for each module");
    let table = &chapter[chapter.find(HEAD).expect("a table")..];
    table.split_once("\n\n").map_or(table, |(table, _)| table).trim_end()
}

#[test]
fn the_page_lists_every_option_with_default_example_and_description() {
    let page = fs::read_to_string(file("docs/nixos.md")).unwrap();
    for module in MODULES {
        let table = table(&Library::Little, module);
        assert_eq!(
            without_types(written(&page, module)),
            without_types(&table),
            "the table of {module}; REFERENCE=write make test-nixos writes it"
        );
    }
}

#[test]
#[ignore = "needs nixpkgs' library: make test-nixos with NIXPKGS_LIB"]
fn the_page_lists_every_option_with_its_type() {
    let path = file("docs/nixos.md");
    let mut page = fs::read_to_string(&path).unwrap();
    let write = std::env::var("REFERENCE").is_ok_and(|value| value == "write");
    for module in MODULES {
        let table = table(&Library::real(), module);
        if write {
            let (before, chapter) = page.split_at(page.find(&format!("\n## {module}\n")).unwrap());
            page = format!("{before}{}", chapter.replacen(written(chapter, module), table.trim_end(), 1));
        }
        assert_eq!(written(&page, module), table.trim_end(), "REFERENCE=write make test-nixos writes it");
    }
    if write {
        fs::write(&path, page).unwrap();
    }
}

/// Evaluates a host with the only block with this mark that contains `part`.
fn host(library: &Library, mark: &str, part: &str) -> Value {
    let block = Page::read("docs/nixos.md").block_with(mark, part);
    let service = if mark.starts_with("builder cache") {
        BUILDER.replace("configFile = \"/etc/builder.toml\";", "")
    } else if mark.starts_with("builder") {
        BUILDER.to_owned()
    } else {
        LISTENER.to_owned()
    };
    let host = library.evaluate(&format!("{service} imports = [ {} ({{ {block} }}) ];", stand_ins()));
    assert_eq!(host["warnings"].as_array().unwrap().len(), 1, "nats:// of the services of the tests");
    host
}

/// The values of a setting of a unit.
fn of_unit(host: &Value, service: &str, key: &str) -> Vec<String> {
    let unit = settings(host["units"][format!("homelab-deploy-{service}")].as_str().unwrap());
    unit[&("Service".to_owned(), key.to_owned())].clone()
}

#[test]
fn a_limit_of_a_host_replaces_that_of_the_module() {
    for library in Library::all() {
        let host = host(&library, "builder", "MemoryMax");
        assert_eq!(of_unit(&host, "builder", "MemoryMax"), ["8G"]);
        assert_eq!(of_unit(&host, "builder", "TasksMax"), ["8192"]);
    }
    // As the page says, the unit of the update has no such limits.
    let update = "services.homelab-deploy.flakeUpdate = { enable = true; repo = \"https://h/a/b\"; };";
    let update = Library::Little.unit_of("flake-update", update);
    assert!(!update.contains("MemoryMax") && !update.contains("TasksMax"), "{update}");
}

#[test]
fn a_host_can_add_a_writable_directory() {
    for library in Library::all() {
        let writable = of_unit(&host(&library, "listener", "ReadWritePaths"), "listener", "ReadWritePaths");
        assert!(
            ["-/srv/reports", "/nix"].iter().all(|path| writable.contains(&(*path).to_owned())),
            "{writable:?}"
        );
    }
}

#[test]
fn a_key_for_a_repository_reaches_git_and_nix() {
    for library in Library::all() {
        let host = host(&library, "builder", "nixMayRead");
        let credential = "/run/credentials/homelab-deploy-builder.service/fleet";
        assert!(of_unit(&host, "builder", "LoadCredential").contains(&"fleet:/run/keys/fleet".to_owned()));
        let environment = of_unit(&host, "builder", "Environment");
        assert!(environment.contains(&format!("\"GIT_SSH_COMMAND=ssh -i {credential}\"")), "{environment:?}");
        let command = of_unit(&host, "builder", "ExecStart");
        assert!(command[0].contains(&format!("--nix-may-read={credential}")), "{command:?}");
    }
}

#[test]
fn the_builder_pushes_to_a_cache_and_the_hosts_take_from_it() {
    for library in Library::all() {
        let host_of_cache = host(&library, "builder cache", "attic");
        let unit = host_of_cache["units"]["homelab-deploy-builder"].as_str().unwrap();
        assert!(unit.contains("-attic-client/bin"), "{unit}");
        let credentials = of_unit(&host_of_cache, "builder", "LoadCredential");
        assert!(credentials.contains(&"attic:/run/keys/attic-token".to_owned()), "{credentials:?}");
        let directory = "/etc/homelab-deploy-builder";
        assert!(unit.contains(&format!("Environment=\"XDG_CONFIG_HOME={directory}\"")), "{unit}");
        let file = &host_of_cache["etc"]["homelab-deploy-builder/attic/config.toml"]["text"];
        let file: Value = toml::from_str(file.as_str().unwrap()).unwrap();
        let token = "/run/credentials/homelab-deploy-builder.service/attic";
        assert_eq!(file["servers"]["cache"]["token-file"], token);
        let host = host(&library, "listener cache", "localBuild");
        let command = of_unit(&host, "listener", "ExecStart");
        assert!(command[0].contains(" --no-local-build "), "{command:?}");
    }
}

#[test]
fn every_block_is_tested() {
    let page = Page::read("docs/nixos.md");
    let mut marks: Vec<_> = page.blocks().into_iter().map(|(mark, _)| mark).collect();
    marks.sort_unstable();
    // The first block of the listener has a separate test below.
    assert_eq!(marks, ["builder", "builder", "builder cache", "listener", "listener", "listener cache"]);
}

#[test]
fn no_line_of_prose_is_too_long() {
    for name in ["docs/nixos.md", "docs/nixos-fleet.md", "templates/fleet/README.md"] {
        let page = fs::read_to_string(file(name)).unwrap();
        let prose = page.lines().filter(|line| !line.starts_with('|'));
        let long: Vec<_> = prose.filter(|line| line.chars().count() > 155).collect();
        assert!(long.is_empty(), "{name}: {long:#?}");
    }
}

#[test]
fn the_first_block_is_a_listener() {
    let page = fs::read_to_string(file("docs/nixos.md")).unwrap();
    let code = page.split("```nix\n").nth(1).unwrap().split("```").next().unwrap();
    let settings = code.lines().filter(|line| !line.starts_with(['#', 'i'])).collect::<Vec<_>>().join("\n");
    for library in Library::all() {
        assert!(
            library.unit(&settings).contains("--tier prod --nats-url tls://nats.example.org"),
            "{settings}"
        );
    }
}
