//! The rotation of a key: the changes of the fleet file by the real command.

use crate::common::{CommandOutput, binary, run};
use crate::fixture::public_key;
use homelab_deploy::keys::{
    UserSeed, finish_rotation, parse_fleet_file, read_host_keys, render_authorization, start_rotation,
};
use homelab_deploy::protocol::PublicKey;
use nkeys::KeyPair;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// A directory with a fleet file, in which `<OLD>`, `<HOST>` and `<NEW>` are replaced with public keys.
struct Fleet(TempDir);

fn keys(text: &str) -> String {
    [("<OLD>", "old"), ("<HOST>", "host"), ("<NEW>", "new")]
        .into_iter()
        .fold(text.to_owned(), |text, (word, name)| text.replace(word, &public_key(name)))
}

const FILE: &str = "# Our fleet.\n[operators.al]   # on the laptop\nkind = \"admin\"\n# The second one since May.\npublic_key = \"<OLD>\" # in the safe\n\n\
    # The name servers.\n[hosts.ns1]\npublic_key = \"<HOST>\"\ntier = 'prod'\n# The end.\n";

impl Fleet {
    fn new(text: &str) -> Self {
        let fleet = Self(TempDir::new().unwrap());
        fs::write(fleet.path("fleet.toml"), keys(text)).unwrap();
        fleet
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path("fleet.toml")).unwrap()
    }

    fn run(&self, arguments: &[&str], code: i32) -> CommandOutput {
        let mut command = Command::new(binary());
        command.env_clear().current_dir(self.0.path()).args(["keys", "rotate"]).args(arguments);
        run(&mut command, code)
    }

    /// Asserts that the command fails with this error and changes nothing.
    fn refuses(&self, arguments: &[&str], error: &str) {
        let before = (self.text(), fs::read_dir(self.0.path()).unwrap().count());
        let ended = self.run(arguments, 2);
        assert_eq!(ended.stderr, keys(&format!("error: {error}\n")), "{arguments:?}");
        assert_eq!((self.text(), fs::read_dir(self.0.path()).unwrap().count()), before, "{arguments:?}");
    }
}

#[test]
fn an_entry_gets_a_second_key_and_nothing_else_changes() {
    let fleet = Fleet::new(FILE);
    fs::set_permissions(fleet.path("fleet.toml"), fs::Permissions::from_mode(0o640)).unwrap();
    let started = fleet.run(&["al", "--out", "al-2.nkey"], 0);
    let new = started.stdout.trim_end().to_owned();
    let seed = fs::read_to_string(fleet.path("al-2.nkey")).unwrap();
    assert_eq!(KeyPair::from_seed(seed.trim()).unwrap().public_key(), new);
    assert_eq!(fs::metadata(fleet.path("al-2.nkey")).unwrap().permissions().mode() & 0o777, 0o600);
    let expected = FILE.replace("# in the safe\n", &format!("# in the safe\nnext_public_key = \"{new}\"\n"));
    assert_eq!(fleet.text(), keys(&expected));
    assert_eq!(fs::metadata(fleet.path("fleet.toml")).unwrap().permissions().mode() & 0o777, 0o640);
    let old = public_key("old");
    assert_eq!(
        started.stderr,
        format!(
            "wrote the seed to al-2.nkey; operators.al in fleet.toml now has two keys. Next steps:\n  \
             1. homelab-deploy keys nats-config fleet.toml > authorization.conf && nats-server --signal reload\n  \
             2. on every host that trusts {old}, add {new} to the trusted keys (trustedKeys, --trusted-key) and deploy with the old key\n  \
             3. repeat until no host is missing: homelab-deploy keys rotate al --fleet-file fleet.toml --status\n  \
             4. use al-2.nkey instead of the old seed (--nkey-file, nkey_file)\n  \
             5. finish: homelab-deploy keys rotate al --fleet-file fleet.toml --finish\n"
        )
    );
    // Both keys have the same permissions.
    let config = render_authorization(&parse_fleet_file(&fleet.text(), "fleet.toml".as_ref()).unwrap());
    let blocks: Vec<_> =
        config.split("    # ").filter(|block| block.starts_with("operators.al: admin")).collect();
    assert_eq!(blocks.len(), 2, "{config}");
    assert_eq!(
        blocks[0].replace(&old, &new).replace("admin\n", "admin, next key\n"),
        blocks[1].trim_end_matches("  ]\n}\n")
    );

    let finished = fleet.run(&["al", "--finish", "--force"], 0);
    assert_eq!(
        finished.stdout,
        format!(
            "operators.al in fleet.toml now has only the new key. Next steps:\n  \
             1. homelab-deploy keys nats-config fleet.toml > authorization.conf && nats-server --signal reload\n  \
             2. remove {old} from the trusted keys of every host and deploy\n  3. destroy the old seed\n"
        )
    );
    assert_eq!(fleet.text(), keys(FILE).replace(&old, &new));
}

