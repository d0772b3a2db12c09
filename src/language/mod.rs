//! In which languages the program speaks to people who are not at the command line: on its page,
//! in its messages, and in answers to programs that ask for one.
//!
//! What has a name has its words in tables by that name: `terms` the states and classes, `rules`
//! the titles of rules. What is stored as a sentence, with its values in it, is known by its
//! pattern (`sentence`, and the tables in `sentences`). The database has the English ones, and so
//! does the command line.

pub(crate) mod rules;
mod sentence;
mod sentences;
pub(crate) mod terms;

/// Makes a struct of texts and its value in each language: one table, so that a text that lacks a
/// translation does not compile.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($key:ident: $english:literal, $japanese:literal;)* }) => {
        $(#[$about])*
        #[derive(Debug)]
        pub(crate) struct $name {
            $(pub(crate) $key: &'static str,)*
        }

        impl $name {
            /// The texts in a language.
            pub(crate) const fn of(language: $crate::language::Language) -> &'static Self {
                static ENGLISH: $name = $name { $($key: $english,)* };
                static JAPANESE: $name = $name { $($key: $japanese,)* };
                match language {
                    $crate::language::Language::English => &ENGLISH,
                    $crate::language::Language::Japanese => &JAPANESE,
                }
            }
        }
    };
}

pub(crate) use words;

/// A language of people.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Language {
    English,
    Japanese,
}

impl Language {
    pub(crate) const ALL: [Self; 2] = [Self::English, Self::Japanese];

    /// Its tag, as in HTML and in cookies.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Japanese => "ja",
        }
    }

    /// What it calls itself.
    pub(crate) const fn own_name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::Japanese => "日本語",
        }
    }

    /// The one of a route's messages.
    pub(crate) const fn of_route(language: config::route::Language) -> Self {
        match language {
            config::route::Language::English => Self::English,
            config::route::Language::Japanese => Self::Japanese,
        }
    }

    /// One of the program's own sentences, as it is stored. One of another version of the program,
    /// and what people wrote, stays as it is.
    pub(crate) fn said(self, text: &str) -> String {
        match self {
            Self::English => text.to_owned(),
            Self::Japanese => sentence::japanese(text).unwrap_or_else(|| text.to_owned()),
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.as_str() == name)
    }

    /// The one of ours that a browser likes best, by its `Accept-Language`; English where it likes
    /// none.
    pub(crate) fn accepted(header: &str) -> Self {
        let mut best = (0.0, Self::English);
        for part in header.split(',').take(20) {
            let mut fields = part.split(';').map(str::trim);
            let tag = fields.next().unwrap_or_default().split('-').next().unwrap_or_default();
            let weight = fields.find_map(|field| field.strip_prefix("q=")?.parse::<f32>().ok());
            let weight = weight.unwrap_or(1.0);
            if let Some(language) = Self::from_name(&tag.to_lowercase())
                && weight > best.0
            {
                best = (weight, language);
            }
        }
        best.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_get_the_language_that_they_like_best() {
        let accepted = Language::accepted;
        assert_eq!(accepted("ja,en-US;q=0.9,en;q=0.8"), Language::Japanese);
        assert_eq!(accepted("en-GB, ja;q=0.5"), Language::English);
        assert_eq!(accepted("de;q=1.0, ja-JP;q=0.3"), Language::Japanese);
        assert_eq!(accepted("ja;q=0"), Language::English);
        assert_eq!(accepted(""), Language::English);
    }
}
