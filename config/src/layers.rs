use std::collections::BTreeMap;

use thiserror::Error;
use toml::{Table, Value};

/// Something is wrong with a setting. The text says where it was given.
#[derive(Clone, Debug, Error, Eq, PartialEq)]
pub enum ConfigError {
    /// The file is not TOML.
    #[error("{origin}: {problem}")]
    Syntax {
        /// The file.
        origin: String,
        /// The parser's words, with line and column.
        problem: String,
    },
    /// No setting has this name.
    #[error("{origin}: there is no {what}{}", did_you_mean(suggestion.as_deref()))]
    Unknown {
        /// The file or variable.
        origin: String,
        /// What was given.
        what: String,
        /// The known name that is nearest to it.
        suggestion: Option<String>,
    },
    /// A value stands where a section belongs.
    #[error("{origin}: {key} is a section, not a setting")]
    Section {
        /// The file.
        origin: String,
        /// The section's name.
        key: String,
    },
    /// The value cannot be used.
    #[error("{origin}: {key} = {value}: {problem}")]
    Value {
        /// The file, variable or flag.
        origin: String,
        /// The setting.
        key: &'static str,
        /// What was given, as TOML.
        value: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The same of a setting that may hold secrets, and is not shown.
    #[error("{origin}: {key}: {problem}")]
    Hidden {
        /// The file, variable or flag.
        origin: String,
        /// The setting.
        key: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// Something is wrong with a job.
    #[error("{origin}: {job}: {problem}")]
    Job {
        /// The file.
        origin: String,
        /// The job, its setting, and what was given.
        job: String,
        /// What is wrong, and what to do.
        problem: String,
    },
}

fn did_you_mean(suggestion: Option<&str>) -> String {
    suggestion.map_or_else(String::new, |name| format!("; did you mean {name}?"))
}

/// What begins the name of every environment variable that is a setting.
const PREFIX: &str = "DAICHO_";

/// Variables that begin so and are no settings: where tests find their material, and a password,
/// which no message about a setting must show.
const NO_SETTINGS: [&str; 2] = ["DAICHO_CORPUS", "DAICHO_CERTIFICATES_PASSWORD"];

/// The settings given so far, each with the place where it was given last.
#[derive(Clone, Debug)]
pub struct Layers {
    values: BTreeMap<String, (String, Value)>,
}

impl Layers {
    /// The lowest layer: the defaults, which name every setting there is.
    #[must_use]
    pub fn defaults() -> Self {
        let table: Table = crate::DEFAULT_TOML.parse().unwrap_or_default();
        let mut values = BTreeMap::new();
        flatten("", table, &mut |key, value| {
            values.insert(key, ("default.toml".to_owned(), value));
        });
        Self { values }
    }

    /// Lays a configuration file on top. `origin` is its path, for messages.
    pub fn add_file(&mut self, origin: &str, text: &str) -> Result<(), ConfigError> {
        let table: Table = text.parse().map_err(|error: toml::de::Error| ConfigError::Syntax {
            origin: origin.to_owned(),
            problem: error.to_string().trim_end().to_owned(),
        })?;
        let mut given = Vec::new();
        flatten("", table, &mut |key, value| given.push((key, value)));
        for (key, value) in given {
            self.set(origin, &key, value)?;
        }
        Ok(())
    }

    /// Lays the environment on top: the variables that begin with `DAICHO_`.
    pub fn add_environment(
        &mut self,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<(), ConfigError> {
        let names: BTreeMap<String, String> =
            self.values.keys().map(|key| (variable(key), key.clone())).collect();
        let ours = variables
            .filter(|(name, _)| name.starts_with(PREFIX) && !NO_SETTINGS.contains(&name.as_str()));
        for (name, text) in ours {
            let Some(key) = names.get(&name) else {
                return Err(ConfigError::Unknown {
                    suggestion: nearest(&name, names.keys()),
                    what: "such setting".to_owned(),
                    origin: name,
                });
            };
            self.set_text(&name, key, &text);
        }
        Ok(())
    }

    /// Lays one command-line flag on top. `key` must be the name of a setting.
    pub fn add_flag(&mut self, flag: &str, key: &str, text: &str) -> Result<(), ConfigError> {
        self.known(flag, key)?;
        self.set_text(flag, key, text);
        Ok(())
    }

    /// Reads a setting. `parse` says what is wrong with the value, if something is.
    pub(crate) fn read<T>(
        &self,
        key: &'static str,
        parse: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Result<T, ConfigError> {
        let Some((origin, value)) = self.values.get(key) else {
            return Err(self.unknown("default.toml", key));
        };
        parse(value).map_err(|problem| ConfigError::Value {
            origin: origin.clone(),
            key,
            value: value.to_string(),
            problem,
        })
    }

    /// Reads a setting that may hold secrets: what is wrong is told without its value.
    pub(crate) fn read_hidden<T>(
        &self,
        key: &'static str,
        parse: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Result<T, ConfigError> {
        self.read(key, parse).map_err(|error| match error {
            ConfigError::Value { origin, key, problem, .. } => {
                ConfigError::Hidden { origin, key, problem }
            }
            other => other,
        })
    }

    /// An error about a setting whose value is fine by itself.
    pub(crate) fn refuse(&self, key: &'static str, problem: &str) -> ConfigError {
        let (origin, value) = self
            .values
            .get(key)
            .map_or(("default.toml", String::new()), |(o, v)| (o.as_str(), v.to_string()));
        ConfigError::Value { origin: origin.to_owned(), key, value, problem: problem.to_owned() }
    }

    /// Where a setting was given last, and its value.
    pub(crate) fn origin(&self, key: &str) -> (String, Value) {
        let nowhere = || ("default.toml".to_owned(), Value::Array(Vec::new()));
        self.values.get(key).cloned().unwrap_or_else(nowhere)
    }

    pub(crate) fn set(&mut self, origin: &str, key: &str, value: Value) -> Result<(), ConfigError> {
        self.known(origin, key)?;
        self.values.insert(key.to_owned(), (origin.to_owned(), value));
        Ok(())
    }

    /// Sets a value that was given as text: its type is that of the default.
    fn set_text(&mut self, origin: &str, key: &str, text: &str) {
        let default = self.values.get(key).map(|(_, value)| value.clone());
        let typed = match default {
            Some(Value::Boolean(_)) => text.parse().ok().map(Value::Boolean),
            Some(Value::Integer(_)) => text.parse().ok().map(Value::Integer),
            Some(Value::Array(_)) => Some(Value::Array(
                text.split(',')
                    .map(str::trim)
                    .filter(|part| !part.is_empty())
                    .map(Value::from)
                    .collect(),
            )),
            _ => None,
        };
        // A text that is not of the wanted type is kept as it is: reading it says what is wrong.
        let value = typed.unwrap_or_else(|| Value::from(text));
        self.values.insert(key.to_owned(), (origin.to_owned(), value));
    }

    fn known(&self, origin: &str, key: &str) -> Result<(), ConfigError> {
        match self.values.contains_key(key) {
            true => Ok(()),
            false => Err(self.unknown(origin, key)),
        }
    }

    /// Why there is no setting of that name.
    fn unknown(&self, origin: &str, key: &str) -> ConfigError {
        let section = format!("{key}.");
        if self.values.keys().any(|known| known.starts_with(&section)) {
            return ConfigError::Section { origin: origin.to_owned(), key: key.to_owned() };
        }
        // A secret that stands in the configuration itself is told where it belongs.
        let file = Some(format!("{key}_file")).filter(|file| self.values.contains_key(file));
        ConfigError::Unknown {
            origin: origin.to_owned(),
            what: format!("setting {key}"),
            suggestion: file.or_else(|| nearest(key, self.values.keys())),
        }
    }
}

/// The environment variable of a setting.
fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "_").to_uppercase())
}

/// The known name that a slip of the finger would have turned into `given`.
pub(crate) fn nearest<'a>(given: &str, known: impl Iterator<Item = &'a String>) -> Option<String> {
    // What differs more in length is not near, and comparing long texts takes long.
    let length = given.chars().count();
    known
        .filter(|name| name.len().abs_diff(length) <= 3)
        .map(|name| (strsim::damerau_levenshtein(given, name), name))
        .filter(|(distance, _)| *distance <= 3)
        .min()
        .map(|(_, name)| name.clone())
}

/// Calls `leaf` with the dotted name and value of each setting in the table.
fn flatten(prefix: &str, table: Table, leaf: &mut dyn FnMut(String, Value)) {
    for (name, value) in table {
        let key = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
        match value {
            Value::Table(inner) => flatten(&key, inner, leaf),
            value => leaf(key, value),
        }
    }
}
