//! Templates: the first line of what one writes is the subject, the rest the text.
//!
//! A template gets the parts of a message ([`Parts`]) and two more:
//! `listed`, the pieces of news that the route's `list` lets through, and `unlisted`, how many
//! are left. It reads no file and no other template. A name that it misspells is an error.

use anyhow::{Context as _, Result};
use config::route::Language;
use minijinja::{Environment, UndefinedBehavior, Value, value::Serde};
use serde::Serialize;

use super::letter::{ItemParts, Parts};

/// The templates that are shipped.
const ENGLISH: &str = include_str!("templates/en.txt");
const JAPANESE: &str = include_str!("templates/ja.txt");

/// What a template is given.
#[derive(Serialize)]
struct Given<'a> {
    #[serde(flatten)]
    parts: &'a Parts,
    listed: &'a [ItemParts],
    unlisted: u64,
}

/// A template, compiled.
#[derive(Debug)]
pub(super) struct Template {
    environment: Environment<'static>,
    name: String,
}

impl Template {
    /// The one for a language.
    pub(super) fn shipped(language: Language) -> Result<Self> {
        match language {
            Language::English => Self::read("en.txt", ENGLISH.to_owned()),
            Language::Japanese => Self::read("ja.txt", JAPANESE.to_owned()),
        }
    }

    /// Compiles one.
    ///
    /// # Errors
    ///
    /// Says what is wrong and in which line.
    pub(super) fn read(name: &str, source: String) -> Result<Self> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        let mut syntax = environment.syntax().to_builder();
        // Tags on lines of their own leave no empty lines.
        let syntax = syntax.trim_blocks(true).lstrip_blocks(true).build()?;
        environment.set_syntax(syntax);
        // Values are made harmless before they come here; what is written is plain text.
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment
            .add_template_owned(name.to_owned(), source)
            .with_context(|| format!("the template {name}"))?;
        Ok(Self { environment, name: name.to_owned() })
    }

    /// Subject and text.
    pub(super) fn render(&self, parts: &Parts, list: usize) -> Result<(String, String)> {
        let template = self.environment.get_template(&self.name)?;
        let listed = parts.items.get(..list).unwrap_or(&parts.items);
        let unlisted = parts.total.saturating_sub(listed.len() as u64);
        let written = template
            .render(Value::from(Serde(Given { parts, listed, unlisted })))
            .with_context(|| format!("the template {}", self.name))?;
        let written = written.trim_start();
        let (subject, text) = written.split_once('\n').unwrap_or((written, ""));
        Ok((subject.to_owned(), text.to_owned()))
    }
}
