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
