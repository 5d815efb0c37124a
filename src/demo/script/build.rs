//! The build of a job: what is fetched and what is built, one derivation after the other.

use super::{Beat, Writer};
use crate::activation::Failure;
use crate::demo::commit::Commit;
use crate::demo::machine::{Change, System};
use crate::demo::part::Part;
use crate::demo::store;
use crate::protocol::{ErrorCode, PhaseName, Progress};

/// What a builder builds by itself, for no cache has it.
const TOOLCHAIN: [&str; 27] = [
    "binutils-2.43.1",
    "gmp-6.3.0",
    "mpfr-4.2.1",
    "isl-0.20",
    "libmpc-1.3.1",
    "gcc-14.2.1",
    "cmake-3.31.5",
    "ninja-1.12.1",
    "llvm-19.1.7",
    "clang-19.1.7",
    "lld-19.1.7",
    "rustc-1.84.1",
    "cargo-1.84.1",
    "go-1.23.6",
    "nodejs-22.14.0",
    "python3-3.12.9",
    "python3.12-pip-25.0",
    "python3.12-numpy-2.2.2",
    "openjdk-21.0.6",
    "gradle-8.12.1",
    "postgresql-17.4",
    "sqlite-3.48.0",
    "protobuf-29.3",
    "buildkit-0.19.0",
    "runc-1.2.5",
    "containerd-2.0.3",
    "docker-27.5.1",
];

/// Why the broken package does not build.
const WHY: &str = "brotli/encode.h: No such file or directory";

/// How much a package is to fetch, in MiB.
const SIZES: [u64; 5] = [4, 11, 18, 37, 62];

impl Writer<'_> {
    pub(super) fn build(&mut self, commit: &'static Commit) -> Result<System, Failure> {
        self.enter(PhaseName::Build);
        let activity = "evaluating derivation".to_owned();
        self.beats.push(Beat::Progress(Progress { activity, ..Progress::default() }));
        self.pause(400, 900);
        let system = System::of(self.host, commit);
        if self.machine.is_built(&system) {
            return Ok(system);
        }
        let packages = self.packages(commit);
        let configuration = self.configuration(commit);
        let derivations: Vec<_> = packages.iter().chain(&configuration).collect();
        let expected = derivations.len() as u64;
        let sizes: Vec<u64> =
            derivations.iter().map(|name| SIZES[name.len() % SIZES.len()] << 20).take(12).collect();
        let expected_bytes = sizes.iter().sum();
        let progress = Progress { expected, expected_bytes, ..Progress::default() };
        let mut downloaded_bytes = 0;
        for (at, size) in sizes.iter().enumerate() {
            let activity = format!("copying {} paths", sizes.len() - at);
            self.beats.push(Beat::Progress(Progress { downloaded_bytes, activity, ..progress.clone() }));
            self.pause(60, 260);
            downloaded_bytes += size;
        }
        for (done, name) in (0..).zip(derivations) {
            let (running, activity) = ((expected - done).min(3), format!("building {name}"));
            let progress = Progress { done, running, downloaded_bytes, activity, ..progress.clone() };
            self.beats.push(Beat::Progress(progress));
            let derivation = format!("{}.drv", store::path(name, commit.hash));
            self.say(&format!("building '{derivation}'..."));
            self.pause(150, 700);
            if commit.is_broken() && name.starts_with("nginx-") {
                return Err(self.broken(name, &derivation));
            }
            if packages.contains(name) {
                self.say(&format!("{name}> post-installation fixup"));
            }
        }
        self.beats.push(Beat::Change(Change::Built(system.clone())));
        Ok(system)
    }

    /// The packages that are to be built: those that differ from the running system's.
    fn packages(&self, commit: &Commit) -> Vec<String> {
        let role = self.host.role.as_str();
        let running = self.machine.running.commit.packages_of(role);
        let wanted = commit.packages_of(role);
        let new = wanted.iter().filter(|(name, version)| running.get(**name) != Some(*version));
        let mut packages: Vec<_> = new.map(|(name, version)| format!("{name}-{version}")).collect();
        if self.host.part == Part::Builder {
            packages.extend(TOOLCHAIN.map(str::to_owned));
        }
        packages
    }

    /// What is made of the packages.
    fn configuration(&self, commit: &Commit) -> Vec<String> {
        let mut configuration = Vec::new();
        let kernel = commit.kernel();
        if kernel != self.machine.running.commit.kernel() {
            configuration.push(format!("initrd-linux-{kernel}"));
        }
        let service = super::units::main_service(self.host.role.as_str());
        configuration.push(format!("unit-{service}"));
        configuration.extend(["system-units", "etc-hosts", "system-path", "etc"].map(str::to_owned));
        configuration.push(format!("nixos-system-{}-{}", self.host.name, self.host.part.release().0));
        configuration
    }

    fn broken(&mut self, name: &str, derivation: &str) -> Failure {
        for line in broken_log(name, derivation) {
            self.say(&line);
        }
        let message = format!(
            "\"{}\" did not build: build of {name} failed with exit code 2; its log ends: fatal error: {WHY}; look at the \
             job's log",
            self.host.name
        );
        Failure::new(ErrorCode::BuildFailed, message)
    }
}

/// The log of the package that does not build.
pub(in crate::demo) fn broken_log(name: &str, derivation: &str) -> Vec<String> {
    let lines = [
        "unpacking source archive",
        "configuring",
        "checking for brotli ... not found",
        "building",
        &format!("ngx_http_brotli_filter_module.c:12:10: fatal error: {WHY}"),
        "compilation terminated.",
        "make[1]: *** [objs/Makefile:1231: objs/addon/brotli.o] Error 1",
    ];
    let mut log: Vec<_> = lines.iter().map(|line| format!("{name}> {line}")).collect();
    log.push(format!("error: builder for '{derivation}' failed with exit code 2"));
    log.push(format!("error: build of {name} failed"));
    log
}
