//! All forms of flake URLs: the URL for git, the displayed URL, and refused ones.

use homelab_deploy::nix::FlakeUrl;

#[test]
fn every_form_is_converted_for_git_and_shown_without_secrets() {
    for (text, remote, shown) in [
        ("git+https://git.example/a/infra.git", Some("https://git.example/a/infra.git"), "="),
        ("git+http://git.example:3000/infra", Some("http://git.example:3000/infra"), "="),
        ("git+ssh://git@git.example/infra.git", Some("ssh://git@git.example/infra.git"), "="),
        ("git+ssh://git.example:2222/infra.git", Some("ssh://git.example:2222/infra.git"), "="),
        ("git+file:///srv/infra.git", Some("file:///srv/infra.git"), "="),
        (
            "git+https://git.example/infra?dir=hosts&submodules=1",
            Some("https://git.example/infra"),
            "git+https://git.example/infra?dir=hosts&submodules=1",
        ),
        (
            "git+https://me:pw@git.example/infra?access_token=x&dir=hosts",
            Some("https://git.example/infra"),
            "git+https://git.example/infra?dir=hosts",
        ),
        ("git+https://t0ken@git.example/i", Some("https://git.example/i"), "git+https://git.example/i"),
        ("git+ssh://git:pw@git.example/i", Some("ssh://git@git.example/i"), "git+ssh://git@git.example/i"),
        ("github:owner/repo", Some("https://github.com/owner/repo.git"), "="),
        ("github:owner/repo?dir=nix", Some("https://github.com/owner/repo.git"), "="),
        ("github:o/r?host=ghe.example", Some("https://ghe.example/o/r.git"), "="),
        ("github:owner/repo.git/", Some("https://github.com/owner/repo.git"), "github:owner/repo"),
        ("gitlab:owner/repo", Some("https://gitlab.com/owner/repo.git"), "="),
        ("gitlab:group%2Fsub/repo?host=lab.example", Some("https://lab.example/group/sub/repo.git"), "="),
        ("sourcehut:~owner/repo", Some("https://git.sr.ht/~owner/repo"), "="),
        ("git+https://[::1]:3000/infra/", Some("https://[::1]:3000/infra/"), "="),
        ("git+ssh://git@[2001:db8::1]:22/~me/infra", Some("ssh://git@[2001:db8::1]:22/~me/infra"), "="),
        ("git+file:///srv/my%20infra", Some("file:///srv/my%20infra"), "="),
        ("path:/srv/flake?dir=x", None, "="),
        ("/srv/flake", None, "path:/srv/flake"),
        ("/srv/flake?dir=x", None, "path:/srv/flake?dir=x"),
    ] {
        let url: FlakeUrl = text.parse().unwrap();
        assert_eq!(url.remote().map(|remote| remote.url).as_deref(), remote, "{text}");
        let shown = if shown == "=" { text } else { shown };
        assert_eq!(url.without_credentials(), shown);
        assert_eq!(format!("{url:?}"), format!("FlakeUrl({shown:?})"));
    }
}

#[test]
fn bare_path_in_a_git_work_tree_refers_to_the_repository() {
    let dir = tempfile::TempDir::new().unwrap();
    let root = dir.path().canonicalize().unwrap();
    std::fs::create_dir_all(root.join("tree/hosts/web")).unwrap();
    std::fs::create_dir(root.join("plain")).unwrap();
    std::fs::create_dir(root.join("tree/.git")).unwrap();
    std::os::unix::fs::symlink(root.join("tree/hosts"), root.join("link")).unwrap();
    let root = root.display();
    for (text, shown) in [
        (format!("{root}/tree"), format!("git+file://{root}/tree")),
        (format!("{root}/tree/hosts"), format!("git+file://{root}/tree?dir=hosts")),
        (format!("{root}/link"), format!("git+file://{root}/tree?dir=hosts")),
        (format!("{root}/link?dir=web"), format!("git+file://{root}/tree?dir=hosts/web")),
        (format!("{root}/tree?dir=hosts&shallow=1"), format!("git+file://{root}/tree?dir=hosts&shallow=1")),
        (format!("{root}/plain"), format!("path:{root}/plain")),
        (format!("path:{root}/tree"), format!("path:{root}/tree")),
    ] {
        assert_eq!(text.parse::<FlakeUrl>().unwrap().without_credentials(), shown, "{text}");
    }
    // In a linked work tree `.git` is a file.
    std::fs::write(dir.path().join("plain/.git"), "gitdir: /elsewhere").unwrap();
    let url: FlakeUrl = format!("{root}/plain").parse().unwrap();
    assert_eq!(url.remote().map(|remote| remote.url), Some(format!("file://{root}/plain")));
}

const FORMS: &str = "use git+https://HOST/PATH, git+ssh://HOST/PATH, git+http://HOST/PATH, git+file:///PATH, \
                     github:OWNER/REPO, gitlab:OWNER/REPO, sourcehut:~OWNER/REPO, path:/PATH or an absolute path";

