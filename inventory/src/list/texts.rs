//! Many short texts in one piece of memory.

/// Rows of `N` texts each. One allocation instead of one for each text, and what is searched
/// through lies side by side.
#[derive(Debug)]
pub(crate) struct Texts<const N: usize> {
    text: String,
    /// Where each text of each row ends; it begins where the one before ends. What were behind four
    /// gigabytes would be empty.
    ends: Vec<[u32; N]>,
}

impl<const N: usize> Default for Texts<N> {
    fn default() -> Self {
        Self { text: String::new(), ends: Vec::new() }
    }
}

impl<const N: usize> Texts<N> {
    pub(crate) fn push(&mut self, row: [&str; N]) {
        self.ends.push(row.map(|text| {
            self.text.push_str(text);
            u32::try_from(self.text.len()).unwrap_or(u32::MAX)
        }));
    }

    pub(crate) const fn len(&self) -> usize {
        self.ends.len()
    }

    /// The text of a row in a column; empty where there is none.
    pub(crate) fn get(&self, row: usize, column: usize) -> &str {
        let end = |row: usize, column: usize| self.ends.get(row)?.get(column).copied();
        let start = match (column.checked_sub(1), row.checked_sub(1)) {
            (Some(before), _) => end(row, before),
            (None, Some(above)) => end(above, N.saturating_sub(1)),
            (None, None) => Some(0),
        };
        let range = start.zip(end(row, column)).map(|(start, end)| start as usize..end as usize);
        range.and_then(|range| self.text.get(range)).unwrap_or_default()
    }

    /// Gives back what was reserved and not used.
    pub(crate) fn shrink(&mut self) {
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_found_where_it_was_put() {
        let mut texts = Texts::<3>::default();
        let rows = [["a", "", "ü"], ["", "", ""], ["long text", "b", ""]];
        rows.into_iter().for_each(|row| texts.push(row));
        texts.shrink();
        for (at, row) in rows.iter().enumerate() {
            assert_eq!([0, 1, 2].map(|column| texts.get(at, column)), *row);
        }
        assert_eq!((texts.len(), texts.get(3, 0), texts.get(0, 3)), (3, "", ""));
    }
}
