//! The form that is shown before anything is sent: the exact hosts, and the revision and action if they can be chosen.

use super::{App, BATCH_PRESETS, BatchPreset, FormKind, Screen, TableRow, form_notes};
use crate::client::{Batch, Intent, NamedFlake, Plan, RolloutStrategy, Selection, Target};
use crate::fleet::{natural_cmp, printable_flake};
use crate::ordered::CollectOrdered;
use crate::protocol::{Action, Name, Revision};
use crate::text::format;
use std::collections::BTreeSet;
use tui_input::Input;

/// Number of recent revisions that are offered.
const RECENT: usize = 8;
/// Added to every error of the form, because the operator must know it.
const NOT_SENT: &str = "nothing was sent";

/// The field or button that receives the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// The choice of hosts.
    Targets,
    /// The revision, as text.
    Revision,
    /// The choice of the action.
    Action,
    /// The batch options, as text.
    Batches,
    /// Whether a commit may be older than the one that a host runs.
    AllowOlder,
    /// The names of the tiers that must be confirmed, as text.
    Confirm,
    /// The button that closes the form.
    Cancel,
    /// The button that sends the plan.
    Send,
}

/// A choice of hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetChoice {
    /// Short description, such as `tier prod`.
    pub label: String,
    /// The hosts, in natural order.
    pub hosts: Vec<Name>,
    /// Whether the hosts are a group; a plan leaves out hosts of a group that have changed.
    pub is_group: bool,
}

/// A form for a deployment, a rollback, a reboot or a diff.
#[derive(Debug)]
pub struct Form {
    /// What the form sends.
    pub kind: FormKind,
    /// The choices of hosts; never empty.
    pub choices: Vec<TargetChoice>,
    /// Index of the selected choice.
    pub choice: usize,
    /// The revision as typed.
    pub revision: Input,
    /// Completions of the revision, the most likely first.
    pub recent: Vec<String>,
    /// Index into the actions of the kind.
    pub action: usize,
    /// The batch options as typed; empty to deploy to all hosts at once.
    pub batches: Input,
    /// Whether a commit may be older; `None` unless a host has refused one for that reason.
    pub allow_older: Option<bool>,
    /// The confirmation as typed.
    pub confirm: Input,
    /// The field that receives the keys.
    pub focus: Field,
    /// Index of the first visible host.
    pub top: usize,
    /// The plan to send, or why there is none.
    pub plan: Result<Plan, String>,
    /// The names that must be typed before the plan is sent; empty if no confirmation is needed.
    pub required_confirmation: String,
    /// The flakes of the hosts and the head of the branch in each; empty if the form has no revision.
    pub flakes: String,
    /// The commits that would be deployed, as far as they are known.
    pub commits: BTreeSet<String>,
    /// The number of hosts in each tier, and of hosts that need attention.
    pub summary: String,
    /// The revision that is looked up before the plan is sent.
    pub looked_up: Option<Revision>,
    /// Why the last attempt to send failed.
    pub error: Option<String>,
}

impl Form {
    /// Opens a form for the marked hosts, or else for the selected one; `None` without hosts.
    pub fn open(app: &App, kind: FormKind) -> Option<Self> {
        Self::with_choices(app, kind, choices(app))
    }

    /// Opens a form with the first of these choices selected; `None` without choices.
    pub(super) fn with_choices(app: &App, kind: FormKind, mut choices: Vec<TargetChoice>) -> Option<Self> {
        if choices.is_empty() {
            return None;
        }
        if kind.generation().is_some() {
            // A generation belongs to one host.
            choices.truncate(1);
        }
        let recent = recent(app, &choices[0].hosts);
        let revision = Input::new(recent.first().cloned().unwrap_or_default());
        let mut form = Self {
            kind,
            choices,
            choice: 0,
            revision,
            recent,
            action: 0,
            batches: Input::default(),
            allow_older: None,
            confirm: Input::default(),
            focus: match kind {
                FormKind::Deploy => Field::Targets,
                FormKind::Rollback(_) | FormKind::Reboot | FormKind::Resume => Field::Cancel,
                // These change nothing, so they need no second thought.
                FormKind::Diff | FormKind::Diagnose => Field::Send,
            },
            top: 0,
            plan: Err(String::new()),
            required_confirmation: String::new(),
            flakes: String::new(),
            commits: BTreeSet::new(),
            summary: String::new(),
            looked_up: None,
            error: None,
        };
        form.batches = Input::new(form.default_batches(app));
        form.update_plan(app);
        Some(form)
    }

