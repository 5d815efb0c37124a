//! A log that is followed from hosts written by hand: lost lines, silence, and messages that mean somebody else.

use crate::common::{Broker, Ears, Followed, Peer, Wire, base_answer};
use homelab_deploy::bus::LinkError;
use homelab_deploy::deployer::{LogNews, LogStart};
use serde_json::{Value, json};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const LINES: &str = "deploy.responses.j-1.log.db1";

/// What `db1` keeps of the log of job `j-1`, and whether that runs.
#[derive(Clone)]
struct Kept(Arc<Mutex<(String, bool)>>);

/// `db1`, a voice that speaks for it, and all questions.
struct Scene {
    kept: Kept,
    asks: Ears,
    wire: Wire,
    broker: Broker,
    peer: Option<Peer>,
}

impl Kept {
    fn write(&self, text: &str) {
        self.0.lock().unwrap().0 += text;
    }

    fn end(&self) {
        self.0.lock().unwrap().1 = false;
    }

    /// The answer to a question, by the letter.
    fn answer(&self, ask: &Value) -> Value {
        let kept = self.0.lock().unwrap();
        let offset = usize::try_from(ask["offset"].as_u64().unwrap()).unwrap().min(kept.0.len());
        json!({"want": "log", "id": ask["id"], "hostname": "db1", "offset": offset, "text": kept.0[offset..],
            "eof": true, "running": kept.1})
    }
}

impl Scene {
    fn new(text: &str) -> Self {
        Self::with(text, |kept, ask| vec![kept.answer(ask)])
    }

    /// A host that answers questions for a log so.
    fn with(text: &str, mut answers: impl FnMut(&Kept, &Value) -> Vec<Value> + Send + 'static) -> Self {
        let broker = Broker::start();
        let kept = Kept(Arc::new(Mutex::new((text.to_owned(), true))));
        let of_peer = kept.clone();
        let peer = Peer::start(&broker, base_answer("db1", "test", "db"), move |ask| answers(&of_peer, ask));
        let wire = Wire::connect(&broker, "everything");
        let asks = wire.listen("deploy.discover");
        Self { kept, asks, wire, broker, peer: Some(peer) }
    }

    fn follow(&self) -> Followed {
        Followed::open(&self.broker, "tester", "db1", "j-1", LogStart::From(0))
    }

    /// Lets time pass until somebody asks, which must be soon; no news may come meanwhile.
    fn is_asked(&self, log: &mut Followed) {
        let begun = Instant::now();
        while self.asks.arrived().is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(10), "nobody asks soon");
            log.quiet(Duration::from_millis(20));
        }
    }

    /// Says a live line.
    fn line(&self, offset: usize, text: &str) {
        self.wire.say(LINES, &json!({"id": "j-1", "hostname": "db1", "offset": offset, "text": text}));
    }

    /// Says how the job ended.
    fn verdict(&self) {
        let report =
            json!({"hostname": "db1", "status": "completed", "error": null, "message": "", "id": "j-1"});
        self.wire.say("deploy.responses.j-1", &report);
    }
}

#[test]
fn it_is_asked_of_that_host_and_a_lost_line_is_asked_for() {
    let scene = Scene::new("one\n");
    let mut log = scene.follow();
    assert_eq!(log.piece(), (0, "one\n".to_owned()));
    let ask = scene.asks.next().body;
    let meant = ["want", "id", "hosts", "offset"].map(|field| ask[field].clone());
    assert_eq!(meant, [json!("log"), json!("j-1"), json!(["db1"]), json!(0)]);
    assert!(ask["reply_to"].as_str().unwrap().starts_with("deploy.responses.ask."), "{ask}");

    scene.kept.write("two\nthree\nfour\n");
    scene.line(8, "three\n");
    scene.line(14, "four\n");
    assert_eq!(log.until("four\n"), (4, "two\nthree\nfour\n".to_owned()));
    assert_eq!(scene.asks.next().body["offset"], 4);
    scene.line(8, "three\n");
    scene.line(19, "five\n");
    assert_eq!(log.piece(), (19, "five\n".to_owned()), "what is known is not told again");
    scene.kept.write("five\n");
    scene.kept.end();
    scene.verdict();
    log.ends();
}

#[test]
fn the_end_is_noticed_without_a_verdict() {
    let scene = Scene::new("one\n");
    let mut log = scene.follow();
    log.piece();
    scene.kept.write("two\n");
    scene.kept.end();
    assert_eq!(log.piece(), (4, "two\n".to_owned()));
    log.ends();
}

#[test]
fn a_line_that_came_after_the_question_is_a_reason_for_another() {
    for first in ["", "one\n"] {
        let (let_go, held) = channel();
        let scene = Scene::with(first, move |kept, ask| {
            let answer = kept.answer(ask);
            held.recv().unwrap();
            vec![answer]
        });
        let mut log = scene.follow();
        scene.is_asked(&mut log);
        scene.kept.write("lost\nheard\n");
        scene.line(first.len() + 5, "heard\n");
        log.quiet(Duration::from_millis(50));
        for _ in 0..2 {
            let_go.send(()).unwrap();
        }
        assert_eq!(log.until("heard\n").1, format!("{first}lost\nheard\n"));
    }
}

#[test]
fn a_gap_that_the_host_cannot_fill_is_asked_for_a_few_times_and_ends_with_the_job() {
    let scene = Scene::new("one\n");
    let mut log = scene.follow();
    log.piece();
    for at in 100..150 {
        scene.line(at * 10, "far away\n");
        log.quiet(Duration::from_millis(20));
    }
    assert!(scene.asks.arrived().len() < 10);
    scene.line(4, "two\n");
    assert_eq!(log.piece(), (4, "two\n".to_owned()));
    scene.kept.end();
    scene.verdict();
    log.ends();
}

