//! The form before anything is sent: which hosts exactly, and, where that is asked, which revision and what to do.

use super::{App, Purpose, Row};
use crate::deployer::{Intent, NamedFlake, Plan, Selection, Target, Wave, Waves};
use crate::fleet::{natural, shown_flake, words};
use crate::protocol::{Action, Name, Revision};
use tui_input::Input;

/// How many recent revisions are offered.
const RECENT: usize = 8;
/// What an operator must know of a refusal.
const NOT_SENT: &str = "nothing was sent";

/// Where keys go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// Which hosts.
    Targets,
    /// The revision.
    Revision,
    /// What to do.
    Action,
    /// Which hosts wait for which.
    Waves,
    /// Whether a commit may be older than the last one.
    Older,
    /// The names of the tiers that must be confirmed.
    Confirm,
    /// The button that sends nothing.
    Cancel,
    /// The button that sends.
    Send,
}

/// A choice of hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// What it is called.
    pub label: String,
    /// Exactly which hosts.
    pub hosts: Vec<Name>,
    /// Whether they are a group, of which hosts that are not what is known of them are left out.
    pub is_group: bool,
}

/// The form.
#[derive(Debug)]
pub struct Form {
    /// What it is for.
    pub purpose: Purpose,
    /// The choices of hosts; at least one.
    pub choices: Vec<Choice>,
    /// The one that is taken.
    pub choice: usize,
    /// The revision as typed.
    pub revision: Input,
    /// Revisions that were deployed or run, the likeliest first.
    pub recent: Vec<String>,
    /// What to do, as an index of the actions of the purpose.
    pub action: usize,
    /// The waves as typed; nothing for all at once.
    pub waves: Input,
    /// Whether a commit may be older than the last one; `None` where no host has refused one for that.
    pub older: Option<bool>,
    /// What was typed to confirm.
    pub confirm: Input,
    /// Where keys go.
    pub field: Field,
    /// The first host in view.
    pub top: usize,
    /// What would be sent, or why nothing can be.
    pub plan: Result<Plan, String>,
    /// The names to be typed before this is sent; empty where nothing must be confirmed.
    pub must_type: String,
    /// Which flakes the hosts name, and where the branch is there; nothing where that is not asked.
    pub flakes: String,
    /// Why it was not sent when that was asked for.
    pub refused: Option<String>,
}

impl Form {
    /// A form for what is marked, else for the selected host; `None` where there is no host.
    pub fn open(app: &App, purpose: Purpose) -> Option<Self> {
        Self::of(app, purpose, choices(app))
    }

    /// A form for the first of these choices; `None` where there is none.
    pub(super) fn of(app: &App, purpose: Purpose, mut choices: Vec<Choice>) -> Option<Self> {
        if choices.is_empty() {
            return None;
        }
        if purpose.generation().is_some() {
            // It is one of that host's own.
            choices.truncate(1);
        }
        let recent = recent(app, &choices[0].hosts);
        let revision = Input::new(recent.first().cloned().unwrap_or_default());
        let mut form = Self {
            purpose,
            choices,
            choice: 0,
            revision,
            recent,
            action: 0,
            waves: Input::new(purpose.waves().to_owned()),
            older: None,
            confirm: Input::default(),
            field: match purpose {
                Purpose::Deploy => Field::Targets,
                Purpose::Rollback(_) | Purpose::Reboot => Field::Cancel,
                // Nothing is changed.
                Purpose::Diff => Field::Send,
            },
            top: 0,
            plan: Err(String::new()),
            must_type: String::new(),
            flakes: String::new(),
            refused: None,
        };
        form.work_out(app);
        Some(form)
    }

    /// A form for exactly these hosts, with what was deployed to them before; `None` where there is no host.
    pub(super) fn again(
        app: &App,
        label: String,
        hosts: Vec<Name>,
        revision: Option<&str>,
        action: Option<&Action>,
    ) -> Option<Self> {
        let purpose = Purpose::Deploy;
        let mut form = Self::of(app, purpose, vec![Choice { label, hosts, is_group: false }])?;
        let revision = revision.filter(|revision| Revision::new(*revision).is_ok());
        form.revise(revision.map(str::to_owned));
        form.action = purpose.actions().iter().position(|known| Some(known) == action).unwrap_or(0);
        form.work_out(app);
        Some(form)
    }

    /// Takes another revision than the likeliest.
    pub(super) fn revise(&mut self, revision: Option<String>) {
        if let Some(revision) = revision {
            self.revision = Input::new(revision);
        }
    }

    /// Takes other waves than those that are offered.
    pub(super) fn divide(&mut self, waves: Option<String>) {
        if let Some(waves) = waves {
            self.waves = Input::new(waves);
        }
    }