    /// Opens a form for exactly these hosts, with an earlier revision and action; `None` without hosts.
    pub(super) fn for_hosts(
        app: &App,
        label: String,
        hosts: Vec<Name>,
        revision: Option<&str>,
        action: Option<&Action>,
    ) -> Option<Self> {
        let kind = FormKind::Deploy;
        let mut form = Self::with_choices(app, kind, vec![TargetChoice { label, hosts, is_group: false }])?;
        let revision = revision.filter(|revision| Revision::new(*revision).is_ok());
        form.set_revision(revision.map(str::to_owned));
        form.action = kind.actions().iter().position(|known| Some(known) == action).unwrap_or(0);
        form.update_plan(app);
        Some(form)
    }

    /// Replaces the revision, if one is given.
    pub(super) fn set_revision(&mut self, revision: Option<String>) {
        if let Some(revision) = revision {
            self.revision = Input::new(revision);
        }
    }

    /// Replaces the batch options, if some are given.
    pub(super) fn set_batches(&mut self, batches: Option<String>) {
        if let Some(batches) = batches {
            self.batches = Input::new(batches);
        }
    }

    /// The initial batch options for the selected hosts: those of the last deployment, unless many hosts need batches.
    fn default_batches(&self, app: &App) -> String {
        let options = match self.kind {
            FormKind::Deploy => {
                let default = BatchPreset::default_for(self.selected_choice().hosts.len());
                let last = app.last_batches.as_deref().unwrap_or_default();
                if last.is_empty() { default } else { last }
            }
            kind => kind.default_batches(),
        };
        options.to_owned()
    }

    /// Selects the next preset of batch options, whichever field has the focus. Other options are replaced.
    pub(super) fn next_batches(&mut self, app: &App) {
        if self.fields().contains(&Field::Batches) {
            let preset = BatchPreset::of(self.batches.value());
            let next = preset.map_or(BATCH_PRESETS[0], |preset| preset.turn(true));
            self.batches = Input::new(next.options.to_owned());
            self.update_plan(app);
        }
    }

    /// Selects the next or previous preset of batch options, unless other options were typed. Returns whether it did.
    pub(super) fn turn_batches(&mut self, forward: bool, app: &App) -> bool {
        let Some(preset) = BatchPreset::of(self.batches.value()).filter(|_| self.focus == Field::Batches)
        else {
            return false;
        };
        self.batches = Input::new(preset.turn(forward).options.to_owned());
        self.update_plan(app);
        true
    }

    /// The selected choice of hosts.
    pub fn selected_choice(&self) -> &TargetChoice {
        &self.choices[self.choice]
    }

    /// Computes the plan from the fields.
    pub fn update_plan(&mut self, app: &App) {
        let has_refused = |host: &Name| {
            let job = app.fleet.hosts.get(host).and_then(|host| host.job.as_ref());
            job.is_some_and(|job| job.names_allow_older())
        };
        let offers = self.kind == FormKind::Deploy && self.selected_choice().hosts.iter().any(has_refused);
        self.allow_older = offers.then(|| self.allow_older.unwrap_or(false));
        if self.focus == Field::AllowOlder && !offers {
            self.focus = Field::Cancel;
        }
        self.plan = self.plan_for(app);
        let touched = self.plan.as_ref().map(Plan::tiers).unwrap_or_default();
        let asks = self.kind.needs_confirmation();
        let matters = app.options.confirm_tiers.iter().filter(|tier| asks && touched.contains(*tier));
        self.required_confirmation = matters.map(Name::as_str).collect::<Vec<_>>().join(" ");
        if self.focus == Field::Confirm && self.required_confirmation.is_empty() {
            self.focus = Field::Cancel;
        }
        self.flakes = self.plan.as_ref().map(|plan| flakes(plan, app)).unwrap_or_default();
        self.commits = self.plan.as_ref().map(|plan| commits(plan, app)).unwrap_or_default();
        let summary = |plan: &Plan| form_notes::summary(plan, &app.fleet, &self.commits);
        self.summary = self.plan.as_ref().map(summary).unwrap_or_default();
        (self.error, self.looked_up) = (None, None);
    }