#[test]
fn other_forms_are_refused_with_a_list_of_supported_forms() {
    for (text, shown) in [
        ("", ""),
        ("infra", "infra"),
        ("git+https:/me:pw@git.example/infra", "…@git.example/infra"),
        ("me:pw@git.example/infra", "…@git.example/infra"),
        ("git+git://git.example/infra", "git+git://git.example/infra"),
        ("git+https://git.example", "git+https://git.example"),
        ("git+https://git.example/", "git+https://git.example/"),
        ("git+https:///infra", "git+https:///infra"),
        ("git+file://host/infra", "git+file://host/infra"),
        ("https://git.example/infra.tar.gz", "https://git.example/infra.tar.gz"),
        ("github:owner", "github:owner"),
        ("github:/repo", "github:/repo"),
        ("ext::sh -c x", "ext::sh -c x"),
    ] {
        let error = text.parse::<FlakeUrl>().unwrap_err().to_string();
        assert_eq!(error, format!("{shown:?} is not a flake URL that can be deployed: {FORMS}"));
    }
}

#[test]
fn the_error_suggests_the_form_that_works() {
    for (text, shown, form) in [
        ("git@git.example:me/infra.git", "=", "git+ssh://git@git.example/me/infra.git"),
        ("git.example:/srv/infra", "=", "git+ssh://git.example/srv/infra"),
        ("git@[::1]:infra", "=", "git+ssh://git@[::1]/infra"),
        ("git+ssh://git@git.example:me/infra", "=", "git+ssh://git@git.example/me/infra"),
        ("git+ssh://git@git.example:infra", "=", "git+ssh://git@git.example/infra"),
        ("ssh://git@git.example:me/infra", "=", "git+ssh://git@git.example/me/infra"),
        ("ssh://git@git.example:22/infra", "=", "git+ssh://git@git.example:22/infra"),
        (
            "https://me:pw@git.example/infra.git?token=x",
            "https://git.example/infra.git",
            "git+https://git.example/infra.git",
        ),
        ("http://[::1]:3000/infra", "=", "git+http://[::1]:3000/infra"),
        ("file:///srv/infra", "=", "git+file:///srv/infra"),
        ("git+file:/srv/infra", "=", "git+file:///srv/infra"),
        ("./infra", "=", "the absolute path of its directory"),
        (".", "=", "the absolute path of its directory"),
        ("~/infra", "=", "the absolute path of its directory"),
        ("path:../infra", "=", "the absolute path of its directory"),
    ] {
        let shown = if shown == "=" { text } else { shown };
        let error = text.parse::<FlakeUrl>().unwrap_err().to_string();
        assert_eq!(error, format!("{shown:?} is not a flake URL that can be deployed: write {form}"));
        if form.starts_with("git+") {
            assert!(form.parse::<FlakeUrl>().is_ok(), "{form}");
        }
    }
}

#[test]
fn a_revision_in_the_url_is_refused() {
    for (text, shown, named) in [
        ("git+https://me:pw@g.example/i?dir=x&ref=main", "git+https://g.example/i", "ref=main"),
        ("git+ssh://git@g.example/i?rev=abc", "git+ssh://git@g.example/i", "rev=abc"),
        ("github:o/r/main", "github:o/r", "main"),
        ("github:o/r/feature/x", "github:o/r", "feature/x"),
        ("github:o/r?ref=main", "github:o/r", "ref=main"),
        ("path:/srv/flake?rev=abc", "path:/srv/flake", "rev=abc"),
    ] {
        let error = text.parse::<FlakeUrl>().unwrap_err().to_string();
        let expected = format!(
            "the flake URL {shown} names a revision ({named}): remove it, each request names its own"
        );
        assert_eq!(error, expected);
    }
}

#[test]
fn a_fragment_and_stray_characters_are_refused() {
    for (text, expected) in [
        (
            "git+https://me:pw@g.example/i#web",
            "the flake URL git+https://g.example/i must not have a `#` part: each host adds its own; remove it",
        ),
        (
            "git+https://g.example/a b",
            "the flake URL \"git+https://g.example/a b\" has the character ' ': write it percent-encoded",
        ),
        (
            "/srv/my flake",
            "the path \"/srv/my flake\" has the character ' ', which nix does not allow there: move the flake to a path without \
             it, or into a git repository",
        ),
        (
            "path:/srv/my%20flake",
            "the path \"/srv/my%20flake\" has the character '%', which nix does not allow there: move the flake to a path \
             without it, or into a git repository",
        ),
        (
            "git+https://g.example/100%/i",
            "the flake URL \"git+https://g.example/100%/i\" has a `%` without two hexadecimal digits after it: write %25 for \
             a `%`",
        ),
        (
            "github:o/r?dir=a\nb",
            "the flake URL \"github:o/r\" has the character '\\n': write it percent-encoded",
        ),
    ] {
        assert_eq!(text.parse::<FlakeUrl>().unwrap_err().to_string(), expected);
    }
}
