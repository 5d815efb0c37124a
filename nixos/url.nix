# Types for URLs of flakes, repositories and NATS servers, and warnings about credentials in them, because everyone can read the store.
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

  # The servers of a comma-separated list.
  serversOf = urls: map (url: builtins.head (match "[ ]*([^ ]*)[ ]*" url)) (lib.splitString "," urls);
  isServer = url: match "(nats|tls)://[^, \n]+|[^:/, \n]+(:[0-9]+)?" url != null;
  isLocal = url: match "([a-z]+://)?([^@]*@)?(localhost|127[.][0-9.]+|\\[::1])(:[0-9]+)?/?" url != null;

  # Whether a URL contains credentials. The user name of an ssh URL is not secret, but a password in it is.
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
      "URL of a NATS server, nats://HOST[:PORT] or tls://HOST[:PORT], or a comma-separated list of them"
      (urls: match "([ ]*[^ ,]+[ ]*,)*[ ]*[^ ,]+[ ]*" urls != null && builtins.all isServer (serversOf urls));

  flakeUrl =
    named "flakeUrl"
      "flake URL without a branch, a commit or `#`, such as git+https://HOST/PATH, git+ssh://HOST/PATH, git+file:///PATH, github:OWNER/REPO or path:/PATH"
      (url: match "${ofGit}|(path:)?/.*" url != null && revisionless url);

  # The builder needs commits, so directories are not allowed.
  repoUrl =
    named "repoUrl"
      "flake URL of a git repository without a branch, a commit or `#`, such as git+https://HOST/PATH, git+ssh://HOST/PATH, git+file:///PATH or github:OWNER/REPO"
      (url: match ofGit url != null && revisionless url);

  # What `git clone` accepts, or a directory on the host. Branch and commit are not part of it.
  cloneUrl =
    named "cloneUrl" "URL that git can clone, without a branch, a commit or `#`, such as https://HOST/PATH.git or ssh://git@HOST/PATH.git"
      (url: match "[^-/: \n][^/: \n]*:[^ \n]+|/[^ \n]*" url != null && revisionless url);

  webUrl = named "webUrl" "URL such as https://HOST, without user and password" (
    url: match "https?://[^/@?# \n]+(/[^@?# \n]*)?" url != null
  );

  # Warnings about options with the URL of a repository.
  repoWarnings =
    option: file: url:
    lib.optional (
      url != null && hasCredentials url
    ) "${option} contains a user name or a password, which everyone can read in the nix store; write it into ${file} and remove it from the URL.";

  # Warnings about options with NATS servers.
  natsWarnings =
    option: urls:
    let
      servers = lib.optionals (urls != null) (serversOf urls);
      plain = lib.filter (url: !(lib.hasPrefix "tls://" url) && !(isLocal url)) servers;
      # The URL without credentials.
      shown = url: builtins.elemAt (match "([a-z]+://)?([^@]*@)?(.*)" url) 2;
    in
    lib.optional (builtins.any hasCredentials servers)
      "${option} contains a user name or a password, which everyone can read in the nix store; the nkey is sufficient, so remove it from the URL."
    ++ lib.optional (plain != [ ])
      "${option}: the connection to ${lib.concatMapStringsSep ", " shown plain} can be read and changed in transit, because nats:// uses TLS only if the server requires it; use tls:// and give the server a certificate.";

  inherit hasCredentials;
}
