//! Replacing a key: what becomes of the fleet file, by the real command.

use crate::common::{Ended, binary, run};
use crate::fixture::public_key;
use homelab_deploy::keys::{
    Seed, begin_rotation, finish_rotation, host_keys, parse_fleet_file, render_authorization,
};
use homelab_deploy::protocol::PublicKey;
use nkeys::KeyPair;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// A folder with a fleet file in which `OLD`, `HOST` and `NEW` stand for public keys.
struct Fleet(TempDir);

fn keys(text: &str) -> String {
    [("OLD", "old"), ("HOST", "host"), ("NEW", "new")]
        .into_iter()
        .fold(text.to_owned(), |text, (word, name)| text.replace(word, &public_key(name)))
}

const FILE: &str = "# Our fleet.\n[operators.al]   # on the laptop\nkind = \"admin\"\n# The second one since May.\npublic_key = \"OLD\" # in the safe\n\n\
    # The name servers.\n[hosts.ns1]\npublic_key = \"HOST\"\ntier = 'prod'\n# The end.\n";

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

    fn run(&self, arguments: &[&str], code: i32) -> Ended {
        let mut command = Command::new(binary());
        command.env_clear().current_dir(self.0.path()).args(["keys", "rotate"]).args(arguments);
        run(&mut command, code)
    }

    /// Refused with this error, and without a change.
    fn refuses(&self, arguments: &[&str], error: &str) {
        let before = (self.text(), fs::read_dir(self.0.path()).unwrap().count());
        let ended = self.run(arguments, 2);
        assert_eq!(ended.err, keys(&format!("error: {error}\n")), "{arguments:?}");
        assert_eq!((self.text(), fs::read_dir(self.0.path()).unwrap().count()), before, "{arguments:?}");
    }
}

#[test]
fn an_entry_gets_a_second_key_and_nothing_else_changes() {
    let fleet = Fleet::new(FILE);
    fs::set_permissions(fleet.path("fleet.toml"), fs::Permissions::from_mode(0o640)).unwrap();
    let begun = fleet.run(&["al", "--out", "al-2.nkey"], 0);
    let new = begun.out.trim_end().to_owned();
    let seed = fs::read_to_string(fleet.path("al-2.nkey")).unwrap();
    assert_eq!(KeyPair::from_seed(seed.trim()).unwrap().public_key(), new);
    assert_eq!(fs::metadata(fleet.path("al-2.nkey")).unwrap().permissions().mode() & 0o777, 0o600);
    let expected = FILE.replace("# in the safe\n", &format!("# in the safe\nnext_public_key = \"{new}\"\n"));
    assert_eq!(fleet.text(), keys(&expected));
    assert_eq!(fs::metadata(fleet.path("fleet.toml")).unwrap().permissions().mode() & 0o777, 0o640);
    let old = public_key("old");
    assert_eq!(
        begun.err,
        format!(
            "the seed is in al-2.nkey, and operators.al in fleet.toml has two keys. Next:\n  \
             1. homelab-deploy keys nats-config fleet.toml > authorization.conf && nats-server --signal reload\n  \
             2. on every host that trusts {old}, add {new} to its trusted keys (trustedKeys, --trusted-key), and deploy with the old key\n  \
             3. ask the hosts until none is missing: homelab-deploy keys rotate al --fleet-file fleet.toml --status\n  \
             4. use al-2.nkey instead of the old seed (--nkey-file, nkey_file)\n  \
             5. finish: homelab-deploy keys rotate al --fleet-file fleet.toml --finish\n"
        )
    );
    // Both may do the same.
    let config = render_authorization(&parse_fleet_file(&fleet.text()).unwrap());
    let blocks: Vec<_> =
        config.split("    # ").filter(|block| block.starts_with("operators.al: admin")).collect();
    assert_eq!(blocks.len(), 2, "{config}");
    assert_eq!(
        blocks[0].replace(&old, &new).replace("admin\n", "admin, next key\n"),
        blocks[1].trim_end_matches("  ]\n}\n")
    );

    let finished = fleet.run(&["al", "--finish", "--force"], 0);
    assert_eq!(
        finished.out,
        format!(
            "operators.al in fleet.toml has the new key alone. Next:\n  \
             1. homelab-deploy keys nats-config fleet.toml > authorization.conf && nats-server --signal reload\n  \
             2. remove {old} from the trusted keys of every host, and deploy\n  3. destroy the old seed\n"
        )
    );
    assert_eq!(fleet.text(), keys(FILE).replace(&old, &new));
}

#[test]
fn a_host_has_two_keys_for_those_who_look_at_them() {
    let fleet = Fleet::new(FILE);
    let begun = fleet.run(&["ns1"], 0);
    assert!(
        begun
            .err
            .starts_with("the seed is in ns1-next.nkey, and hosts.ns1 in fleet.toml has two keys. Next:\n"),
        "{begun}"
    );
    assert!(
        begun.err.contains(
            "  2. replace the seed in the --nkey-file of the host by the new one, and restart its listener\n"
        ),
        "{begun}"
    );
    let hosts = host_keys(&fleet.path("fleet.toml")).unwrap();
    let known: Vec<_> = hosts
        .iter()
        .map(|host| (host.name.as_str(), host.keys.iter().map(PublicKey::as_str).collect::<Vec<_>>()))
        .collect();
    assert_eq!(known, [("ns1", vec![public_key("host").as_str(), begun.out.trim_end()])]);
}

