# Start with `make demo` and `make test`. Each target installs missing programs and prints what it installs.

# Debian installs nats-server in /usr/sbin, which is not on a user's PATH.
export PATH := $(PATH):/usr/sbin:/sbin

# The output directory of cargo's dev profile.
DEBUG := $(or $(CARGO_TARGET_DIR),target)/debug

.PHONY: help demo test static test-clients test-nixos test-nixpkgs test-metrics test-compose lab faults inputs check bench

help:
	@echo 'make demo          the console with a private NATS server and simulated hosts, removed afterwards'
	@echo 'make test          every test, with a real NATS server and real nix'
	@echo 'make static        a static binary for any Linux host'
	@echo 'make test-clients  tests of the MCP server with the official Python and TypeScript clients'
	@echo 'make test-nixos    tests of the modules with the nixpkgs library, and checks of the VM test script'
	@echo 'make test-metrics  tests of metrics, alerts and dashboard with a real Prometheus'
	@echo 'make test-compose  deployments to a host with Docker Compose, with a real docker daemon; needs root'
	@echo 'make lab           deployments to real systemd hosts in containers; needs root'
	@echo 'make inputs        ten million generated inputs for each parser'
	@echo 'make check         formatting, lints, documentation and dependencies; warnings are errors'
	@echo 'make bench         benchmarks with their bounds'

demo:
	@scripts/need cargo cc nats-server
	@test -x $(DEBUG)/homelab-deploy || echo 'building the program, once: 2 to 5 minutes and 1.6 GB in $(dir $(DEBUG))'
	cargo build
	$(DEBUG)/homelab-deploy demo

# Most tests wait for programs, so there are more of them at once than processors.
test:
	@scripts/need cargo cc nats-server nix git
	@echo 'the first run takes about 12 minutes on two cores and 4.7 GB in $(dir $(DEBUG))'
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-4} scripts/leaves-nothing cargo test --no-fail-fast

# ARCH='x86_64 aarch64' selects architectures; the default is that of this machine.
static:
	@scripts/static $(ARCH)

# UPDATE_SNAPSHOTS=1 updates the snapshots of the tool descriptions.
test-clients:
	@scripts/need nats-server python3-venv npm
	cargo build
	@scripts/venv tests/clients/requirements.txt target/clients-venv
	@scripts/node-packages tests/clients/typescript target/clients-node
	HOMELAB_DEPLOY_TYPESCRIPT=$(CURDIR)/target/clients-node HOMELAB_DEPLOY_BINARY=$(DEBUG)/homelab-deploy \
		target/clients-venv/bin/python -B \
		-m unittest discover --catch -s tests/clients -t tests/clients

test-nixos:
	@scripts/need nix python3-venv
	@scripts/venv tests/nixos/requirements.txt target/nixos-venv
	HOMELAB_DEPLOY_NIXOS_VENV=$(CURDIR)/target/nixos-venv cargo test --test nixos vm_test:: -- --include-ignored
	@$(MAKE) --no-print-directory test-nixpkgs

# NIXPKGS_LIB is a checkout of nixpkgs or its directory lib. REFERENCE=write updates the tables of docs/nixos.md.
test-nixpkgs:
	@if [ -n "$$NIXPKGS_LIB" ]; then \
		cargo test --test nixos -- --include-ignored --skip vm_test::; \
	else \
		echo '##### NOT RUN: option types, their errors, and nix flake check: NIXPKGS_LIB is not set. #####' >&2; \
	fi

test-metrics:
	@scripts/need nats-server nix git prometheus promtool
	cargo test --test metrics -- --ignored

# The tests share a docker daemon with its own network, and most of them wait for containers.
test-compose:
	@scripts/compose-can
	@scripts/need dockerd docker busybox ip nats-server git compose2
	scripts/leaves-nothing cargo test --test compose -- --test-threads=4

# Four threads even on small machines, because the tests mostly wait for hosts.
lab:
	@scripts/lab-can
	@scripts/need debootstrap systemd-nspawn ip nats-server git dockerd docker busybox compose2
	scripts/lab-tree
	cargo test --test lab -- --test-threads=4

# A thousand deployments (FAULTS=…), each with a fault at a random time. Takes an hour. FAULTS_SEED repeats a run.
faults:
	@scripts/need nats-server nix git
	cargo test --test activation fault_run -- --ignored --nocapture

# Ten million generated inputs (INPUTS=…) for each parser. INPUTS_SEED repeats a run.
inputs:
	INPUTS=$${INPUTS:-10000000} cargo test --test protocol no_input_makes_a_parser_panic

check:
	cargo fmt --check
	cargo clippy --all-targets -- --deny warnings
	cargo clippy --test lab --test compose -- --deny warnings
	RUSTDOCFLAGS='--deny warnings' cargo doc --no-deps --document-private-items
	cargo package --quiet --offline --no-verify --allow-dirty
	@scripts/typos
	@scripts/deny

bench:
	@scripts/need nats-server nix git
	cargo bench
	scripts/measure
