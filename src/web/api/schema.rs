//! How shapes of JSON are written here, and what they are as JSON Schema.
//!
//! ```text
//! text int number bool moment day any   one of these; a moment is RFC 3339 in UTC
//! "a"|"b"                               one of these texts
//! Name                                  the shape of that name (`shapes`)
//! [shape]  <shape>                      a list of these; an object with these under any names
//! {name: shape, other?: shape}          an object with these and no others; `?` may be absent
//! shape?                                or null
//! ```

use serde_json::{Map, Value, json};

use crate::web::language::Language;

/// Where a shape cannot be read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a shape cannot be read at {rest:?}")]
pub(super) struct ShapeError {
    rest: String,
}

/// A shape as JSON Schema 2020-12.
///
/// # Errors
///
/// Where it is written wrong.
pub(super) fn schema(shape: &str) -> Result<Value, ShapeError> {
    let mut reader = Reader { rest: shape.trim_start() };
    let schema = reader.shape()?;
    match reader.rest {
        "" => Ok(schema),
        _ => Err(reader.wrong()),
    }
}

/// Reads a shape from its beginning.
struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn wrong(&self) -> ShapeError {
        ShapeError { rest: self.rest.chars().take(40).collect() }
    }

    /// Whether this comes next; then it is behind us.
    fn takes(&mut self, mark: &str) -> bool {
        match self.rest.strip_prefix(mark) {
            Some(rest) => {
                self.rest = rest.trim_start();
                true
            }
            None => false,
        }
    }

    fn needs(&mut self, mark: &str) -> Result<(), ShapeError> {
        if self.takes(mark) { Ok(()) } else { Err(self.wrong()) }
    }

    fn word(&mut self) -> Result<&'a str, ShapeError> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        if word.is_empty() {
            return Err(self.wrong());
        }
        self.rest = rest.trim_start();
        Ok(word)
    }

    fn shape(&mut self) -> Result<Value, ShapeError> {
        let schema = if self.takes("[") {
            let items = self.shape()?;
            self.needs("]")?;
            json!({"type": "array", "items": items})
        } else if self.takes("<") {
            let values = self.shape()?;
            self.needs(">")?;
            json!({"type": "object", "additionalProperties": values})
        } else if self.takes("{") {
            self.object()?
        } else if self.rest.starts_with('"') {
            self.choice()?
        } else {
            match self.word()? {
                "text" => json!({"type": "string"}),
                "int" => json!({"type": "integer"}),
                "number" => json!({"type": "number"}),
                "bool" => json!({"type": "boolean"}),
                "moment" => json!({"type": "string", "format": "date-time"}),
                "day" => json!({"type": "string", "format": "date"}),
                "any" => json!({}),
                name => json!({"$ref": format!("#/components/schemas/{name}")}),
            }
        };
        Ok(match self.takes("?") {
            true => json!({"anyOf": [schema, {"type": "null"}]}),
            false => schema,
        })
    }

    fn choice(&mut self) -> Result<Value, ShapeError> {
        let mut texts = Vec::new();
        loop {
            self.needs("\"")?;
            let (text, rest) = self.rest.split_once('"').ok_or_else(|| self.wrong())?;
            texts.push(text);
            self.rest = rest.trim_start();
            if !self.takes("|") {
                return Ok(json!({"type": "string", "enum": texts}));
            }
        }
    }

    fn object(&mut self) -> Result<Value, ShapeError> {
        let (mut properties, mut required) = (Map::new(), Vec::new());
        while !self.takes("}") {
            let name = self.word()?;
            let may_lack = self.takes("?");
            self.needs(":")?;
            properties.insert(name.to_owned(), self.shape()?);
            if !may_lack {
                required.push(name);
            }
            if !self.takes(",") && !self.rest.starts_with('}') {
                return Err(self.wrong());
            }
        }
        Ok(json!({"type": "object", "properties": properties, "required": required}))
    }
}

/// What of a value is not as a schema has it. What a schema does not name is not allowed either.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Fault {
    /// Where it stands: `assets[0]`; "" is all of it.
    place: String,
    what: What,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum What {
    Lacks(String),
    Unknown,
    /// It is not that.
    Other(Expected),
}

/// What a value has to be.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Expected {
    Integer,
    Number,
    Flag,
    Text,
    Moment,
    Day,
    List,
    Object,
    Nothing,
    OneOf(Vec<String>),
}

impl Expected {
    const fn text(&self, language: Language) -> &'static str {
        let (english, japanese) = match self {
            Self::Integer => ("a whole number", "整数"),
            Self::Number => ("a number", "数値"),
            Self::Flag => ("true or false", "true または false"),
            Self::Text => ("a text", "文字列"),
            Self::Moment => ("a moment (2026-11-22T09:30:00Z)", "日時(2026-11-22T09:30:00Z)"),
            Self::Day => ("a day (2026-11-22)", "日付(2026-11-22)"),
            Self::List => ("a list", "配列"),
            Self::Object => ("an object", "オブジェクト"),
            Self::Nothing => ("null", "null"),
            Self::OneOf(_) => ("one of", "次のいずれか:"),
        };
        match language {
            Language::English => english,
            Language::Japanese => japanese,
        }
    }
}