    /// The choice of hosts that is taken.
    pub fn chosen(&self) -> &Choice {
        &self.choices[self.choice]
    }

    /// Works out anew what would be sent.
    pub fn work_out(&mut self, app: &App) {
        let has_refused = |host: &Name| {
            let job = app.fleet.hosts.get(host).and_then(|host| host.job.as_ref());
            job.is_some_and(|job| job.names_allow_older())
        };
        let offers = self.purpose == Purpose::Deploy && self.chosen().hosts.iter().any(has_refused);
        self.older = offers.then(|| self.older.unwrap_or(false));
        if self.field == Field::Older && !offers {
            self.field = Field::Cancel;
        }
        self.plan = self.plan_for(app);
        let touched = self.plan.as_ref().map(Plan::tiers).unwrap_or_default();
        let asks = self.purpose.confirms();
        let matters = app.options.confirm_tiers.iter().filter(|tier| asks && touched.contains(*tier));
        self.must_type = matters.map(Name::as_str).collect::<Vec<_>>().join(" ");
        if self.field == Field::Confirm && self.must_type.is_empty() {
            self.field = Field::Cancel;
        }
        self.flakes = self.plan.as_ref().map(|plan| flakes(plan, app)).unwrap_or_default();
        self.refused = None;
    }

    fn plan_for(&self, app: &App) -> Result<Plan, String> {
        let revision = || Revision::new(self.revision.value().trim()).map_err(|error| error.to_string());
        let intent = Intent {
            revision: self.purpose.asks_revision().then(revision).transpose()?,
            generation: self.purpose.generation(),
            allow_older: self.older == Some(true),
            ..Intent::new(self.purpose.actions()[self.action].clone(), app.options.issuer.clone())
        };
        let chosen = self.chosen();
        let hosts = if chosen.is_group {
            Selection::Group(chosen.hosts.clone())
        } else {
            Selection::Targets(chosen.hosts.iter().cloned().map(Target::Host).collect())
        };
        let waves = self.waves.value().split_whitespace();
        // One host is a wave by itself.
        let waves = (chosen.hosts.len() > 1 && waves.clone().next().is_some())
            .then(|| Waves::parse(waves))
            .transpose();
        let waves = waves.map_err(|error| error.to_string())?;
        let plan = Plan::new(intent, &hosts, &app.fleet, app.now, false);
        let plan = plan.and_then(|plan| match waves {
            Some(waves) => plan.in_waves(&waves, &app.fleet, &app.options.brokers),
            None => Ok(plan),
        });
        // In waves the branch is looked up here, in what the hosts name.
        let plan = plan.and_then(|plan| match plan.rollout.waves().len() {
            0 | 1 => Ok(plan),
            _ => plan.named_flakes(&app.fleet).map(drop).map(|()| plan),
        });
        plan.map_err(|error| error.to_string())
    }

    /// The hosts in the order in which they are sent to, each with its wave where there are several.
    pub fn rows(&self) -> Vec<(Option<usize>, &Name)> {
        let Ok(plan) = self.plan.as_ref() else {
            return self.chosen().hosts.iter().map(|host| (None, host)).collect();
        };
        let waves = plan.rollout.waves();
        if waves.len() < 2 {
            return self.chosen().hosts.iter().map(|host| (None, host)).collect();
        }
        let of = |(at, wave): (usize, &Wave)| {
            let hosts = plan.parcels[wave.parcels.clone()].iter().flat_map(|parcel| parcel.hosts.keys());
            hosts.map(move |host| (Some(at + 1), host)).collect::<Vec<_>>()
        };
        let left_out = plan.left_out.keys().map(|host| (None, host));
        waves.iter().enumerate().flat_map(of).chain(left_out).collect()
    }

    /// The fields that there are now, in order.
    pub fn fields(&self) -> Vec<Field> {
        let mut fields = vec![
            Field::Targets,
            Field::Revision,
            Field::Action,
            Field::Waves,
            Field::Older,
            Field::Confirm,
            Field::Cancel,
            Field::Send,
        ];
        fields.retain(|field| match field {
            Field::Targets => self.purpose.generation().is_none(),
            Field::Revision => self.purpose.asks_revision(),
            Field::Action => self.purpose.actions().len() > 1,
            Field::Waves => self.purpose.goes_in_waves() && self.chosen().hosts.len() > 1,
            Field::Older => self.older.is_some(),
            Field::Confirm => !self.must_type.is_empty(),
            Field::Cancel | Field::Send => true,
        });
        fields
    }

    /// Goes to another field, around at the ends.
    pub fn go(&mut self, forward: bool) {
        let fields = self.fields();
        let at = fields.iter().position(|field| *field == self.field).unwrap_or(0);
        let step = if forward { 1 } else { fields.len() - 1 };
        self.field = fields[(at + step) % fields.len()];
    }