    fn plan_for(&self, app: &App) -> Result<Plan, String> {
        let revision = || Revision::new(self.revision.value().trim()).map_err(|error| error.to_string());
        let intent = Intent {
            revision: self.kind.needs_revision().then(revision).transpose()?,
            generation: self.kind.generation(),
            allow_older: self.allow_older == Some(true),
            ..Intent::new(self.kind.actions()[self.action].clone(), app.options.issuer.clone())
        };
        let selected_choice = self.selected_choice();
        let hosts = if selected_choice.is_group {
            Selection::Group(selected_choice.hosts.clone())
        } else {
            Selection::Targets(selected_choice.hosts.iter().cloned().map(Target::Host).collect())
        };
        let batches = self.batches.value().split_whitespace();
        // A single host needs no batches.
        let batches = (selected_choice.hosts.len() > 1 && batches.clone().next().is_some())
            .then(|| RolloutStrategy::parse(batches))
            .transpose();
        let batches = batches.map_err(|error| error.to_string())?;
        let plan = Plan::new(intent, &hosts, &app.fleet, app.now, false);
        let plan = plan.and_then(|plan| match batches {
            Some(batches) => plan.into_batches(&batches, &app.fleet, &app.options.nats_hosts),
            None => Ok(plan),
        });
        // A plan with batches is pinned, which needs the flake of every host.
        let plan = plan.and_then(|mut plan| match plan.rollout.batches().len() {
            0 | 1 => Ok(plan),
            _ => {
                plan.leave_out_refused_flakes(&app.fleet);
                plan.named_flakes(&app.fleet).map(drop).map(|()| plan)
            }
        });
        plan.map_err(|error| error.to_string())
    }

    /// The hosts in the order of deployment, each with the number of its batch if there are several.
    pub fn rows(&self) -> Vec<(Option<usize>, &Name)> {
        let Ok(plan) = self.plan.as_ref() else {
            return self.selected_choice().hosts.iter().map(|host| (None, host)).collect();
        };
        let batches = plan.rollout.batches();
        if batches.len() < 2 {
            return self.selected_choice().hosts.iter().map(|host| (None, host)).collect();
        }
        let of = |(at, batch): (usize, &Batch)| {
            let hosts = plan.requests[batch.requests.clone()].iter().flat_map(|request| request.hosts.keys());
            hosts.map(move |host| (Some(at + 1), host)).collect::<Vec<_>>()
        };
        let left_out = plan.left_out.keys().map(|host| (None, host));
        batches.iter().enumerate().flat_map(of).chain(left_out).collect()
    }

    /// The fields that are shown, in order.
    pub fn fields(&self) -> Vec<Field> {
        let mut fields = vec![
            Field::Targets,
            Field::Revision,
            Field::Action,
            Field::Batches,
            Field::AllowOlder,
            Field::Confirm,
            Field::Cancel,
            Field::Send,
        ];
        fields.retain(|field| match field {
            Field::Targets => self.kind.generation().is_none(),
            Field::Revision => self.kind.needs_revision(),
            Field::Action => self.kind.actions().len() > 1,
            Field::Batches => self.kind.can_batch() && self.selected_choice().hosts.len() > 1,
            Field::AllowOlder => self.allow_older.is_some(),
            Field::Confirm => !self.required_confirmation.is_empty(),
            Field::Cancel | Field::Send => true,
        });
        fields
    }

