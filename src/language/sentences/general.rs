//! What joins sentences and lists, and lengths of time.

use super::Pattern;

#[rustfmt::skip]
pub(super) const ALL: &[Pattern] = &[
    ("{+}; {+}", "{0}。{1}"),
    ("{+}; {?}", "{0}。{1}"),
    ("{?}; {+}", "{0}。{1}"),
    ("{?}; and {#} more", "{0}。ほか{1}件"),
    ("{?} and {#} more", "{0}ほか{1}件"),
    ("{?}, {#} more", "{0}ほか{1}件"),

    // Lengths of time.
    ("{#} minute", "{0}分"),
    ("{#} minutes", "{0}分"),
    ("{#} hour", "{0}時間"),
    ("{#} hours", "{0}時間"),
    ("{#} day", "{0}日"),
    ("{#} days", "{0}日"),
    ("{#} years", "{0}年"),
    ("{#} s", "{0}秒"),
    ("{#} min {#} s", "{0}分{1}秒"),
    ("{#} h {#} min", "{0}時間{1}分"),
    ("more than a century", "100年以上"),
];
