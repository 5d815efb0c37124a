//! Panics outside of the console itself are shown in a dialog, and the screen stays intact.

use crate::common::{NatsServer, RawClient, base_presence};
use crate::harness::{Console, LEAVE};
use homelab_deploy::client::{Inventory, Operator};
use homelab_deploy::nats::{Client, ConnectionSettings, Nkey};
use homelab_deploy::tui::{Options, Theme, run};
use std::env;
use std::process::Command;
use tokio_util::sync::CancellationToken;

const SERVER: &str = "TEST_CONSOLE_SERVER";
const KEY: &str = "TEST_CONSOLE_KEY";
const PRESENCE: &str = "deploy.responses.presence";

/// Not a separate test: a console as the library runs it, with a task and a thread that panic as soon as the first host
/// is seen.
#[test]
#[ignore = "runs in the terminal of the test below"]
fn a_console_with_panicking_tasks() {
    let (Ok(server), Ok(key)) = (env::var(SERVER), env::var(KEY)) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ended = runtime.block_on(async {
        let seed = Nkey::read(key.as_ref()).unwrap();
        let settings = ConnectionSettings::new(&server, Some(seed), "test", "deploy.responses.ping").unwrap();
        let client = Client::connect_persistent(&settings).await.unwrap();
        let mut presence = client.subscribe(PRESENCE, |_, _| ()).await.unwrap();
        tokio::spawn(async move {
            presence.next().await;
            std::thread::spawn(|| panic!("a thread fell over")).join().unwrap_err();
            panic!("a task fell over");
        });
        let options = Options::new(server, "tester", Theme::new(true, true));
        let operator = Operator::new(client, Inventory::default(), "tester".to_owned());
        run(operator, options, CancellationToken::new()).await
    });
    ended.unwrap();
}

#[test]
fn a_panic_in_the_background_is_shown_in_a_dialog() {
    let nats = NatsServer::start();
    let wire = RawClient::connect(&nats, "everything");
    let mut command = Command::new(env::current_exe().unwrap());
    let name = "background::a_console_with_panicking_tasks";
    command.args(["--exact", name, "--ignored", "--nocapture", "--test-threads", "1"]);
    command.env(SERVER, nats.url()).env(KEY, nats.key("tester"));
    let mut console = Console::of(&command, 80, 24);
    console.wait_until_subscribed();
    wire.publish(PRESENCE, &base_presence("web1", "test", "web"));
    for (title, what) in
        [(" 1 of 2 ", "a thread fell over"), ("─ A background task failed ──", "a task fell over")]
    {
        console.line(&["─ A background task failed ", title]);
        console.shows(what);
        console.shows("The console continues without this task.");
        console.types("\r");
        console.hides(what);
    }
    // The console still receives messages and handles keys.
    wire.publish(PRESENCE, &base_presence("web2", "test", "web"));
    console.lists(&["web1", "web2"]);
    console.types("j");
    console.row("web2", &["▸", "● idle"]);
    console.types(LEAVE);
    let screen = console.wait_for_exit();
    assert_eq!((screen.code, screen.left), (0, Vec::new()), "{}", screen.text);
}