impl Fault {
    /// For people.
    pub(crate) fn text(&self, language: Language) -> String {
        let place = match (self.place.as_str(), language) {
            ("", Language::English) => "the body",
            ("", Language::Japanese) => "本文",
            (place, _) => place,
        };
        match (&self.what, language) {
            (What::Lacks(name), Language::English) => format!("{place}: {name} is missing"),
            (What::Lacks(name), Language::Japanese) => format!("{place}: {name} がありません"),
            (What::Unknown, Language::English) => {
                format!("{place} is nothing that can stand there")
            }
            (What::Unknown, Language::Japanese) => format!("{place} は指定できません"),
            (What::Other(expected), language) => {
                let words = match expected {
                    Expected::OneOf(all) => {
                        format!("{} {}", expected.text(language), all.join(", "))
                    }
                    other => other.text(language).to_owned(),
                };
                match language {
                    Language::English => format!("{place} is not {words}"),
                    Language::Japanese => format!("{place} に使える値は {words} です"),
                }
            }
        }
    }
}

/// What of a value a schema of the document does not allow, where there is something.
pub(crate) fn fault(document: &Value, schema: &Value, value: &Value, place: &str) -> Option<Fault> {
    if let Some(name) = schema["$ref"].as_str() {
        let schema = document.pointer(name.trim_start_matches('#'))?;
        return fault(document, schema, value, place);
    }
    if let Some(some) = schema["anyOf"].as_array() {
        let all: Vec<Fault> =
            some.iter().map_while(|one| fault(document, one, value, place)).collect();
        // That it is not null either is not worth saying.
        return all
            .into_iter()
            .next()
            .filter(|_| some.iter().all(|one| fault(document, one, value, place).is_some()));
    }
    let wrong = |expected| Some(Fault { place: place.to_owned(), what: What::Other(expected) });
    match (schema["type"].as_str(), value) {
        (None, _) => None,
        (Some("null"), Value::Null) => None,
        (Some("integer"), value) if value.is_i64() || value.is_u64() => None,
        (Some("number"), Value::Number(_)) | (Some("boolean"), Value::Bool(_)) => None,
        (Some("string"), Value::String(text)) => {
            if let Some(all) = schema["enum"].as_array().filter(|all| !all.contains(value)) {
                let all = all.iter().filter_map(Value::as_str).map(str::to_owned).collect();
                return wrong(Expected::OneOf(all));
            }
            match schema["format"].as_str() {
                Some("date-time") if !(text.ends_with('Z') && text.get(10..11) == Some("T")) => {
                    wrong(Expected::Moment)
                }
                Some("date") if text.len() != 10 => wrong(Expected::Day),
                _ => None,
            }
        }
        (Some("array"), Value::Array(all)) => {
            let mut all = all.iter().enumerate();
            all.find_map(|(at, one)| {
                fault(document, &schema["items"], one, &format!("{place}[{at}]"))
            })
        }
        (Some("object"), Value::Object(object)) => {
            let required = schema["required"].as_array().into_iter().flatten();
            let mut required = required.filter_map(Value::as_str);
            if let Some(name) = required.find(|name| !object.contains_key(*name)) {
                return Some(Fault { place: place.to_owned(), what: What::Lacks(name.to_owned()) });
            }
            object.iter().find_map(|(name, one)| {
                let place = match place {
                    "" => name.clone(),
                    place => format!("{place}.{name}"),
                };
                match (schema["properties"].get(name), schema.get("additionalProperties")) {
                    (Some(schema), _) | (None, Some(schema)) => {
                        fault(document, schema, one, &place)
                    }
                    (None, None) => Some(Fault { place, what: What::Unknown }),
                }
            })
        }
        (Some(kind), _) => wrong(match kind {
            "integer" => Expected::Integer,
            "number" => Expected::Number,
            "boolean" => Expected::Flag,
            "array" => Expected::List,
            "object" => Expected::Object,
            "null" => Expected::Nothing,
            _ => match schema["format"].as_str() {
                Some("date-time") => Expected::Moment,
                Some("date") => Expected::Day,
                _ => Expected::Text,
            },
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_read_and_what_is_none_is_named() {
        let read = schema("{id: int, names: [text], os?: Os?, way: \"a\"|\"b\", more: <any>}");
        assert_eq!(
            read.unwrap(),
            json!({
                "type": "object",
                "properties": {
                    "id": {"type": "integer"},
                    "names": {"type": "array", "items": {"type": "string"}},
                    "os": {"anyOf": [{"$ref": "#/components/schemas/Os"}, {"type": "null"}]},
                    "way": {"type": "string", "enum": ["a", "b"]},
                    "more": {"type": "object", "additionalProperties": {}},
                },
                "required": ["id", "names", "way", "more"],
            })
        );
        for wrong in ["", "{a int}", "[int", "{a: int b: int}", "\"a", "int int", "{a: }"] {
            assert!(schema(wrong).is_err(), "{wrong}");
        }
    }
}
