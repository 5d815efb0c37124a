//! The forge: finds, opens and changes pull requests over its API. Gitea, which Forgejo speaks too, and GitHub.

mod http;

use super::error::UpdateError;
use super::news::PullRequest;
use super::order::ForgeOrder;
use super::place::{Place, Project};
use http::Client;
use serde_json::{Value, json};
use std::fmt::Write;

pub use http::ForgeError;

/// How many pages of lists are read, and how long each is.
const PAGES: usize = 20;
const PAGE: usize = 50;
/// The colour of a label that we make.
const COLOUR: &str = "d73a4a";

/// Which API a forge has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForgeKind {
    /// Gitea and Forgejo.
    Gitea,
    /// GitHub.
    GitHub,
}

/// What a pull request is to be.
pub(super) struct Wanted<'a> {
    pub(super) base: &'a str,
    pub(super) branch: &'a str,
    pub(super) title: String,
    pub(super) body: String,
    pub(super) label: &'a str,
}

/// A repository on a forge.
pub(super) struct Forge {
    kind: ForgeKind,
    client: Client,
    /// `OWNER/NAME`.
    project: String,
    owner: String,
    /// Where it is.
    pub(super) place: Place,
}

impl Forge {
    /// Finds out where the repository is on the forge.
    pub(super) fn find(order: &ForgeOrder, remote: &Place) -> Result<Self, UpdateError> {
        let refused = |why: String| UpdateError::ForgeUrl(why);
        let given = order.url.as_deref().map(checked).transpose()?;
        let hosted = if remote.is_local() { None } else { remote.project() };
        let (url, project) = match (&given, hosted) {
            (Some(given), Some(project)) => {
                (given.base(if given.ends_with(&project) { 2 } else { 0 }), project)
            }
            (Some(given), None) => {
                let Some(project) = given.project() else {
                    return Err(refused(
                        "the remote does not tell owner and name of the repository; give --forge-url its page, as in \
                         https://git.example.org/alice/fleet"
                            .to_owned(),
                    ));
                };
                (given.base(2), project)
            }
            (None, Some(project)) => (remote.forge(&project), project),
            (None, None) => {
                return Err(refused(
                    "the remote does not tell where the forge is; give --forge-url the page of the repository there, \
                     as in https://git.example.org/alice/fleet"
                        .to_owned(),
                ));
            }
        };
        let place = Place::parse(&url);
        if !place.is_private() {
            return Err(refused(format!(
                "the token is not sent to {url}, for others could read it on the way; give --forge-url an https:// URL"
            )));
        }
        let kind = order.kind.unwrap_or(match place.host() {
            "github.com" => ForgeKind::GitHub,
            _ => ForgeKind::Gitea,
        });
        let api = match (kind, place.host()) {
            (ForgeKind::Gitea, _) => format!("{url}/api/v1"),
            (ForgeKind::GitHub, "github.com") => "https://api.github.com".to_owned(),
            (ForgeKind::GitHub, _) => format!("{url}/api/v3"),
        };
        let Project { owner, name, .. } = project;
        let project = format!("{owner}/{name}");
        Ok(Self { kind, client: Client::new(api, kind, order), project, owner, place })
    }

    /// Opens the pull request, or brings the one that is open up to date. Gives it, and why it has no label where it has none.
    pub(super) async fn open(
        &self,
        wanted: &Wanted<'_>,
    ) -> Result<(PullRequest, Option<ForgeError>), ForgeError> {
        let request = match self.find_open(wanted).await? {
            Some(number) => self.change(number, wanted).await?,
            None => match self.create(wanted).await {
                // Somebody was faster.
                Err(error) if error.is_conflict() => match self.find_open(wanted).await? {
                    Some(number) => self.change(number, wanted).await?,
                    None => return Err(error),
                },
                created => created?,
            },
        };
        let unlabelled = self.label(request.number, wanted.label).await.err();
        Ok((request, unlabelled))
    }

