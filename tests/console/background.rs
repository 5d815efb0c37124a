//! What goes wrong beside the console itself is told in a box, and the screen stays whole.

use crate::common::{Broker, Wire, base_answer};
use crate::stage::{Console, LEAVE};
use homelab_deploy::bus::{Bus, Seed, Settings};
use homelab_deploy::deployer::{Operator, Roster};
use homelab_deploy::tui::{Options, Theme, run};
use std::env;
use std::process::Command;
use tokio_util::sync::CancellationToken;

const SERVER: &str = "TEST_CONSOLE_SERVER";
const KEY: &str = "TEST_CONSOLE_KEY";
const PRESENCE: &str = "deploy.responses.presence";

/// Not a test of its own: the console as the library has it, with a task and a thread beside it that panic as soon as the first
/// host is heard of.
#[test]
#[ignore = "runs in the terminal of the test below"]
fn a_console_with_faults_beside_it() {
    let (Ok(server), Ok(key)) = (env::var(SERVER), env::var(KEY)) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ended = runtime.block_on(async {
        let seed = Seed::read(key.as_ref()).unwrap();
        let settings = Settings::new(&server, Some(seed), "test", "deploy.responses.ping").unwrap();
        let bus = Bus::lasting(&settings).await.unwrap();
        let mut heard = bus.subscribe(PRESENCE, |_, _| ()).await.unwrap();
        tokio::spawn(async move {
            heard.next().await;
            std::thread::spawn(|| panic!("a thread fell over")).join().unwrap_err();
            panic!("a task fell over");
        });
        let options = Options::new(server, "tester", Theme { colour: true, unicode: true });
        let operator = Operator::new(bus, Roster::default(), "tester".to_owned());
        run(operator, options, CancellationToken::new()).await
    });
    ended.unwrap();
}

#[test]
fn a_panic_in_the_background_is_a_box_and_not_a_broken_screen() {
    let broker = Broker::start();
    let wire = Wire::connect(&broker, "everything");
    let mut command = Command::new(env::current_exe().unwrap());
    let name = "background::a_console_with_faults_beside_it";
    command.args(["--exact", name, "--ignored", "--nocapture", "--test-threads", "1"]);
    command.env(SERVER, broker.url()).env(KEY, broker.key("tester"));
    let mut console = Console::of(&command, 80, 24);
    console.listens();
    wire.say(PRESENCE, &base_answer("web1", "test", "web"));
    for (title, what) in
        [(" 1 of 2 ", "a thread fell over"), ("─ A fault in the background ──", "a task fell over")]
    {
        console.line(&["─ A fault in the background ", title]);
        console.shows(what);
        console.shows("The console goes on; what failed is missing from it.");
        console.types("\r");
        console.hides(what);
    }
    // It still hears, and still answers keys.
    wire.say(PRESENCE, &base_answer("web2", "test", "web"));
    console.lists(&["web1", "web2"]);
    console.types("j");
    console.row("web2", &["▸", "● idle"]);
    console.types(LEAVE);
    let screen = console.ended();
    assert_eq!((screen.code, screen.left), (0, Vec::new()), "{}", screen.text);
}