    /// Moves the focus to the next or previous field, and wraps around.
    pub fn move_focus(&mut self, forward: bool) {
        let fields = self.fields();
        let at = fields.iter().position(|field| *field == self.focus).unwrap_or(0);
        let step = if forward { 1 } else { fields.len() - 1 };
        self.focus = fields[(at + step) % fields.len()];
    }

    /// Selects the next or previous choice of the focused field.
    pub fn change(&mut self, forward: bool, app: &App) {
        let turn = |at: usize, count: usize| (at + if forward { 1 } else { count - 1 }) % count;
        match self.focus {
            Field::Targets => {
                let is_default = self.batches.value() == self.default_batches(app);
                (self.choice, self.top) = (turn(self.choice, self.choices.len()), 0);
                self.confirm.reset();
                if is_default {
                    self.batches = Input::new(self.default_batches(app));
                }
            }
            Field::Action => self.action = turn(self.action, self.kind.actions().len()),
            Field::AllowOlder => self.allow_older = self.allow_older.map(|allow_older| !allow_older),
            Field::Cancel => self.focus = Field::Send,
            Field::Send => self.focus = Field::Cancel,
            Field::Revision | Field::Batches | Field::Confirm => return,
        }
        self.update_plan(app);
    }

    /// Moves the focus to the confirmation if the field with the focus takes no text, so that it can be typed at once.
    pub(super) fn focus_confirmation(&mut self) {
        if self.input().is_none() && !self.required_confirmation.is_empty() {
            self.focus = Field::Confirm;
        }
    }

    /// The text field that has the focus.
    pub fn input(&mut self) -> Option<&mut Input> {
        match self.focus {
            Field::Revision => Some(&mut self.revision),
            Field::Batches => Some(&mut self.batches),
            Field::Confirm => Some(&mut self.confirm),
            _ => None,
        }
    }

    /// The recent revision that completes the typed one.
    pub fn completion(&self) -> Option<&str> {
        let typed = self.revision.value();
        let longer = |known: &&String| known.len() > typed.len() && known.starts_with(typed);
        self.recent.iter().find(longer).map(String::as_str)
    }

    /// Whether the tiers of the plan were confirmed.
    pub(super) fn is_confirmed(&self) -> bool {
        let typed: Vec<_> = self.confirm.value().split_whitespace().collect();
        typed.join(" ") == self.required_confirmation
    }

    /// Moves the focus to the revision.
    pub(super) fn focus_revision(&mut self) {
        self.focus = Field::Revision;
    }

    /// The plan, if everything is confirmed; otherwise sets the error that says what is missing.
    pub fn confirmed_plan(&mut self) -> Option<Plan> {
        self.error = match &self.plan {
            Err(reason) if reason.ends_with(NOT_SENT) => Some(reason.clone()),
            Err(reason) => Some(format!("{reason}; {NOT_SENT}")),
            Ok(_) if !self.is_confirmed() => {
                self.focus = Field::Confirm;
                let (tiers, verb) = (&self.required_confirmation, self.kind.verb());
                Some(format!("type {tiers} to {verb} there; {NOT_SENT}"))
            }
            Ok(plan) => return Some(plan.clone()),
        };
        None
    }
}

/// The flakes of the plan's hosts, with the head of the branch if it is known.
fn flakes(plan: &Plan, app: &App) -> String {
    let Some(revision) = &plan.intent.revision else { return String::new() };
    let named = match plan.named_flakes(&app.fleet) {
        Ok(named) => named,
        Err(error) => return error.to_string(),
    };
    let heads = app.heads.as_ref().filter(|heads| heads.branch == *revision);
    let of = |(flake, named): (&str, NamedFlake<'_>)| {
        let head = heads.and_then(|heads| heads.by_flake.get(flake)?.as_deref().ok());
        let describe = |head: &str| {
            let results = form_notes::results_of(head, &app.fleet);
            let results = if results.is_empty() { String::new() } else { format!(": {results}") };
            format!(", {revision} at {}{results}", format::short_commit(head))
        };
        let head = head.map(describe).unwrap_or_default();
        let is_new = if named.is_new { ", new here" } else { "" };
        format!("{}{head}{is_new}", printable_flake(flake))
    };
    named.into_iter().map(of).collect::<Vec<_>>().join("; ")
}

