# The commands to begin with are `make demo` and `make test`; each installs what it lacks and says so.

# Debian keeps nats-server where a user's path does not reach.
export PATH := $(PATH):/usr/sbin:/sbin

.PHONY: help demo test test-clients test-nixos test-metrics lab faults check bench

help:
	@echo 'make demo          the console on a private broker and simulated hosts; gone afterwards'
	@echo 'make test          every test, against a real broker and real nix'
	@echo 'make test-clients  the MCP server, driven by the official client in Python'
	@echo 'make test-nixos    the script of the test in virtual machines, checked as NixOS checks it'
	@echo 'make test-metrics  the metrics, alerts and dashboard, against a real Prometheus'
	@echo 'make lab           deployments on real systemd hosts in containers; needs root'
	@echo 'make check         formatting, lints and documentation, warnings denied'
	@echo 'make bench         the promised figures, each beside its floor'

demo:
	@scripts/need nats-server
	cargo run --quiet -- demo

test:
	@scripts/need nats-server nix git
	cargo test

# UPDATE_SNAPSHOTS=1 writes anew what the tools tell of themselves.
test-clients:
	@scripts/need nats-server python3-venv
	cargo build
	@scripts/venv tests/clients/requirements.txt target/clients-venv
	HOMELAB_DEPLOY_BINARY=$${CARGO_TARGET_DIR:-target}/debug/homelab-deploy target/clients-venv/bin/python -B \
		-m unittest discover --catch -s tests/clients -t tests/clients

test-nixos:
	@scripts/need nix python3-venv
	@scripts/venv tests/nixos/requirements.txt target/nixos-venv
	HOMELAB_DEPLOY_NIXOS_VENV=$(CURDIR)/target/nixos-venv cargo test --test nixos -- --ignored

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

check:
	cargo fmt --check
	cargo clippy --all-targets -- --deny warnings
	cargo clippy --test lab -- --deny warnings
	RUSTDOCFLAGS='--deny warnings' cargo doc --no-deps --document-private-items
	cargo package --quiet --offline --no-verify --allow-dirty
	@if command -v cargo-deny >/dev/null; then cargo deny check bans licenses sources; \
	else echo 'cargo-deny is not here: licences and sources of dependencies are not checked'; fi

bench:
	@scripts/need nats-server nix git
	cargo bench
	scripts/measure