#[test]
fn operators_accept_both_keys_of_a_host_during_a_rotation() {
    let fleet = Fleet::new(FILE);
    let started = fleet.run(&["ns1"], 0);
    assert!(
        started.stderr.starts_with(
            "wrote the seed to ns1-next.nkey; hosts.ns1 in fleet.toml now has two keys. Next steps:\n"
        ),
        "{started}"
    );
    assert!(
        started.stderr.contains(
            "  2. replace the seed in the host's --nkey-file with the new one and restart its listener\n"
        ),
        "{started}"
    );
    let hosts = read_host_keys(&fleet.path("fleet.toml")).unwrap();
    let known: Vec<_> = hosts
        .iter()
        .map(|host| (host.name.as_str(), host.keys.iter().map(PublicKey::as_str).collect::<Vec<_>>()))
        .collect();
    assert_eq!(known, [("ns1", vec![public_key("host").as_str(), started.stdout.trim_end()])]);
}

#[test]
fn rotating_the_key_of_a_viewer_queries_no_host() {
    let fleet = Fleet::new(&FILE.replace("admin", "viewer"));
    let started = fleet.run(&["operators.al"], 0);
    assert!(!started.stderr.contains("trusted keys"), "{started}");
    let status = fleet.run(&["al", "--status"], 0);
    let finish = "homelab-deploy keys rotate al --fleet-file fleet.toml --finish";
    assert_eq!(
        status.stdout,
        format!("no host knows the key of a viewer: finish with `{finish}` once the new seed is in use\n")
    );
    fleet.run(&["al", "--finish"], 0);
}

#[test]
fn what_cannot_be_done_changes_nothing() {
    let fleet = Fleet::new(FILE);
    fs::write(fleet.path("taken"), "a key").unwrap();
    let taken = "did not write the seed: taken exists and may hold a key in use; choose another path, or move that file away";
    fleet.refuses(&["al", "--out", "taken"], taken);
    assert_eq!(fs::read_to_string(fleet.path("taken")).unwrap(), "a key");
    fleet.refuses(
        &["ak"],
        "fleet.toml: there is no entry \"ak\" (did you mean al?): expected the name of a host or operator in the fleet file",
    );
    fleet.refuses(
        &["al", "--fleet-file", "no.toml"],
        "could not read the fleet file no.toml: No such file or directory (os error 2)",
    );
    for flag in ["--finish", "--status"] {
        let error = "fleet.toml: operators.al has no next_public_key, so no rotation is in progress: start one without --status and --finish";
        fleet.refuses(&["al", flag], error);
    }
    fleet.run(&["al"], 0);
    let started = "fleet.toml: operators.al has a next_public_key already: finish that rotation with --finish, or remove the field if its \
        seed is lost";
    fleet.refuses(&["al", "--out", "other.nkey"], started);
    let both = Fleet::new(&FILE.replace("hosts.ns1", "hosts.al"));
    both.refuses(
        &["al"],
        "fleet.toml: \"al\" is both a host and an operator: write hosts.al or operators.al",
    );
    both.run(&["hosts.al"], 0);
}