/// The commits that a plan would deploy, as far as they are known.
fn commits(plan: &Plan, app: &App) -> BTreeSet<String> {
    let Some(revision) = &plan.intent.revision else { return BTreeSet::new() };
    if revision.is_commit() {
        return [revision.to_string()].into();
    }
    let heads = app.heads.as_ref().filter(|heads| heads.branch == *revision);
    let flakes = plan.flakes();
    let heads = heads.iter().flat_map(|heads| &heads.by_flake);
    heads.filter(|(flake, _)| flakes.contains(*flake)).filter_map(|(_, head)| head.clone().ok()).collect_set()
}

fn choices(app: &App) -> Vec<TargetChoice> {
    let table = &app.table;
    let mut choices: Vec<TargetChoice> = Vec::new();
    let mut add = |is_group: bool, label: String, mut hosts: Vec<Name>| {
        hosts.sort_unstable_by(natural_cmp);
        if !hosts.is_empty() && choices.iter().all(|choice| choice.hosts != hosts) {
            choices.push(TargetChoice { label, hosts, is_group });
        }
    };
    let of = |tier: Option<&Name>, role: Option<&Name>| {
        let hosts = app.fleet.hosts.values();
        let hosts = hosts.filter(|host| tier.is_none() || host.tier.as_ref() == tier);
        let hosts = hosts.filter(|host| role.is_none() || host.role.as_ref() == role);
        hosts.map(|host| host.name.clone()).collect::<Vec<_>>()
    };
    // These screens show the listed hosts.
    let is_list = matches!(app.screens.last(), None | Some(Screen::HeatMap(_)));
    if is_list {
        add(false, format!("{} marked", table.marks.len()), table.marks.iter().cloned().collect());
    }
    if app.screens.is_empty()
        && let Some(TableRow::Group(group, _)) = table.selected()
    {
        add(true, group.to_string(), table.hosts().to_vec());
    }
    if let Some(host) = app.host() {
        add(false, host.name.to_string(), vec![host.name.clone()]);
        if let (Some(tier), Some(role)) = (&host.tier, &host.role) {
            add(true, format!("role {role} in tier {tier}"), of(Some(tier), Some(role)));
        }
        if let Some(tier) = &host.tier {
            add(true, format!("tier {tier}"), of(Some(tier), None));
        }
    }
    if is_list && table.is_filtered() {
        add(true, "every host shown".to_owned(), table.listed().to_vec());
    }
    add(true, "every host".to_owned(), of(None, None));
    choices
}

/// The revisions to offer: the configured branch, what was deployed last, and what the hosts run.
pub(super) fn recent(app: &App, hosts: &[Name]) -> Vec<String> {
    let mut deployments: Vec<_> = app.fleet.deployments.values().collect();
    deployments.sort_unstable_by_key(|deployment| std::cmp::Reverse(deployment.first_seen));
    let deployed = deployments.into_iter().filter_map(|deployment| deployment.revision.as_deref());
    let hosts = hosts.iter().filter_map(|host| app.fleet.hosts.get(host)?.answer.as_ref());
    let running = hosts.filter_map(|answer| answer.revision.as_deref());
    let mut recent = Vec::new();
    for revision in app.options.branch.as_deref().into_iter().chain(deployed).chain(running) {
        let known = recent.iter().any(|known| known == revision);
        if recent.len() < RECENT && !known && Revision::new(revision).is_ok() {
            recent.push(revision.to_owned());
        }
    }
    if recent.is_empty() {
        recent.push("master".to_owned());
    }
    recent
}
