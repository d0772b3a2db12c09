//! In which language the page speaks.

/// A language of the page.
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
