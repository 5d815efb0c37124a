# The commands to begin with are `make demo` and `make test`; each installs what it lacks and says so.

# Debian keeps nats-server where a user's path does not reach.
export PATH := $(PATH):/usr/sbin:/sbin

# Where cargo puts what it builds.
DEBUG := $(or $(CARGO_TARGET_DIR),target)/debug

.PHONY: help demo test static test-clients test-nixos test-nixpkgs test-metrics lab faults inputs check bench

help:
	@echo 'make demo          the console on a private broker and simulated hosts; gone afterwards'
	@echo 'make test          every test, against a real broker and real nix'
	@echo 'make static        the program as one file without shared libraries, for hosts of any Linux'
	@echo 'make test-clients  the MCP server, driven by the official clients in Python and TypeScript'
	@echo 'make test-nixos    the modules with the library of nixpkgs, and the script of the test in virtual machines'
	@echo 'make test-metrics  the metrics, alerts and dashboard, against a real Prometheus'
	@echo 'make lab           deployments on real systemd hosts in containers; needs root'
	@echo 'make inputs        ten million generated inputs for every parser'
	@echo 'make check         formatting, lints, documentation and dependencies, warnings denied'
	@echo 'make bench         the promised figures, each beside its floor'

demo:
	@scripts/need cargo cc nats-server
	@test -x $(DEBUG)/homelab-deploy || echo 'building the program: 2 to 5 minutes and 1.6 GB in $(dir $(DEBUG)), once'
	cargo build
	$(DEBUG)/homelab-deploy demo

test:
	@scripts/need cargo cc nats-server nix git
	@echo 'about 20 minutes on two cores the first time, and 4.7 GB in $(dir $(DEBUG))'
	scripts/leaves-nothing cargo test --no-fail-fast

# ARCH='x86_64 aarch64' names architectures; without, that of this machine.
static:
	@scripts/static $(ARCH)

# UPDATE_SNAPSHOTS=1 writes anew what the tools tell of themselves.
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

# With NIXPKGS_LIB, a checkout of nixpkgs or its folder lib. REFERENCE=write writes the tables of docs/nixos.md.
test-nixpkgs:
	@if [ -n "$$NIXPKGS_LIB" ]; then \
		cargo test --test nixos -- --include-ignored --skip vm_test::; \
	else \
		echo '##### NOT RUN: types of options, their errors, and nix flake check: NIXPKGS_LIB names no library of nixpkgs. #####' >&2; \
	fi

test-metrics:
	@scripts/need nats-server nix git prometheus promtool
	cargo test --test metrics -- --ignored

# Hosts wait more than they work.
lab:
	@scripts/lab-can
	@scripts/need debootstrap systemd-nspawn ip nats-server git
	scripts/lab-tree
	cargo test --test lab -- --test-threads=4

# A thousand deployments (FAULTS=…), each with a fault at a random moment; takes an hour. FAULTS_SEED repeats a run.
faults:
	@scripts/need nats-server nix git
	cargo test --test activation fault_run -- --ignored --nocapture

# Ten million generated inputs (INPUTS=…) for every parser. INPUTS_SEED repeats a run.
inputs:
	INPUTS=$${INPUTS:-10000000} cargo test --test protocol no_input_makes_a_parser_panic

check:
	cargo fmt --check
	cargo clippy --all-targets -- --deny warnings
	cargo clippy --test lab -- --deny warnings
	RUSTDOCFLAGS='--deny warnings' cargo doc --no-deps --document-private-items
	cargo package --quiet --offline --no-verify --allow-dirty
	@scripts/deny

bench:
	@scripts/need nats-server nix git
	cargo bench
	scripts/measure
