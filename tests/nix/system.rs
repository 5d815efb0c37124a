//! Builds real systems, and checks the errors if that fails.

use crate::store::{Built, Store};
use homelab_deploy::nix::NixLine;
use homelab_deploy::protocol::ErrorCode;
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn a_build_sends_its_progress_and_log_and_returns_the_system() {
    let store = Store::new();
    store.hosts(r#"web-1 = sh "nixos-system-web" "echo uses ${sh "lib-1.0" "echo one; echo two; echo > $out"}; echo > $out";"#);
    let built = store.build("web-1").await;
    let system = built.result.as_ref().unwrap();
    assert!(system.starts_with(store.path("store")), "{system:?}");
    assert!(system.to_str().unwrap().ends_with("-nixos-system-web"), "{system:?}");
    assert_eq!(std::fs::read_link(store.path("result")).unwrap(), *system);

    let progress = built.lines.iter().filter_map(|line| match line {
        NixLine::Progress(progress) => Some(progress),
        NixLine::Log(_) => None,
    });
    let steps: Vec<_> = progress.collect();
    let builds: Vec<_> = steps.iter().map(|step| step.activity.as_str()).collect();
    let position = |activity| builds.iter().position(|build| *build == activity).unwrap();
    assert!(position("building lib-1.0") < position("building nixos-system-web"), "{builds:?}");
    let last = steps.last().unwrap();
    assert_eq!((last.done, last.expected, last.running), (2, 2, 0));

    let log: Vec<&str> = built.log().into_iter().filter(|line| line.contains("> ")).collect();
    assert_eq!(log[..2], ["lib-1.0> one", "lib-1.0> two"]);
    assert!(log[2].starts_with("nixos-system-web> uses /"), "{log:?}");

    // The system already exists, and the receiver is dropped.
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    drop(receiver);
    let again = store.nix().build(store.spec(None, "web-1").await, sender, &CancellationToken::new()).await;
    assert_eq!(again.unwrap(), *system);
}

#[tokio::test]
async fn an_unknown_host_is_reported_with_similar_names() {
    let store = Store::new();
    store.hosts(r#"web = sh "x" ""; db = sh "x" "";"#);
    let built = store.build("wep").await;
    assert_eq!(built.error().code(), ErrorCode::EvaluationFailed);
    let text = built.error().to_string();
    let start = format!("path:{} has no nixosConfigurations.\"wep\".config", store.path("flake").display());
    assert!(
        text.starts_with(&start) && text.contains("; did you mean web?; if the flake uses another name"),
        "{text}"
    );

    let text = store.build("mailserver").await.error().to_string();
    assert!(
        text.contains("; list its hosts with `nix flake show`; if the flake uses another name"),
        "{text}"
    );
}

#[tokio::test]
async fn an_evaluation_error_is_reported_with_its_location() {
    let store = Store::new();
    let flake = format!("path:{}", store.path("flake").display());
    for (text, message) in [
        ("{\n  outputs = { self }: { a = ; };\n}", "syntax error, unexpected ';' at flake.nix:2:29"),
        ("{ outputs = { self }: throw ''first\n  second''; }", "first second"),
        (
            "{ outputs = { self }: { nixosConfigurations.web = nowhere; }; }",
            "undefined variable 'nowhere' at flake.nix:1:51",
        ),
    ] {
        store.write("flake.nix", text);
        let built = store.build("web").await;
        assert_eq!(built.error().code(), ErrorCode::EvaluationFailed);
        let expected = format!(
            "\"web\" of {flake} does not evaluate: {message}; fix it in the flake, then deploy again"
        );
        assert_eq!(built.error().to_string(), expected);
        assert!(built.log().iter().any(|text| text.starts_with("error:")), "{:?}", built.log());
    }
}

#[tokio::test]
async fn a_derivation_that_fails_is_named_with_the_end_of_its_log() {
    let store = Store::new();
    store.hosts(
        r#"web = sh "nixos-system-web" "echo ${sh "broken-1.0" "for i in 1 2 3 4 5 6 7; do echo line $i; done; exit 7"} > $out";"#,
    );
    let built = store.build("web").await;
    assert_eq!(built.error().code(), ErrorCode::BuildFailed);
    assert_eq!(
        built.error().to_string(),
        "\"web\" did not build: builder for 'broken-1.0' failed with exit code 7; its log ends: line 3; line 4; \
         line 5; line 6; line 7; look at the job's log"
    );
    assert!(built.log().contains(&"broken-1.0> line 1"), "{:?}", built.log());
    assert!(!store.path("result").exists());
}

#[tokio::test]
async fn inputs_without_a_lock_file_are_refused_and_no_lock_file_is_created() {
    let store = Store::new();
    let input = store.path("input");
    std::fs::create_dir(&input).unwrap();
    std::fs::write(input.join("flake.nix"), "{ outputs = { self }: { }; }").unwrap();
    let flake =
        format!(r#"{{ inputs.x.url = "path:{}"; outputs = {{ self, x }}: {{ }}; }}"#, input.display());
    store.write("flake.nix", &flake);
    let built = store.build("web").await;
    assert_eq!(built.error().code(), ErrorCode::EvaluationFailed, "{}", built.error());
    let text = built.error().to_string();
    assert!(text.ends_with("run `nix flake lock` there, commit the flake.lock and push it"), "{text}");
    assert!(!store.path("flake/flake.lock").exists());
}

#[tokio::test]
async fn a_missing_nix_is_reported() {
    let store = Store::new();
    store.hosts("");
    let spec = store.spec(None, "web").await;
    let built = Built::of(&store.nix().env("PATH", store.path("nothing")), spec).await;
    assert_eq!(built.error().code(), ErrorCode::Internal);
    assert_eq!(built.error().to_string(), "nix is not installed here; put it on the service's PATH");
}
