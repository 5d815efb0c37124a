//! Parses the units in the output of `switch-to-configuration`.

use homelab_deploy::nix::{UnitChanges, parse_unit_changes};

/// Formats the nonempty lists of units.
fn summary(text: &str) -> String {
    let UnitChanges { stopped, started, restarted, reloaded, not_restarted, failed } =
        parse_unit_changes(text);
    let lists = [
        ("stopped", stopped),
        ("started", started),
        ("restarted", restarted),
        ("reloaded", reloaded),
        ("left", not_restarted),
        ("failed", failed),
    ];
    let lists = lists.into_iter().filter(|(_, list)| !list.is_empty());
    lists.map(|(name, list)| format!("{name} {}", list.join(" "))).collect::<Vec<_>>().join("; ")
}

#[test]
fn each_line_names_its_units() {
    for (line, expected) in [
        ("would stop the following units: a.service, b.service", "stopped a.service b.service"),
        ("would start the following units: a.service", "started a.service"),
        ("would restart the following units: a.service, b.timer", "restarted a.service b.timer"),
        ("would reload the following units: dbus.service", "reloaded dbus.service"),
        ("would NOT stop the following changed units: x.service", "left x.service"),
        ("would NOT restart the following changed units: x.service", "left x.service"),
        ("stopping the following units: a.service", "stopped a.service"),
        ("starting the following units: a.service", "started a.service"),
        ("restarting the following units: a.service", "restarted a.service"),
        ("reloading the following units: a.service, -.mount", "reloaded a.service -.mount"),
        ("NOT restarting the following changed units: x.service", "left x.service"),
        ("the following new units were started: new.service", "started new.service"),
        ("warning: the following units failed: bad.service", "failed bad.service"),
        ("the following units failed: bad.service", "failed bad.service"),
        ("would start the following units: dev-disk-by\\x2duuid.swap", "started dev-disk-by\\x2duuid.swap"),
        (
            "would start the following units: \u{1b}[1ma.service\u{1b}[0m,  b.service, ",
            "started a.service b.service",
        ),
        ("would start the following units: ", ""),
        ("would restart systemd", ""),
        ("would activate the configuration...", ""),
        ("would stop swap device: /dev/sda2", ""),
        ("restarting sysinit-reactivation.target", ""),
        ("would restart the following user units: mine.service", ""),
        ("reloading user units for me...", ""),
        ("setting up /etc...", ""),
        ("note: the following units: a.service", ""),
    ] {
        assert_eq!(summary(line), expected, "{line}");
    }
}

#[test]
fn a_unit_that_stops_and_starts_again_restarts() {
    let dry = "would stop the following units: gone.service, nginx.service\n\
               would activate the configuration...\n\
               would restart the following units: listener.service\n\
               would start the following units: new.service, nginx.service\n";
    assert_eq!(
        summary(dry),
        "stopped gone.service; started new.service; restarted listener.service nginx.service"
    );
}

#[test]
fn each_unit_is_listed_once() {
    let real = "stopping the following units: nginx.service\n\
                reloading the following units: dbus.service\n\
                reloading the following units: dbus.service\n\
                starting the following units: nginx.service, new.service\n\
                the following new units were started: new.service, other.service\n\
                warning: the following units failed: bad.service\n";
    let expected = "started new.service other.service; restarted nginx.service; reloaded dbus.service; failed bad.service";
    assert_eq!(summary(real), expected);
}