    fn pulls(&self) -> String {
        format!("/repos/{}/pulls", self.project)
    }

    async fn create(&self, wanted: &Wanted<'_>) -> Result<PullRequest, ForgeError> {
        let body =
            json!({"title": wanted.title, "body": wanted.body, "head": wanted.branch, "base": wanted.base});
        read(&self.client.call("POST", &self.pulls(), Some(body)).await?, false)
    }

    async fn change(&self, number: u64, wanted: &Wanted<'_>) -> Result<PullRequest, ForgeError> {
        let body = json!({"title": wanted.title, "body": wanted.body});
        read(&self.client.call("PATCH", &format!("{}/{number}", self.pulls()), Some(body)).await?, true)
    }

    /// The number of the open pull request from this branch of ours into the base branch.
    async fn find_open(&self, wanted: &Wanted<'_>) -> Result<Option<u64>, ForgeError> {
        let (branch, base) = (encoded(wanted.branch), encoded(wanted.base));
        for page in 1..=PAGES {
            let query = match self.kind {
                ForgeKind::GitHub => {
                    format!("state=open&head={}:{branch}&base={base}&per_page={PAGE}&page={page}", self.owner)
                }
                // It may know nothing of `head` and list them all.
                ForgeKind::Gitea => format!("state=open&head={branch}&limit={PAGE}&page={page}"),
            };
            let list = self.client.call("GET", &format!("{}?{query}", self.pulls()), None).await?;
            let list = list.as_array().cloned().unwrap_or_default();
            let is_it = |pull: &&Value| {
                let of = pull["head"]["repo"]["full_name"].as_str().unwrap_or_default();
                pull["head"]["ref"] == wanted.branch
                    && pull["base"]["ref"] == wanted.base
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
        // GitHub takes names and makes what it does not know.
        let labels = match self.kind {
            ForgeKind::GitHub => json!([label]),
            ForgeKind::Gitea => json!([self.label_id(label).await?]),
        };
        let path = format!("/repos/{}/issues/{number}/labels", self.project);
        self.client.call("POST", &path, Some(json!({"labels": labels}))).await.map(drop)
    }

    /// The number of a label, which is made where there is none.
    async fn label_id(&self, label: &str) -> Result<u64, ForgeError> {
        let path = format!("/repos/{}/labels", self.project);
        for page in 1..=PAGES {
            let list = self.client.call("GET", &format!("{path}?limit={PAGE}&page={page}"), None).await?;
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
        let wanted = json!({
            "name": label,
            "color": format!("#{COLOUR}"),
            "description": "hosts do not build with updated inputs",
        });
        let made = self.client.call("POST", &path, Some(wanted)).await?;
        made["id"].as_u64().ok_or_else(|| self.client.odd("POST", &path, "its answer names no label"))
    }
}

/// The URL of a forge, as it was given.
fn checked(url: &str) -> Result<Place, UpdateError> {
    let place = Place::parse(url);
    let authority = url.split_once("://").map_or("", |(_, rest)| rest.split('/').next().unwrap_or_default());
    if !place.is_web() || authority.contains('@') || place.host().is_empty() || url.contains(['?', '#', ' '])
    {
        return Err(UpdateError::ForgeUrl(
            "--forge-url is no URL of a forge: write it as in https://git.example.org, without user and password"
                .to_owned(),
        ));
    }
    Ok(place)
}

fn read(pull: &Value, existed: bool) -> Result<PullRequest, ForgeError> {
    let (number, url) = (pull["number"].as_u64(), pull["html_url"].as_str());
    let (Some(number), Some(url)) = (number, url) else {
        return Err(ForgeError::Odd("the forge's answer names no pull request; look there".to_owned()));
    };
    Ok(PullRequest { number, url: crate::protocol::printable(url), existed })
}

/// As it stands in a query.
fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
