//! Opens and updates pull requests over the API of a forge: Gitea (also Forgejo) or GitHub.

pub use super::forge_http::ForgeError;

use super::error::FlakeUpdateError;
use super::event::PullRequest;
use super::forge_http::ForgeClient;
use super::options::ForgeOptions;
use super::remote_url::{ForgeProject, RemoteUrl};
use crate::git::{Forge, PullRequestApi, UrlParts, ref_encoded};
use crate::text::printable;
use serde_json::{Value, json};

/// Maximum number of pages that are read of a list.
const MAX_PAGES: usize = 20;
/// Number of entries per page of a list.
const PAGE_SIZE: usize = 50;
/// The color of a newly created label.
const LABEL_COLOR: &str = "d73a4a";

/// The contents of a pull request.
pub(super) struct PullRequestSpec<'a> {
    pub(super) base: &'a str,
    pub(super) branch: &'a str,
    pub(super) title: String,
    pub(super) body: String,
    pub(super) label: &'a str,
}

/// A repository on a forge.
pub(super) struct ForgeRepository {
    api: PullRequestApi,
    client: ForgeClient,
    /// `OWNER/NAME`.
    project: String,
    owner: String,
    /// The base URL of the forge.
    pub(super) web_url: RemoteUrl,
}

impl ForgeRepository {
    /// Derives the repository and the API of the forge from the options and the remote's URL.
    pub(super) fn find(options: &ForgeOptions, remote_url: &RemoteUrl) -> Result<Self, FlakeUpdateError> {
        let refused = |reason: String| FlakeUpdateError::ForgeUrl(reason);
        let given = options.url.as_deref().map(parse_forge_url).transpose()?;
        let hosted = if remote_url.is_local() { None } else { remote_url.project() };
        let (url, project) = match (&given, hosted) {
            (Some(given), Some(project)) => {
                (given.base_url(if given.ends_with(&project) { 2 } else { 0 }), project)
            }
            (Some(given), None) => {
                let Some(project) = given.project() else {
                    return Err(refused(
                        "the remote's URL does not contain owner and name of the repository; set --forge-url to its page, as in \
                         https://git.example.org/alice/fleet"
                            .to_owned(),
                    ));
                };
                (given.base_url(2), project)
            }
            (None, Some(project)) => (remote_url.forge_url(&project), project),
            (None, None) => {
                return Err(refused(
                    "the remote's URL does not show where the forge is; set --forge-url to the page of the repository there, \
                     as in https://git.example.org/alice/fleet"
                        .to_owned(),
                ));
            }
        };
        let web_url = RemoteUrl::parse(&url);
        if !web_url.is_private() {
            return Err(refused(format!(
                "the token is not sent to {url} because the connection is not encrypted; set --forge-url to an https:// URL"
            )));
        }
        let forge = options.kind.unwrap_or_else(|| Forge::of_host(web_url.host()));
        let Some(api) = forge.pull_requests() else {
            return Err(refused(format!("pull requests cannot be opened on {}", forge.name())));
        };
        let ForgeProject { owner, name, .. } = project;
        let project = format!("{owner}/{name}");
        Ok(Self { api, client: ForgeClient::new(api.url(&url), api, options), project, owner, web_url })
    }

    /// Opens a pull request, or updates the open one. The second value is the error if it could not be labelled.
    pub(super) async fn open(
        &self,
        spec: &PullRequestSpec<'_>,
    ) -> Result<(PullRequest, Option<ForgeError>), ForgeError> {
        let request = match self.find_open(spec).await? {
            Some(number) => self.change(number, spec).await?,
            None => match self.create(spec).await {
                // Another run opened it in the meantime.
                Err(error) if error.is_conflict() => match self.find_open(spec).await? {
                    Some(number) => self.change(number, spec).await?,
                    None => return Err(error),
                },
                created => created?,
            },
        };
        let unlabelled = self.label(request.number, spec.label).await.err();
        Ok((request, unlabelled))
    }

    fn pulls(&self) -> String {
        format!("/repos/{}/pulls", self.project)
    }

