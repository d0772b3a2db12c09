//! A message as it is written: its subject and text by a template, and its parts as JSON.
//!
//! Everything in it that the network said goes through [`text`] here, so no way
//! has to think of control characters; what it quotes beyond that is its own.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};
use config::route::RouteSetting;
use inventory::{
    alert::AlertKind,
    outbox::{Claimed, Message, MessageState},
    route::{Item, ItemKind},
};
use model::{Severity, Timestamp};
use serde::Serialize;

use super::{template::Template, text};
use crate::language::{Language, words};

/// Who writes.
#[derive(Clone, Debug)]
pub(crate) struct Sender {
    /// The vantage point.
    pub(crate) vantage: String,
    /// Where our web page is found.
    pub(crate) page: Option<String>,
}

/// What makes letters of a route's messages.
#[derive(Debug)]
pub(super) struct Press {
    template: Template,
    list: usize,
    language: Language,
    route: String,
    sender: Sender,
}

/// A message, ready to be sent.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    /// One line.
    pub(super) subject: String,
    /// Lines.
    pub(super) text: String,
    /// Everything, for programs.
    pub(super) parts: Parts,
}

/// A message in its parts. This is what templates are given and what `json` destinations get:
/// docs/json.md.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Parts {
    /// The version of this form.
    pub(super) format: u32,
    /// The key: the same at every attempt.
    pub(super) id: String,
    pub(super) route: String,
    pub(super) test: bool,
    pub(super) severity: &'static str,
    pub(super) created_at: String,
    pub(super) vantage: String,
    pub(super) version: &'static str,
    pub(super) page: Option<String>,
    /// How many pieces of news there were; `items` has no more than 500 of them.
    pub(super) total: u64,
    pub(super) items: Vec<ItemParts>,
}

/// A piece of news.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ItemParts {
    pub(super) kind: &'static str,
    pub(super) at: String,
    pub(super) rule: String,
    pub(super) severity: &'static str,
    pub(super) subject: String,
    pub(super) title: String,
    pub(super) detail: String,
    pub(super) site: Option<String>,
    pub(super) asset: Option<i64>,
    pub(super) finding: Option<i64>,
    pub(super) owners: Vec<String>,
    pub(super) link: Option<String>,
}

words! {
    /// What a test says.
    Texts {
        problem: "This is a test", "これはテストです";
        detail: "nothing is wrong; the route works if you can read this", "問題は発生していません。このメッセージを読めれば、通知先は正常です";
        over: "A test that is over", "解消のテスト";
        happened: "Something happened", "変化のテスト";
        only: "for the test only", "テスト専用の内容";
        nobody: "nobody", "なし";
        site: "test", "テスト";
    }
}

/// A subject and a text have at most so many bytes.
const SUBJECT: usize = 200;
const TEXT: usize = 64 << 10;

impl Press {
    /// Reads the route's template and tries it.
    ///
    /// # Errors
    ///
    /// Says what is wrong with it, and in which line.
    pub(super) fn load(setting: &RouteSetting, sender: &Sender) -> Result<Self> {
        let template = match &setting.template {
            Some(path) => own(path)?,
            None => Template::shipped(setting.language)?,
        };
        let press = Self {
            template,
            list: setting.list,
            language: Language::of_route(setting.language),
            route: setting.name.clone(),
            sender: sender.clone(),
        };
        press.test(Timestamp::from_seconds(0)).context("its template")?;
        Ok(press)
    }

    /// The letter of a message.
    pub(super) fn print(&self, claimed: &Claimed) -> Result<Letter> {
        self.write(&claimed.message, &claimed.items, false)
    }

    /// A letter that says that it is a test, with a made-up piece of news of each kind.
    pub(super) fn test(&self, now: Timestamp) -> Result<Letter> {
        let texts = Texts::of(self.language);
        let item = |kind, severity, title: &str, detail: &str| Item {
            kind,
            at: now,
            rule: "test.route".to_owned(),
            severity,
            subject: "asset:0".to_owned(),
            title: title.to_owned(),
            detail: detail.to_owned(),
            site: Some(texts.site.to_owned()),
            asset: None,
            finding: None,
            owners: vec![texts.nobody.to_owned()],
        };
        let items = [
            item(ItemKind::Problem(AlertKind::New), Severity::Warning, texts.problem, texts.detail),
            item(ItemKind::Problem(AlertKind::Over), Severity::Info, texts.over, ""),
            item(ItemKind::Happened, Severity::Info, texts.happened, texts.only),
        ];
        let message = Message {
            id: 0,
            key: format!("{:016x}{:016x}", super::chance(), super::chance()),
            route: self.route.clone(),
            state: MessageState::Sending,
            severity: Severity::Info,
            created_at: now,
            due_at: now,
            items: items.len() as u64,
            more: 0,
            attempts: 1,
            first_attempt_at: Some(now),
            outcome: None,
            ended_at: None,
        };
        self.write(&message, &items, true)
    }

    fn write(&self, message: &Message, items: &[Item], test: bool) -> Result<Letter> {
        let parts = Parts {
            format: 1,
            id: message.key.clone(),
            route: text::line(&self.route),
            test,
            severity: message.severity.as_str(),
            created_at: message.created_at.to_string(),
            vantage: text::line(&self.sender.vantage),
            version: env!("CARGO_PKG_VERSION"),
            page: self.sender.page.clone(),
            total: (items.len() as u64).saturating_add(message.more),
            items: items.iter().map(|item| self.part(item)).collect(),
        };
        let (subject, body) = self.template.render(&parts, self.list)?;
        Ok(Letter {
            subject: text::cut(text::line(&subject).trim(), SUBJECT),
            text: text::cut(text::lines(&body).trim(), TEXT),
            parts,
        })
    }

    fn part(&self, item: &Item) -> ItemParts {
        let page = self.sender.page.as_deref().map(|page| page.trim_end_matches('/'));
        let link = page.and_then(|page| match (item.finding, item.asset) {
            (Some(finding), _) => Some(format!("{page}/findings/{finding}")),
            (None, Some(asset)) => Some(format!("{page}/assets/{asset}")),
            (None, None) => None,
        });
        ItemParts {
            kind: item.kind.as_str(),
            at: item.at.to_string(),
            rule: text::line(&item.rule),
            severity: item.severity.as_str(),
            subject: text::line(&item.subject),
            title: text::line(&self.language.news(&item.rule, &item.title)),
            detail: text::line(&self.language.said(&item.detail)),
            site: item.site.as_deref().map(text::line),
            asset: item.asset,
            finding: item.finding,
            owners: item.owners.iter().map(|owner| text::line(owner)).collect(),
            link,
        }
    }
}

fn own(path: &PathBuf) -> Result<Template> {
    let reading = || format!("cannot read its template {}", path.display());
    let source = fs::read_to_string(path).with_context(reading)?;
    Template::read(&path.display().to_string(), source)
}

impl Letter {
    /// Everything, with subject and text, as JSON on one line.
    pub(super) fn json(&self) -> String {
        #[derive(Serialize)]
        struct Whole<'a> {
            #[serde(flatten)]
            parts: &'a Parts,
            subject: &'a str,
            text: &'a str,
        }
        let whole = Whole { parts: &self.parts, subject: &self.subject, text: &self.text };
        // Texts and numbers always have a JSON form.
        serde_json::to_string(&whole).unwrap_or_default()
    }
}
