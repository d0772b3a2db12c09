//! What `doctor` says (`cli::doctor`, `cli::forecast`).

use super::Pattern;

#[rustfmt::skip]
pub(super) const ALL: &[Pattern] = &[
    ("IEEE registry of {} (oui-data {})", "IEEE登録情報 {0}(oui-data {1})"),
    ("none: nobody is told", "通知先がない"),
    ("{#} message was given up: see daicho alert list --state failed", "送信を断念したメッセージ{0}件: daicho alert list --state failed で確認"),
    ("{#} messages were given up: see daicho alert list --state failed", "送信を断念したメッセージ{0}件: daicho alert list --state failed で確認"),
    ("none: web.listen is not set", "Web画面なし(web.listen が未設定)"),
    ("{=}; its process gives up every capability before it reads anything, for good", "{0}。プロセスは何かを読む前にすべてのケーパビリティを放棄する"),
    ("nobody can sign in: daicho user add NAME --role admin", "サインインできるユーザーがいない: daicho user add 名前 --role admin"),
    ("served since {}", "{0} から稼働"),
    ("served since {}, restarted {#} time: {?}", "{0} から稼働、再起動{1}回: {2}"),
    ("served since {}, restarted {#} times: {?}", "{0} から稼働、再起動{1}回: {2}"),
    ("{#} public roots, {#} of the organisation's own, {#} revocation list", "公的ルート{0}件、組織のルート{1}件、失効リスト{2}件"),
    ("{#} public roots, {#} of the organisation's own, {#} revocation lists", "公的ルート{0}件、組織のルート{1}件、失効リスト{2}件"),
    ("raw packets: CAP_NET_RAW is there", "CAP_NET_RAW があり、生パケットを使用できる"),
    ("{}, raised to {} where needed: bounds connections at once", "{0}(必要時 {1} まで引き上げ): 同時接続数の上限"),
    ("no nameserver in /etc/resolv.conf: host names as targets will not resolve", "/etc/resolv.conf に nameserver がなく、対象のホスト名を解決できない"),
    ("{}: none yet, the first sweep makes it", "{0}: まだない(最初のスキャンで作成)"),
    ("{}: schema {#}, SQLite {}, {#} KiB", "{0}: スキーマ {1}、SQLite {2}、{3} KiB"),
    ("damaged: {}", "破損: {0}"),
    ("dangling: {} (never changed)", "参照先のない行: {0}(変更しない)"),
    ("dangling: {}", "参照先のない行: {0}"),
    ("nothing is lost by that, and copies are made and put back", "失われるものはなく、バックアップと復元もできる"),
    ("nothing is lost by that, and copies are made and put back; daicho prune --mend removes those rows that may be changed", "失われるものはなく、バックアップと復元もできる。変更できる行は daicho prune --mend で削除できる"),
    ("nothing yet", "まだない"),
    ("{#} KiB, of which {#} KiB hold nothing and are used again", "{0} KiB(うち{1} KiBは空きで、再利用される)"),
    ("largest: {}", "大きい順: {0}"),
    ("growth: not known before two scans a day apart", "増加量: 1日以上離れた2回のスキャンまでは不明"),
    ("growth: {#} KiB a day, over {#} days and {#} scan", "増加量: 1日あたり{0} KiB({1}日間、スキャン{2}回)"),
    ("growth: {#} KiB a day, over {#} days and {#} scans", "増加量: 1日あたり{0} KiB({1}日間、スキャン{2}回)"),
    ("the disk has {#} MiB left, which at this growth is {?}", "ディスクの空きは{0} MiBで、この増加量では{1}分"),
];
