# URLs of flakes, repositories and NATS servers: their types, and what of them should not be in a configuration that everybody can read.
{ lib }:

let
  inherit (builtins) match;
  inherit (lib) types;

  named =
    name: description: check:
    types.addCheck types.str check
    // {
      inherit name description;
      descriptionClass = "noun";
    };

  # The servers of a comma list.
  serversOf = urls: map (url: builtins.head (match "[ ]*([^ ]*)[ ]*" url)) (lib.splitString "," urls);
  isServer = url: match "(nats|tls)://[^, \n]+|[^:/, \n]+(:[0-9]+)?" url != null;
  isLocal = url: match "([a-z]+://)?([^@]*@)?(localhost|127[.][0-9.]+|\\[::1])(:[0-9]+)?/?" url != null;

  # A server of a URL with a user that is no mere name, as that of ssh is.
  hasCredentials =
    url:
    match "ssh://[^/@]*:.*@.*|git[+]ssh://[^/@]*:.*@.*" url != null
    || match "[a-z+]+://[^/@]*@.*" url != null && match "(git[+])?ssh://.*" url == null;

  revisionless = url: match ".*[?&](ref|rev)=.*" url == null && match ".*[# \n].*" url == null;
  ofGit = "git[+](https?|ssh)://[^/]+/.+|git[+]file:///.+|(github|gitlab|sourcehut):[^/?]+/[^/?]+([?].*)?";
in
{
  natsUrl =
    named "natsUrl"
      "URL of a NATS server, nats://HOST[:PORT] or tls://HOST[:PORT], or a comma list of them"
      (urls: match "([ ]*[^ ,]+[ ]*,)*[ ]*[^ ,]+[ ]*" urls != null && builtins.all isServer (serversOf urls));

  flakeUrl =
    named "flakeUrl"
      "flake URL without a branch, a commit or `#`, such as git+https://HOST/PATH, git+ssh://HOST/PATH, git+file:///PATH, github:OWNER/REPO or path:/PATH"
      (url: match "${ofGit}|(path:)?/.*" url != null && revisionless url);

  # What the builder builds has commits.
  repoUrl =
    named "repoUrl"
      "flake URL of a git repository without a branch, a commit or `#`, such as git+https://HOST/PATH, git+ssh://HOST/PATH, git+file:///PATH or github:OWNER/REPO"
      (url: match ofGit url != null && revisionless url);

  # Warnings about options with the URL of a repository.
  repoWarnings =
    option: file: url:
    lib.optional (
      url != null && hasCredentials url
    ) "${option} holds a user or a password, which everybody can read in the nix store; write it into ${file} and leave it out of the URL.";

  # Warnings about options with NATS servers.
  natsWarnings =
    option: urls:
    let
      servers = lib.optionals (urls != null) (serversOf urls);
      plain = lib.filter (url: !(lib.hasPrefix "tls://" url) && !(isLocal url)) servers;
      # Without what may be a password.
      shown = url: builtins.elemAt (match "([a-z]+://)?([^@]*@)?(.*)" url) 2;
    in
    lib.optional (builtins.any hasCredentials servers)
      "${option} holds a user or a password, which everybody can read in the nix store; the nkey is enough, so leave it out of the URL."
    ++ lib.optional (plain != [ ])
      "${option}: the connection to ${lib.concatMapStringsSep ", " shown plain} can be read and changed on the way, because nats:// does without TLS if the server does; write tls:// and let the server have a certificate.";

  inherit hasCredentials;
}