#[test]
fn a_wrong_second_key_is_explained_and_not_repeated() {
    let seed = UserSeed::generate().unwrap();
    let with = |value: &str| {
        let fleet = Fleet::new(&FILE.replace("# in the safe\n", &format!("\nnext_public_key = {value}\n")));
        fleet.run(&["al", "--status"], 2).stderr
    };
    let key = "write the key starting with U that `homelab-deploy keys new` printed";
    for (value, expected) in [
        (format!("{:?}", seed.expose()), "error: fleet.toml:6:1: expected a path or a public key but found a seed".to_owned()),
        ("\"alice\"".to_owned(), format!("error: fleet.toml:6:19: operators.al.next_public_key: it is not a public key (invalid key length); {key}")),
        ("3".to_owned(), "error: fleet.toml:6:19: operators.al.next_public_key: expected a quoted string, found a number".to_owned()),
        ("\"<OLD>\"".to_owned(), "error: fleet.toml:5:14: operators.al.public_key: public_key and next_public_key are the same".to_owned()),
        ("\"<HOST>\"".to_owned(), "error: fleet.toml:2:12: operators.al: it has the same public_key as hosts.ns1: generate a separate key".to_owned()),
    ] {
        let error = with(&value);
        assert!(error.starts_with(&expected), "{value}: {error}");
        assert!(!error.contains(&seed.expose()[..20]), "{error}");
    }
}

#[test]
fn other_layouts_are_kept() {
    for (before, between, after) in [
        (
            "[operators]\nal = { kind = \"admin\", public_key = \"<OLD>\" } # al\n[hosts]\n",
            "[operators]\nal = { kind = \"admin\", public_key = \"<OLD>\", next_public_key = \"<NEW>\" } # al\n[hosts]\n",
            "[operators]\nal = { kind = \"admin\", public_key = \"<NEW>\" } # al\n[hosts]\n",
        ),
        (
            "operators.al.kind = \"admin\"\noperators.al.public_key = \"<OLD>\" # x\n",
            "operators.al.kind = \"admin\"\noperators.al.public_key = \"<OLD>\" # x\noperators.al.next_public_key = \"<NEW>\"\n",
            "operators.al.kind = \"admin\"\noperators.al.public_key = \"<NEW>\" # x\n",
        ),
        (
            "[operators.\"al\"]\r\npublic_key = '<OLD>'\r\nkind = \"admin\"\r\n",
            "[operators.\"al\"]\r\npublic_key = '<OLD>'\r\nkind = \"admin\"\r\nnext_public_key = \"<NEW>\"\r\n",
            "[operators.\"al\"]\r\npublic_key = \"<NEW>\"\r\nkind = \"admin\"\r\n",
        ),
    ] {
        let started = start_rotation(&keys(before), "operators.al", &public_key("new")).unwrap();
        assert_eq!(started, keys(between));
        assert_eq!(finish_rotation(&started, "operators.al").unwrap(), keys(after));
    }
    // A comment next to the second key is kept.
    let noted = "[operators.al]\n# one\npublic_key = \"<OLD>\" # two\nkind = \"admin\"\n# three\nnext_public_key = \"<NEW>\" # four\n";
    let finished = finish_rotation(&keys(noted), "operators.al").unwrap();
    assert_eq!(
        finished,
        keys("[operators.al]\n# one\n# three\npublic_key = \"<NEW>\" # four\nkind = \"admin\"\n")
    );
}

#[test]
fn a_link_to_the_file_stays_a_link() {
    let fleet = Fleet::new(FILE);
    fs::create_dir(fleet.path("repository")).unwrap();
    fs::rename(fleet.path("fleet.toml"), fleet.path("repository/fleet.toml")).unwrap();
    symlink("repository/fleet.toml", fleet.path("fleet.toml")).unwrap();
    fleet.run(&["al"], 0);
    assert!(fs::symlink_metadata(fleet.path("fleet.toml")).unwrap().is_symlink());
    assert!(fleet.text().contains("next_public_key"));
}
