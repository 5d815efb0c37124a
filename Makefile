# The two commands are `make demo` and `make test`; both install what they lack and say so.

# Debian keeps nats-server where a user's path does not reach.
export PATH := $(PATH):/usr/sbin:/sbin

.PHONY: help demo test check bench

help:
	@echo 'make demo    a private broker, simulated hosts, a deployment; gone afterwards'
	@echo 'make test    every test, against a real broker and real nix'
	@echo 'make check   formatting, lints and documentation, warnings denied'
	@echo 'make bench   the promised figures, each beside its floor'

demo:
	@scripts/need nats-server
	cargo run --quiet -- demo

test:
	@scripts/need nats-server nix git
	cargo test

check:
	cargo fmt --check
	cargo clippy --all-targets -- --deny warnings
	RUSTDOCFLAGS='--deny warnings' cargo doc --no-deps --document-private-items

bench:
	@scripts/need nats-server
	cargo bench
	scripts/measure
