//! A setting of each option of the listener, and what it makes of the unit.

/// Option, setting, and a part of the unit that was not there before.
pub(crate) const EVERY_SETTING: &[(&str, &str, &str)] = &[
    ("package", "package = pkgs.other;", "-other/bin/homelab-deploy listener "),
    ("hostname", "hostname = \"web7\";", "--hostname web7 "),
    ("timeout", "timeout = 900;", "--timeout 900"),
    (
        "deploySubjects",
        "deploySubjects = [ \"deploy.<tier>.<hostname>\" \"x.<role>\" ];",
        "\"--deploy-subject=deploy.<tier>.<hostname>\" \"--deploy-subject=x.<role>\"",
    ),
    ("discoverSubject", "discoverSubject = \"fleet.discover\";", "--discover-subject fleet.discover"),
    (
        "environment",
        "environment.GIT_SSH_COMMAND = \"ssh -i /k\";",
        "Environment=\"GIT_SSH_COMMAND=ssh -i /k\"",
    ),
    (
        "trustedKeys",
        "trustedKeys = [ \"UAAVKPMLJOLZDMDFQ2TM5ZRAZHJBA4V2PDGXRK7OGPMQ4XIQE5KKIGDY\" ];",
        "--trusted-key=UAAVKPMLJOLZDMDFQ2TM5ZRAZHJBA4V2PDGXRK7OGPMQ4XIQE5KKIGDY",
    ),
    ("heartbeatInterval", "heartbeatInterval = 5;", "--heartbeat-interval 5"),
    ("rebuildCommand", "rebuildCommand = \"/bin/rebuild\";", "--rebuild-command /bin/rebuild"),
    ("requireHealthy", "requireHealthy = true;", "--require-healthy"),
    (
        "healthChecks",
        "healthChecks = [ \"true\" \"test -e /x\" ];",
        "--health-check=true \"--health-check=test -e /x\"",
    ),
    ("confirmTimeout", "confirmTimeout = 0;", "--confirm-timeout 0"),
    ("ignoreUnits", "ignoreUnits = [ \"backup-*\" ];", "\"--ignore-unit=backup-*\""),
    ("rollback", "rollback = false;", "--no-rollback"),
    ("localBuild", "localBuild = false;", "--no-local-build"),
    ("metrics.enable", "metrics.enable = true;", "--metrics-enabled --metrics-addr :9972"),
    (
        "metrics.address",
        "metrics = { enable = true; address = \"[::1]:9000\"; };",
        "--metrics-addr \"[::1]:9000\"",
    ),
    ("extraArgs", "extraArgs = [ \"--min-free\" \"5GiB\" ];", "--min-free 5GiB"),
];
