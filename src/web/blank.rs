//! Forms that people fill in. What cannot be used comes back as it was typed, with what is wrong
//! beside the field that it is about, so that nobody types anything twice.
//!
//! A form is told by its fields and drawn by one template (`blank.html`), which is how every form of
//! the page says the same in the same way. What is right is decided where it is used.

use super::{language::Language, lists::Wrong, page::shown, visit::Fields};
use inventory::query::QueryError;

/// Attributes of a field, as HTML has them.
pub(crate) type Attributes = &'static [(&'static str, &'static str)];

/// A name of somebody or something.
pub(crate) const NAME: Attributes = &[
    ("required", ""),
    ("maxlength", "64"),
    ("autocomplete", "off"),
    ("autocapitalize", "none"),
    ("spellcheck", "false"),
];

/// What has to be there.
pub(crate) const REQUIRED: Attributes = &[("required", "")];

/// How a field is filled in.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Input {
    /// The `type` of an `<input>`.
    Typed(&'static str),
    /// One of these: the value and what it is called.
    Choice(Vec<(String, String)>),
}

/// A field.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) label: &'static str,
    input: Input,
    pub(crate) attributes: Attributes,
    pub(crate) value: String,
    pub(crate) problem: Option<Wrong>,
    /// Whether it is what has to be mended first.
    pub(crate) is_first_wrong: bool,
}

impl Field {
    fn new(name: &'static str, label: &'static str, input: Input) -> Self {
        let (value, problem, is_first_wrong) = (String::new(), None, false);
        Self { name, label, input, attributes: &[], value, problem, is_first_wrong }
    }

    pub(crate) fn text(name: &'static str, label: &'static str) -> Self {
        Self::new(name, label, Input::Typed("text"))
    }

    pub(crate) fn day(name: &'static str, label: &'static str) -> Self {
        Self::new(name, label, Input::Typed("date"))
    }

    /// What is typed here never comes back.
    pub(crate) fn password(name: &'static str, label: &'static str) -> Self {
        Self::new(name, label, Input::Typed("password"))
    }

    /// Nor does a file: browsers send one only where somebody chose it.
    pub(crate) fn file(name: &'static str, label: &'static str) -> Self {
        Self::new(name, label, Input::Typed("file"))
    }

    /// Something that is so or not.
    pub(crate) fn tick(name: &'static str, label: &'static str) -> Self {
        Self::new(name, label, Input::Typed("checkbox"))
    }

    /// One of these: the value and what it is called.
    pub(crate) fn choice(
        name: &'static str,
        label: &'static str,
        of: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        Self::new(name, label, Input::Choice(of.into_iter().collect()))
    }

    pub(crate) fn with(self, attributes: Attributes) -> Self {
        Self { attributes, ..self }
    }

    /// For the template.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.input {
            Input::Typed(kind) => kind,
            Input::Choice(_) => "select",
        }
    }

    /// For the template.
    pub(crate) fn choices(&self) -> &[(String, String)] {
        match &self.input {
            Input::Typed(_) => &[],
            Input::Choice(of) => of,
        }
    }
}

/// What is wrong with a form, by the field. What is about none of the fields that it has stands
/// above them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Problems(Vec<(&'static str, Wrong)>);

impl Problems {
    pub(crate) fn of(field: &'static str, why: impl Into<String>) -> Self {
        let mut problems = Self::default();
        problems.add(field, why);
        problems
    }

    /// What is about the whole.
    pub(crate) fn whole(why: impl Into<String>) -> Self {
        Self::of("", why)
    }

    pub(crate) fn add(&mut self, field: &'static str, why: impl Into<String>) {
        self.0.push((field, Wrong::because(why)));
    }

    /// A query that cannot be read, with its wrong word.
    pub(crate) fn query(
        field: &'static str,
        text: &str,
        error: &QueryError,
        language: Language,
    ) -> Self {
        Self(vec![(field, Wrong::of(text, error, language))])
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of it, where there is no form to say it beside.
    pub(crate) fn text(&self) -> String {
        self.0.iter().map(|(_, wrong)| wrong.why.as_str()).collect::<Vec<_>>().join(" ")
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Blank {
    /// Tells it from other forms of the page.
    pub(crate) id: &'static str,
    pub(crate) method: &'static str,
    pub(crate) action: String,
    pub(crate) button: &'static str,
    pub(crate) hidden: Vec<(&'static str, String)>,
    pub(crate) fields: Vec<Field>,
    /// What is wrong with the whole.
    pub(crate) problems: Vec<Wrong>,
}

impl Blank {
    /// One that has something done.
    pub(crate) fn new(
        id: &'static str,
        action: impl Into<String>,
        button: &'static str,
        fields: Vec<Field>,
    ) -> Self {
        let (hidden, problems) = (Vec::new(), Vec::new());
        Self { id, method: "post", action: action.into(), button, hidden, fields, problems }
    }

    /// One that asks for a page.
    pub(crate) fn asking(self) -> Self {
        Self { method: "get", ..self }
    }

    pub(crate) fn hiding(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.hidden.push((name, value.into()));
        self
    }

    /// As somebody filled it in.
    pub(crate) fn filled(mut self, with: &Fields) -> Self {
        for field in &mut self.fields {
            if !matches!(field.input, Input::Typed("password" | "file")) {
                field.value = shown(with.text(field.name));
            }
        }
        self
    }

    /// With what is wrong.
    pub(crate) fn with(mut self, problems: Problems) -> Self {
        for (name, wrong) in problems.0 {
            match self.fields.iter_mut().find(|field| field.name == name) {
                // The first that is said of a field is enough.
                Some(field) => drop(field.problem.get_or_insert(wrong)),
                None => self.problems.push(wrong),
            }
        }
        if let Some(first) = self.fields.iter_mut().find(|field| field.problem.is_some()) {
            first.is_first_wrong = true;
        }
        self
    }

    /// For the template: a form with a file is sent in another way.
    pub(crate) fn has_file(&self) -> bool {
        self.fields.iter().any(|field| field.kind() == "file")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_comes_back_with_what_is_wrong_beside_it() {
        let fields = vec![
            Field::text("reason", "Reason"),
            Field::password("password", "Password"),
            Field::day("until", "Until"),
        ];
        let typed: Vec<(String, String)> =
            [("reason", " bought\u{202e} "), ("password", "secret"), ("until", "2020-01-01")]
                .map(|(name, text)| (name.to_owned(), text.to_owned()))
                .into();
        let mut problems = Problems::of("until", "over");
        problems.add("until", "and more");
        problems.add("nowhere", "the whole");
        let blank = Blank::new("x", "/x", "Do", fields).filled(&Fields::from(typed));
        let blank = blank.with(problems);
        let values: Vec<&str> = blank.fields.iter().map(|field| field.value.as_str()).collect();
        assert_eq!(values[1..], ["", "2020-01-01"]);
        assert!(values[0].starts_with("bought") && !values[0].contains('\u{202e}'));
        let why = |field: &Field| field.problem.as_ref().map(|wrong| wrong.why.clone());
        let whys: Vec<_> = blank.fields.iter().map(why).collect();
        assert_eq!(whys, [None, None, Some("over".to_owned())]);
        assert!(blank.fields[2].is_first_wrong && !blank.fields[0].is_first_wrong);
        assert_eq!(blank.problems[0].why, "the whole");
    }
}
