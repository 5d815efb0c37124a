//! The NixOS modules, evaluated with the small library in `lib.nix`, and also with the library of nixpkgs if `NIXPKGS_LIB` names a
//! checkout of it, for example of nix-community/nixpkgs.lib.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;
#[allow(dead_code, reason = "written for the tests of keys")]
#[path = "../keys/fixture.rs"]
mod fixture;
#[path = "../nix/own_store.rs"]
mod own_store;

mod assertions;
mod builder;
mod closure;
mod configurations;
mod evaluate;
mod flags;
mod flake;
mod flake_update;
mod fleet;
mod fleet_page;
mod home;
mod keys;
mod monitoring;
mod nats;
mod nixpkgs_lib;
mod notify;
mod operator;
mod options;
mod page;
mod settings;
mod store;
mod unit;
mod unit_text;
mod vm_test;
mod without_flakes;