#[test]
fn a_viewer_has_less_to_do_and_asks_no_host() {
    let fleet = Fleet::new(&FILE.replace("admin", "viewer"));
    let begun = fleet.run(&["operators.al"], 0);
    assert!(!begun.err.contains("trusted keys"), "{begun}");
    let status = fleet.run(&["al", "--status"], 0);
    let finish = "homelab-deploy keys rotate al --fleet-file fleet.toml --finish";
    assert_eq!(
        status.out,
        format!("no host knows the key of a viewer: finish with `{finish}` once the new seed is in use\n")
    );
    fleet.run(&["al", "--finish"], 0);
}

#[test]
fn what_cannot_be_done_changes_nothing() {
    let fleet = Fleet::new(FILE);
    fs::write(fleet.path("taken"), "a key").unwrap();
    let taken = "did not write the seed: taken exists and may hold a key in use; name another file, or move that one away";
    fleet.refuses(&["al", "--out", "taken"], taken);
    assert_eq!(fs::read_to_string(fleet.path("taken")).unwrap(), "a key");
    fleet.refuses(
        &["ak"],
        "fleet.toml: there is no entry \"ak\" (did you mean al?): expected the name of a host or operator in the fleet file",
    );
    fleet.refuses(
        &["al", "--fleet-file", "no.toml"],
        "could not read no.toml: No such file or directory (os error 2)",
    );
    for flag in ["--finish", "--status"] {
        let error = "fleet.toml: operators.al has no next_public_key, so its key is not being replaced: begin without --status and --finish";
        fleet.refuses(&["al", flag], error);
    }
    fleet.run(&["al"], 0);
    let begun = "fleet.toml: operators.al has a next_public_key already: finish that rotation with --finish, or remove the field if its \
        seed is lost";
    fleet.refuses(&["al", "--out", "other.nkey"], begun);
    let both = Fleet::new(&FILE.replace("hosts.ns1", "hosts.al"));
    both.refuses(
        &["al"],
        "fleet.toml: \"al\" is both a host and an operator: write hosts.al or operators.al",
    );
    both.run(&["hosts.al"], 0);
}

#[test]
fn a_wrong_second_key_is_explained_and_not_repeated() {
    let seed = Seed::generate().unwrap();
    let with = |value: &str| {
        let fleet = Fleet::new(&FILE.replace("# in the safe\n", &format!("\nnext_public_key = {value}\n")));
        fleet.run(&["al", "--status"], 2).err
    };
    let key = "write the text starting with U that `homelab-deploy keys new` printed";
    for (value, expected) in [
        (format!("{:?}", seed.expose()), "error: fleet.toml: line 6 holds a seed, which is secret; write".to_owned()),
        ("\"alice\"".to_owned(), format!("error: fleet.toml: operators.al.next_public_key: it is not a public key (invalid key length); {key}")),
        ("3".to_owned(), format!("error: fleet.toml: operators.al.next_public_key: it is a number, not a text; {key}")),
        ("\"OLD\"".to_owned(), "error: fleet.toml: operators.al.next_public_key: it is the same as public_key; leave it out, or write the key that replaces public_key".to_owned()),
        ("\"HOST\"".to_owned(), "error: fleet.toml: hosts.ns1 and operators.al have the same public_key; give each its own".to_owned()),
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
            "[operators]\nal = { kind = \"admin\", public_key = \"OLD\" } # al\n[hosts]\n",
            "[operators]\nal = { kind = \"admin\", public_key = \"OLD\", next_public_key = \"NEW\" } # al\n[hosts]\n",
            "[operators]\nal = { kind = \"admin\", public_key = \"NEW\" } # al\n[hosts]\n",
        ),
        (
            "operators.al.kind = \"admin\"\noperators.al.public_key = \"OLD\" # x\n",
            "operators.al.kind = \"admin\"\noperators.al.public_key = \"OLD\" # x\noperators.al.next_public_key = \"NEW\"\n",
            "operators.al.kind = \"admin\"\noperators.al.public_key = \"NEW\" # x\n",
        ),
        (
            "[operators.\"al\"]\r\npublic_key = 'OLD'\r\nkind = \"admin\"\r\n",
            "[operators.\"al\"]\r\npublic_key = 'OLD'\r\nkind = \"admin\"\r\nnext_public_key = \"NEW\"\r\n",
            "[operators.\"al\"]\r\npublic_key = \"NEW\"\r\nkind = \"admin\"\r\n",
        ),
    ] {
        let begun = begin_rotation(&keys(before), "operators.al", &public_key("new")).unwrap();
        assert_eq!(begun, keys(between));
        assert_eq!(finish_rotation(&begun, "operators.al").unwrap(), keys(after));
    }
    // What somebody has written beside the second key stays.
    let noted = "[operators.al]\n# one\npublic_key = \"OLD\" # two\nkind = \"admin\"\n# three\nnext_public_key = \"NEW\" # four\n";
    let finished = finish_rotation(&keys(noted), "operators.al").unwrap();
    assert_eq!(
        finished,
        keys("[operators.al]\n# one\n# three\npublic_key = \"NEW\" # four\nkind = \"admin\"\n")
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