    async fn create(&self, spec: &PullRequestSpec<'_>) -> Result<PullRequest, ForgeError> {
        let body = json!({"title": spec.title, "body": spec.body, "head": spec.branch, "base": spec.base});
        parse_pull_request(&self.client.call("POST", &self.pulls(), Some(body)).await?, false)
    }

    async fn change(&self, number: u64, spec: &PullRequestSpec<'_>) -> Result<PullRequest, ForgeError> {
        let body = json!({"title": spec.title, "body": spec.body});
        parse_pull_request(
            &self.client.call("PATCH", &format!("{}/{number}", self.pulls()), Some(body)).await?,
            true,
        )
    }

    /// The number of the open pull request from the update branch into the base branch.
    async fn find_open(&self, spec: &PullRequestSpec<'_>) -> Result<Option<u64>, ForgeError> {
        let (branch, base) = (ref_encoded(spec.branch), ref_encoded(spec.base));
        for page in 1..=MAX_PAGES {
            let head = if self.api.is_filtered {
                format!("{}:{branch}&base={base}", self.owner)
            } else {
                branch.clone()
            };
            let query = format!("state=open&head={head}&{}={PAGE_SIZE}&page={page}", self.api.page_size);
            let list = self.client.call("GET", &format!("{}?{query}", self.pulls()), None).await?;
            let list = list.as_array().cloned().unwrap_or_default();
            let is_it = |pull: &&Value| {
                let of = pull["head"]["repo"]["full_name"].as_str().unwrap_or_default();
                pull["head"]["ref"] == spec.branch
                    && pull["base"]["ref"] == spec.base
                    && of.eq_ignore_ascii_case(&self.project)
            };
            if let Some(pull) = list.iter().find(is_it) {
                return Ok(pull["number"].as_u64());
            }
            if list.is_empty() {
                break;
            }
        }
        Ok(None)
    }

    async fn label(&self, number: u64, label: &str) -> Result<(), ForgeError> {
        let labels =
            if self.api.has_label_names { json!([label]) } else { json!([self.label_id(label).await?]) };
        let path = format!("/repos/{}/issues/{number}/labels", self.project);
        self.client.call("POST", &path, Some(json!({"labels": labels}))).await.map(drop)
    }

    /// The id of a label, which is created if it does not exist.
    async fn label_id(&self, label: &str) -> Result<u64, ForgeError> {
        let path = format!("/repos/{}/labels", self.project);
        for page in 1..=MAX_PAGES {
            let list =
                self.client.call("GET", &format!("{path}?limit={PAGE_SIZE}&page={page}"), None).await?;
            let list = list.as_array().cloned().unwrap_or_default();
            if let Some(id) =
                list.iter().find(|known| known["name"] == label).and_then(|known| known["id"].as_u64())
            {
                return Ok(id);
            }
            if list.is_empty() {
                break;
            }
        }
        let spec = json!({
            "name": label,
            "color": format!("#{LABEL_COLOR}"),
            "description": "hosts do not build with updated inputs",
        });
        let made = self.client.call("POST", &path, Some(spec)).await?;
        made["id"]
            .as_u64()
            .ok_or_else(|| self.client.unexpected_response("POST", &path, "the response has no label id"))
    }
}

/// Validates the value of `--forge-url`.
fn parse_forge_url(url: &str) -> Result<RemoteUrl, FlakeUpdateError> {
    let web_url = RemoteUrl::parse(url);
    let userinfo = UrlParts::of(url).and_then(|parts| parts.userinfo);
    if !web_url.is_web() || userinfo.is_some() || web_url.host().is_empty() || url.contains(['?', '#', ' ']) {
        return Err(FlakeUpdateError::ForgeUrl(
            "invalid --forge-url: expected a URL such as https://git.example.org, without user and password"
                .to_owned(),
        ));
    }
    Ok(web_url)
}

fn parse_pull_request(pull: &Value, updated_existing: bool) -> Result<PullRequest, ForgeError> {
    let (number, url) = (pull["number"].as_u64(), pull["html_url"].as_str());
    let (Some(number), Some(url)) = (number, url) else {
        return Err(ForgeError::UnexpectedResponse(
            "the forge's response has no pull request; check its pull requests there".to_owned(),
        ));
    };
    Ok(PullRequest { number, url: printable(url), updated_existing })
}
