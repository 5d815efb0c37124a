//! Parses the text of units into settings.

use std::collections::BTreeMap;

/// The values of each key of a section, in order.
pub(crate) type Settings = BTreeMap<(String, String), Vec<String>>;

/// Keys whose words mean the same on one line and on several lines.
const OF_WORDS: [&str; 4] =
    ["CapabilityBoundingSet", "ReadWritePaths", "RestrictAddressFamilies", "SystemCallFilter"];

/// Parses a unit as systemd does: a section may be repeated, comments are ignored.
pub(crate) fn settings(text: &str) -> Settings {
    let mut settings = Settings::new();
    let mut section = String::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(title) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            title.clone_into(&mut section);
        } else {
            let (key, value) = line.split_once('=').expect("a setting");
            let values = settings.entry((section.clone(), key.to_owned())).or_default();
            if OF_WORDS.contains(&key) {
                values.extend(value.split(' ').map(str::to_owned));
            } else {
                values.push(value.to_owned());
            }
        }
    }
    settings
}

/// The words of a unit's command line.
pub(crate) fn command(unit: &str) -> Vec<String> {
    words(&settings(unit)[&("Service".to_owned(), "ExecStart".to_owned())][0])
}

/// The path of the program in a unit, which must be in the store.
pub(crate) fn program(unit: &str) -> String {
    let program = command(unit).swap_remove(0);
    let in_store =
        program.starts_with("/nix/store/") && program.ends_with("-homelab-deploy/bin/homelab-deploy");
    assert!(in_store, "{program}");
    program
}

/// The words of a command line, as systemd splits it. It may expand only the directory of credentials.
pub(crate) fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line.trim();
    while !rest.is_empty() {
        let word = if rest.starts_with('"') {
            let mut parsed = serde_json::Deserializer::from_str(rest).into_iter::<String>();
            let word = parsed.next().unwrap().unwrap();
            rest = &rest[parsed.byte_offset()..];
            word
        } else {
            let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
            rest = after;
            word.to_owned()
        };
        rest = rest.trim_start();
        let expanded = word.replace("$$", "").replace("%%", "").replace("%d/", "");
        assert!(!expanded.contains(['$', '%']), "systemd would expand {word:?}");
        words.push(word.replace("$$", "$").replace("%%", "%"));
    }
    words
}
