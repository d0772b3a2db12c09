//! What people decided, as reasons quote it (`inventory::approval`).

use super::Pattern;

#[rustfmt::skip]
pub(super) const ALL: &[Pattern] = &[
    ("{+} (decision {#}): {}; known by {?}", "{0}(判断 {1}): {2}。識別子: {3}"),
    ("{+} (decision {#}): {}", "{0}(判断 {1}): {2}"),
    ("{+}; that is over since {}", "{0}。{1} に終了"),
    ("{?} (weak)", "{0}(弱い根拠)"),
    ("{+}, or until it is not seen for {#} days, as an exception", "{0}、または{1}日間検出されなくなるまで、例外として"),
    ("{+}, or until it is not seen for {#} days", "{0}、または{1}日間検出されなくなるまで"),
    ("{+}, as an exception", "{0}、例外として"),
    ("{+} until {}", "{0}、{1} まで"),
    ("being investigated by {&} on {=}", "調査中({0}、{1})"),
    ("approved by {&} on {=}", "承認({0}、{1})"),
    ("rejected by {&} on {=}", "却下({0}、{1})"),
    ("retired by {&} on {=}", "廃止({0}、{1})"),
    ("address {=} (weak)", "アドレス {0}(弱い根拠)"),
    ("asset {#} ({})", "資産 {0} ({1})"),
    ("asset {#}", "資産 {0}"),
    ("software {} any", "ソフトウェア {0}(すべてのバージョン)"),
    ("software {}", "ソフトウェア {0}"),
    ("issuer {}", "発行者 {0}"),
    ("all assets", "すべての資産"),
];
