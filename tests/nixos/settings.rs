//! A setting for each option of the listener, and its effect on the unit.

/// Option, setting, and the part that it adds to the unit.
pub(crate) const EVERY_SETTING: &[(&str, &str, &str)] = &[
    ("package", "package = pkgs.other;", "-other/bin/homelab-deploy listener "),
    ("hostname", "hostname = \"web7\";", "--hostname web7 "),
    (
        "flakeCredentialsFile",
        "flakeCredentialsFile = \"/run/keys/c\";",
        "LoadCredential=flake-credentials:/run/keys/c",
    ),
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
        "trustedKeys = [ \"UCZTVNFTVZTQZ2FTLL4PA7LDCGM2JQTIU7MQS3WBQUBWTYJJZBBDYRPS\" ];",
        "--trusted-key=UCZTVNFTVZTQZ2FTLL4PA7LDCGM2JQTIU7MQS3WBQUBWTYJJZBBDYRPS",
    ),
    (
        "trustedKeys",
        "trustedKeys = [ \"UCZTVNFTVZTQZ2FTLL4PA7LDCGM2JQTIU7MQS3WBQUBWTYJJZBBDYRPS@2027-01-01\" ];",
        "--trusted-key=UCZTVNFTVZTQZ2FTLL4PA7LDCGM2JQTIU7MQS3WBQUBWTYJJZBBDYRPS@2027-01-01",
    ),
    (
        "trustedKeys",
        "trustedKeys = [ \"UCZTVNFTVZTQZ2FTLL4PA7LDCGM2JQTIU7MQS3WBQUBWTYJJZBBDYRPS@2027-01-01T12:00:00.5+02:00\" ];",
        "--trusted-key=UCZTVNFTVZTQZ2FTLL4PA7LDCGM2JQTIU7MQS3WBQUBWTYJJZBBDYRPS@2027-01-01T12:00:00.5+02:00",
    ),
    ("allowBranches", "allowBranches = [ \"main\" \"a/b\" ];", "--allow-branch=main --allow-branch=a/b"),
    ("flakeAttr", "flakeAttr = \"web1.vm\";", "--flake-attr web1.vm"),
    ("tls.ca", "tls.ca = \"/etc/ca.pem\";", "--tls-ca /etc/ca.pem"),
    ("tls.cert", TLS, "--tls-cert /etc/web1.pem"),
    ("tls.key", TLS, "--tls-key %d/tls-key"),
    ("tls.key", TLS, "LoadCredential=tls-key:/run/keys/web1-key.pem"),
    ("fleetName", "fleetName = \"home\";", "--fleet-name home"),
    ("presenceInterval", "presenceInterval = 0;", "--presence-interval 0"),
    (
        "rebuildSilence",
        "rebuildCommand = \"/bin/rebuild\"; rebuildSilence = 60;",
        "--rebuild-command /bin/rebuild --rebuild-silence 60",
    ),
    (
        "healthTimeout",
        "healthChecks = [ \"true\" ]; healthTimeout = 90;",
        "--health-check=true --health-timeout 90",
    ),
    ("preActivateScript", "preActivateScript = \"bin/may\";", "--pre-activate-script bin/may"),
    ("confirmHold", "confirmHold = 0;", "--confirm-hold 0"),
    ("confirmPeers", "confirmPeers = \"any\";", "--confirm-peers any"),
    ("confirmPeers", "confirmPeers = [ \"ns1\" \"ns2\" ];", "--confirm-peers ns1,ns2"),
    ("activateTimeout", "activateTimeout = 60;", "--activate-timeout 60"),
    ("lastResortReboot", "lastResortReboot = false;", "--no-last-resort-reboot"),
    ("minFree", "minFree = \"5GiB\";", "--min-free 5GiB"),
    ("debug", "debug = true;", "--debug"),
    ("logFormat", "logFormat = \"text\";", "--log-format text"),
    ("commitSigners", "commitSigners = \"/etc/signers\";", "--commit-signers /etc/signers"),
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
    ("acceptFlakeConfig", "acceptFlakeConfig = true;", "--accept-flake-config"),
    ("metrics.enable", "metrics.enable = true;", "--metrics-enabled --metrics-addr :9972"),
    (
        "metrics.address",
        "metrics = { enable = true; address = \"[::1]:9000\"; };",
        "--metrics-addr \"[::1]:9000\"",
    ),
    ("metrics.address", "metrics = { enable = true; address = \":80\"; };", "=CAP_NET_BIND_SERVICE\n"),
    ("engine", COMPOSE, "--engine compose"),
    ("repoUrl", COMPOSE, "--repo-url git+https://git.example.org/homelab"),
    (
        "composeRoot",
        "engine = \"compose\"; repoUrl = \"git+https://git.example.org/homelab\"; composeRoot = \"/srv/lab\";",
        "--compose-root /srv/lab",
    ),
    (
        "composeRoot",
        "engine = \"compose\"; repoUrl = \"git+https://git.example.org/homelab\"; composeRoot = \"/srv/lab\";",
        "ReadWritePaths=/srv/lab\n",
    ),
    (
        "composeCommand",
        "engine = \"compose\"; repoUrl = \"git+https://git.example.org/homelab\"; composeCommand = \"podman compose\";",
        "--compose-command \"podman compose\"",
    ),
    (
        "exposure",
        "engine = \"compose\"; repoUrl = \"git+https://git.example.org/homelab\"; exposure = \"warn\";",
        "--exposure warn",
    ),
    (
        "offlineOk",
        "engine = \"compose\"; repoUrl = \"git+https://git.example.org/homelab\"; offlineOk = true;",
        "--offline-ok",
    ),
    ("extraArgs", "extraArgs = [ \"--debug\" ];", " --debug "),
];

/// The smallest settings of a host with Docker Compose.
pub(crate) const COMPOSE: &str = "engine = \"compose\"; repoUrl = \"git+https://git.example.org/homelab\";";

pub(crate) const TLS: &str = "tls = { cert = \"/etc/web1.pem\"; key = \"/run/keys/web1-key.pem\"; };";
