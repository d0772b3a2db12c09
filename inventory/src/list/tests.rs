//! The rows are what is known, once each and folded.

use crate::query::{fold, fold_all};

#[test]
fn several_texts_are_one_without_repetition() {
    assert_eq!(fold_all(["B\n", "a", "", "A", "ä"]), "\nb \na\nä\n");
    assert_eq!(fold_all([""; 2]), "");
    assert_eq!(fold("\u{0}Ä\r\n"), " ä  ");
}