    /// Takes the choice beside the present one.
    pub fn change(&mut self, forward: bool, app: &App) {
        let turn = |at: usize, count: usize| (at + if forward { 1 } else { count - 1 }) % count;
        match self.field {
            Field::Targets => {
                (self.choice, self.top) = (turn(self.choice, self.choices.len()), 0);
                self.confirm.reset();
            }
            Field::Action => self.action = turn(self.action, self.purpose.actions().len()),
            Field::Older => self.older = self.older.map(|older| !older),
            Field::Cancel => self.field = Field::Send,
            Field::Send => self.field = Field::Cancel,
            Field::Revision | Field::Waves | Field::Confirm => return,
        }
        self.work_out(app);
    }

    /// The text field that is being typed into.
    pub fn input(&mut self) -> Option<&mut Input> {
        match self.field {
            Field::Revision => Some(&mut self.revision),
            Field::Waves => Some(&mut self.waves),
            Field::Confirm => Some(&mut self.confirm),
            _ => None,
        }
    }

    /// The recent revision that completes what was typed.
    pub fn completion(&self) -> Option<&str> {
        let typed = self.revision.value();
        let longer = |known: &&String| known.len() > typed.len() && known.starts_with(typed);
        self.recent.iter().find(longer).map(String::as_str)
    }

    /// The plan, once everything that must be confirmed was typed; otherwise says what is missing.
    pub fn confirmed(&mut self) -> Option<Plan> {
        let typed: Vec<_> = self.confirm.value().split_whitespace().collect();
        self.refused = match &self.plan {
            Err(reason) if reason.ends_with(NOT_SENT) => Some(reason.clone()),
            Err(reason) => Some(format!("{reason}; {NOT_SENT}")),
            Ok(_) if typed.join(" ") != self.must_type => {
                self.field = Field::Confirm;
                let (tiers, verb) = (&self.must_type, self.purpose.verb());
                Some(format!("type {tiers} to {verb} there; {NOT_SENT}"))
            }
            Ok(plan) => return Some(plan.clone()),
        };
        None
    }
}

/// The flakes that the hosts of a plan name, with the head of the branch where it is known.
fn flakes(plan: &Plan, app: &App) -> String {
    let Some(revision) = &plan.intent.revision else { return String::new() };
    let named = match plan.named_flakes(&app.fleet) {
        Ok(named) => named,
        Err(error) => return error.to_string(),
    };
    let heads = app.heads.as_ref().filter(|heads| heads.branch == *revision);
    let of = |(flake, named): (&str, NamedFlake<'_>)| {
        let head = heads.and_then(|heads| heads.of.get(flake)?.as_deref().ok());
        let head = head.map(|head| format!(", {revision} at {}", words::short(head))).unwrap_or_default();
        let is_new = if named.is_new { ", new here" } else { "" };
        format!("{}{head}{is_new}", shown_flake(flake))
    };
    named.into_iter().map(of).collect::<Vec<_>>().join("; ")
}

fn choices(app: &App) -> Vec<Choice> {
    let table = &app.table;
    let mut choices: Vec<Choice> = Vec::new();
    let mut add = |is_group: bool, label: String, mut hosts: Vec<Name>| {
        hosts.sort_unstable_by(natural);
        if !hosts.is_empty() && choices.iter().all(|choice| choice.hosts != hosts) {
            choices.push(Choice { label, hosts, is_group });
        }
    };
    let of = |tier: Option<&Name>, role: Option<&Name>| {
        let hosts = app.fleet.hosts.values();
        let hosts = hosts.filter(|host| tier.is_none() || host.tier.as_ref() == tier);
        let hosts = hosts.filter(|host| role.is_none() || host.role.as_ref() == role);
        hosts.map(|host| host.name.clone()).collect::<Vec<_>>()
    };
    if app.screens.is_empty() {
        add(false, format!("{} marked", table.marks.len()), table.marks.iter().cloned().collect());
    }
    if app.screens.is_empty()
        && let Some(Row::Group(group, _)) = table.selected()
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
    if app.screens.is_empty() && table.is_filtered() {
        add(true, "every host shown".to_owned(), table.listed().to_vec());
    }
    add(true, "every host".to_owned(), of(None, None));
    choices
}

/// The revisions to offer: what was deployed last, what the chosen hosts run, and the branch that is set.
pub(super) fn recent(app: &App, hosts: &[Name]) -> Vec<String> {
    let mut deployments: Vec<_> = app.fleet.deployments.values().collect();
    deployments.sort_unstable_by_key(|deployment| std::cmp::Reverse(deployment.since));
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