#[test]
fn others_are_not_heeded() {
    let scene = Scene::with("one\n", |kept, ask| {
        let other = |field: &str, value| {
            let mut answer = kept.answer(ask);
            (answer[field], answer["text"]) = (json!(value), json!("other\n"));
            answer
        };
        vec![
            other("hostname", "db2"),
            other("id", "j-2"),
            json!({"hostname": 7}),
            json!([]),
            kept.answer(ask),
        ]
    });
    let mut log = scene.follow();
    assert_eq!(log.piece(), (0, "one\n".to_owned()));
    for (field, value) in [("id", json!("j-2")), ("hostname", json!("db2")), ("offset", json!(-4))] {
        let mut line = json!({"id": "j-1", "hostname": "db1", "offset": 4, "text": "other\n"});
        line[field] = value;
        scene.wire.say(LINES, &line);
    }
    scene.wire.say_bytes(LINES, None, b"\xff".to_vec());
    scene.line(4, "two\n");
    assert_eq!(log.piece(), (4, "two\n".to_owned()));
}

#[test]
fn a_host_that_knows_no_logs_is_silent_at_once() {
    let scene = Scene::with("", |_, _| vec![base_answer("db1", "test", "db")]);
    let mut log = scene.follow();
    assert_eq!(log.news(), LogNews::Silent);
    scene.asks.next();
    // Each question is answered so, but that it is silent is told once.
    scene.line(0, "a live line\n");
    assert_eq!(log.piece(), (0, "a live line\n".to_owned()));
    scene.is_asked(&mut log);
    log.quiet(Duration::from_millis(100));
}

#[test]
fn a_host_that_is_away_is_asked_again_when_a_line_comes_and_may_fall_silent_again() {
    let mut asked = 0;
    let scene = Scene::with("one\n", move |kept, ask| {
        asked += 1;
        if asked == 2 { vec![kept.answer(ask)] } else { Vec::new() }
    });
    let mut log = scene.follow();
    assert_eq!(log.news(), LogNews::Silent);
    scene.kept.write("two\n");
    scene.line(4, "two\n");
    assert_eq!(log.until("two\n"), (0, "one\ntwo\n".to_owned()));
    scene.line(12, "four\n");
    assert_eq!(log.news(), LogNews::Silent);
    scene.line(8, "4th\n");
    assert_eq!(log.piece(), (8, "4th\nfour\n".to_owned()));
}

#[test]
fn a_host_that_is_back_is_asked_again() {
    let mut asked = 0;
    let scene = Scene::with("one\n", move |kept, ask| {
        asked += 1;
        if asked == 1 { Vec::new() } else { vec![kept.answer(ask)] }
    });
    let mut log = scene.follow();
    assert_eq!(log.news(), LogNews::Silent);
    let mut announcement = base_answer("db1", "test", "db");
    announcement["online"] = json!(false);
    scene.wire.say("deploy.responses.presence", &announcement);
    // It has gone.
    log.quiet(Duration::from_secs(1));
    announcement["online"] = json!(null);
    scene.wire.say("deploy.responses.presence", &announcement);
    assert_eq!(log.until("\n"), (0, "one\n".to_owned()));
}

#[test]
fn beside_a_watch_what_that_hears_of_the_host_is_heard() {
    let mut asked = 0;
    let scene = Scene::with("one\n", move |kept, ask| {
        asked += 1;
        if asked == 1 { Vec::new() } else { vec![kept.answer(ask)] }
    });
    let mut log = Followed::beside(&scene.broker, "tester", "db1", "j-1", LogStart::From(0));
    assert_eq!(log.news(), LogNews::Silent);
    scene.wire.say("deploy.responses.presence", &base_answer("db2", "test", "db"));
    // It is another one.
    log.quiet(Duration::from_secs(1));
    scene.wire.say("deploy.responses.presence", &base_answer("db1", "test", "db"));
    assert_eq!(log.until("\n"), (0, "one\n".to_owned()));
    scene.kept.end();
    scene.verdict();
    assert_eq!(log.soon(), LogNews::End);
    assert_eq!(log.raw(), None);
}

#[test]
fn that_a_host_is_back_is_told_also_where_it_has_nothing_new() {
    let mut asked = 0;
    let scene = Scene::with("one\n", move |kept, ask| {
        asked += 1;
        if asked == 2 { Vec::new() } else { vec![kept.answer(ask)] }
    });
    let mut log = scene.follow();
    assert_eq!(log.piece(), (0, "one\n".to_owned()));
    // A gap, so that it is asked.
    scene.line(100, "far away\n");
    assert_eq!(log.news(), LogNews::Silent);
    scene.wire.say("deploy.responses.presence", &base_answer("db1", "test", "db"));
    assert_eq!(log.news(), LogNews::Back);
}

#[test]
fn a_link_that_is_back_is_a_reason_to_ask() {
    let mut scene = Scene::new("one\n");
    let mut log = scene.follow();
    log.piece();
    scene.peer = None;
    // A gap, so that a question is open as the link is lost.
    scene.line(100, "far away\n");
    log.quiet(Duration::from_millis(50));
    scene.broker.stop();
    // It is not the host that is silent.
    log.quiet(Duration::from_secs(3));
    scene.broker.restart();
    // Nobody is there to answer, which is how it shows that it asks.
    assert_eq!(log.soon(), LogNews::Silent);
}

#[test]
fn a_key_that_may_not_ask_is_told_so() {
    let broker = Broker::start();
    let mut log = Followed::open(&broker, "web1", "db1", "j-1", LogStart::From(0));
    match log.raw() {
        Some(Err(LinkError::Refused(refusal))) => {
            assert!(refusal.subject.starts_with("deploy."), "{refusal}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(log.raw(), None);
}
