//! What the rules' titles are in Japanese. A rule that is not here does not compile.

use inventory::{asset::EventKind, compare};

use super::Language;

/// By the rule.
const TITLES: &[(&str, &str)] = &[
    ("cert.address-as-name", "証明書がIPアドレスをDNS名として記載(クライアントは参照しない)"),
    ("cert.address-size", "証明書のIPアドレスが4バイトでも16バイトでもない"),
    ("cert.authority-constraints-not-critical", "認証局証明書の基本制約がクリティカルでない"),
    ("cert.authority-key-usage-not-critical", "公的認証局の鍵用途がクリティカルでない"),
    ("cert.authority-may-not-revoke", "公的認証局の鍵が失効リストに署名できない"),
    ("cert.authority-may-not-sign", "認証局の鍵が証明書に署名できない(発行した証明書は拒否される)"),
    ("cert.authority-no-key-id", "認証局証明書に鍵識別子がない"),
    ("cert.authority-no-key-usage", "認証局証明書に鍵用途がない"),
    ("cert.authority-no-subject", "認証局証明書に名前がない"),
    ("cert.authority-subject", "公的認証局の主体者に国・組織・一般名のいずれかがない"),
    ("cert.bad-signature", "発行者の署名ではない証明書"),
    ("cert.chain-refused", "クライアントが拒否する証明書チェーン"),
    ("cert.common-name-not-among-names", "公的証明書の一般名が名前の一覧にない"),
    ("cert.country", "証明書の国コードが大文字2文字でない"),
    ("cert.distribution-point-incomplete", "証明書の配布点に場所も発行者もない"),
    ("cert.duplicate-extension", "証明書に同じ拡張が重複"),
    ("cert.empty-timestamp-list", "証明書の署名付きタイムスタンプ一覧が空"),
    ("cert.expired", "証明書の期限切れ"),
    ("cert.expired-issuer", "提示されたチェーンの認証局証明書が期限切れ"),
    ("cert.expiring", "証明書の更新時期を超過"),
    ("cert.extension-critical", "証明書の拡張が誤ってクリティカル"),
    ("cert.extension-empty", "証明書の拡張が空"),
    ("cert.extension-not-critical", "証明書の拡張がクリティカルでない"),
    ("cert.internal-name", "公的証明書に公開されていない名前"),
    ("cert.key-parameters", "証明書の鍵に不要なパラメーター"),
    ("cert.key-usage-empty", "証明書の鍵用途が空"),
    ("cert.key-usage-unfit", "証明書の鍵用途が鍵の種類に合わない"),
    ("cert.lifetime-100-days", "公的証明書の有効期間が100日を超過"),
    ("cert.lifetime-200-days", "公的証明書の有効期間が200日を超過"),
    ("cert.lifetime-398-days", "公的証明書の有効期間が398日を超過"),
    ("cert.lifetime-47-days", "公的証明書の有効期間が47日を超過"),
    ("cert.lifetime-825-days", "公的証明書の有効期間が825日を超過"),
    ("cert.responder-address", "公的証明書のOCSPレスポンダーのアドレスがHTTPでない"),
    ("cert.issuer-address", "公的証明書の発行者証明書のアドレスがHTTPでない"),
    ("cert.access-method", "公的証明書の機関情報アクセスに許可されない種類"),
    ("cert.access-twice", "公的証明書の機関情報アクセスが重複"),
    ("cert.malformed", "証明書の符号化に誤り"),
    ("cert.maps-any-policy", "認証局がすべてのポリシーを対応付け"),
    ("cert.missing-intermediate", "サーバーが中間証明書を送信していない"),
    ("cert.name-characters", "証明書のDNS名にホスト名で使えない文字"),
    ("cert.name-constraints-on-leaf", "発行しない証明書に名前制約"),
    ("cert.name-constraints-range", "認証局の名前制約に効果のない最小値・最大値"),
    ("cert.name-empty", "証明書に空の名前"),
    ("cert.name-hyphen", "証明書のDNS名のラベルがハイフンで開始または終了"),
    ("cert.name-kind", "公的証明書に許可されない種類の名前"),
    ("cert.name-labels", "証明書のDNS名に空のラベル"),
    ("cert.name-length", "証明書のDNS名が長すぎる"),
    ("cert.name-mismatch", "サーバーの名前と一致しない証明書"),
    ("cert.name-nul", "証明書の名前にNUL文字"),
    ("cert.name-reserved-label", "公的証明書のDNS名に予約されたラベル"),
    ("cert.name-underscore", "公的証明書のDNS名に下線"),
    ("cert.name-wildcard", "証明書のワイルドカードが何にも一致しない"),
    ("cert.names-not-critical", "主体者のない証明書の名前がクリティカルでない"),
    ("cert.no-alternative-names", "証明書にサーバー名(SAN)がない"),
    ("cert.no-issuer", "証明書の発行者に名前がない"),
    ("cert.no-issuer-key-id", "公的証明書に発行者の鍵識別子がない"),
    ("cert.no-revocation-source", "公的証明書に失効情報の参照先がない"),
    ("cert.no-subject", "証明書に名前がまったくない"),
    ("cert.not-yet-valid", "証明書がまだ有効でない"),
    ("cert.old-version", "証明書がバージョン3でない"),
    ("cert.organizational-unit", "公的証明書に検証されない部門名"),
    ("cert.path-length", "証明書のパス長制限が無効"),
    ("cert.policy-twice", "証明書に同じポリシーが重複"),
    ("cert.precertificate", "プレ証明書が使用されている"),
    ("cert.public-curve", "公的証明書の鍵が許可されない曲線"),
    ("cert.public-for-clients", "公的証明書がクライアント用途を含む(発行終了予定)"),
    ("cert.public-leaf-signs", "公的サーバー証明書が証明書や失効リストに署名できる"),
    ("cert.public-no-policies", "公的証明書に発行ポリシーがない"),
    ("cert.public-no-purpose", "公的証明書に用途がない"),
    ("cert.public-other-purposes", "公的サーバー証明書に他の用途"),
    ("cert.public-purposes-critical", "公的サーバー証明書の用途がクリティカル"),
    ("cert.public-signature", "公的証明書の署名方式が許可されていない"),
    ("cert.purpose-any-critical", "証明書が任意の用途をクリティカルとして記載"),
    ("cert.renewed-not-everywhere", "更新前の証明書がまだ使用されている"),
    ("cert.renewed-other-issuer", "証明書が別の発行者のものに交換"),
    ("cert.renewed-same-key", "証明書が以前と同じ鍵で更新"),
    ("cert.reserved-address", "公的証明書に公開されていないIPアドレス"),
    ("cert.revocation-list-address", "公的証明書の失効リストをHTTPで取得できない"),
    ("cert.revoked", "失効した証明書が使用されている"),
    ("cert.root-purposes", "公的ルートに用途の制限"),
    ("cert.rsa-exponent", "証明書のRSA指数が安全でない"),
    ("cert.rsa-exponent-range", "公的証明書のRSA指数が推奨範囲外"),
    ("cert.rsa-modulus-size", "公的証明書のRSA法のビット数が8の倍数でない"),
    ("cert.rsa-small-factor", "証明書のRSA鍵が小さな素因数を持つ"),
    ("cert.self-signed", "信頼されていない自己署名証明書"),
    ("cert.serial-not-positive", "証明書のシリアル番号が正でない"),
    ("cert.serial-too-long", "証明書のシリアル番号が20バイトを超過"),
    ("cert.server-may-issue", "サーバー証明書が他の証明書を発行できる"),
    ("cert.signature-mismatch", "証明書に異なる2つの署名アルゴリズム"),
    ("cert.signature-parameters", "証明書の署名アルゴリズムのパラメーターが誤り"),
    ("cert.signs-without-being-authority", "認証局でない証明書の鍵が証明書に署名できる"),
    ("cert.subject-control-characters", "証明書の主体者に表示されない文字"),
    ("cert.subject-length", "証明書の主体者に長すぎる項目"),
    ("cert.subject-placeholder", "公的証明書の主体者に意味のない項目"),
    ("cert.time-form", "証明書の日時の書式がDERに反する"),
    ("cert.time-type", "証明書の日時の型が誤り"),
    ("cert.unapproved-issuer", "承認されていない発行者の証明書"),
    ("cert.unique-identifier", "証明書に使われない固有識別子"),
    ("cert.unknown-critical-extension", "証明書に未知のクリティカル拡張(クライアントは拒否する)"),
    ("cert.unknown-issuer", "信頼されたルートに至らない証明書"),
    ("cert.uri-name", "証明書のURI名が不正"),
    ("cert.validity-reversed", "証明書の有効期間の終了が開始より前"),
    ("cert.version-extensions", "証明書にそのバージョンにない拡張"),
    ("cert.weak-key", "証明書の鍵が弱い"),
    ("cert.weak-signature", "証明書の署名に安全でないハッシュ"),
    ("cleartext.in-use", "暗号化されないプロトコルの使用"),
    ("crl.bad-signature", "認証局の署名ではない失効リスト"),
    ("crl.outdated", "失効リストが古い"),
    ("device.conflicting", "台帳と矛盾する機器"),
    ("device.expired", "承認期限切れの機器"),
    ("device.identity-uncertain", "登録済み機器を確実に特定できない"),
    ("device.missing", "登録済み機器が見つからない"),
    ("device.rejected", "却下された機器の接続"),
    ("device.retired-seen", "廃止された機器の接続"),
    ("device.unregistered", "未登録の機器"),
    ("dhcp.rogue-server", "承認されていないDHCPサーバー"),
    ("dns.unapproved-resolver", "承認されていないDNSサーバーの使用"),
    ("key.readable", "すべての利用者が読める秘密鍵"),
    ("ntp.unapproved-server", "承認されていない時刻サーバーの使用"),
    ("ra.rogue-router", "承認されていないルーター広告"),
    ("software.forbidden", "禁止されたソフトウェア"),
    ("software.required-missing", "必須ソフトウェアがない"),
    ("software.support-ended", "サポートが終了したソフトウェア"),
    ("software.unregistered", "未登録のソフトウェア"),
    ("software.version-not-approved", "承認されていないバージョンのソフトウェア"),
    ("ssh.certificate-expired", "SSHホスト証明書の期限切れ"),
    ("ssh.certificate-expiring", "SSHホスト証明書の期限が近い"),
    ("tls.3des", "サーバーが3DESを受け入れる"),
    ("tls.anonymous", "サーバーが証明書のない暗号スイートを受け入れる"),
    ("tls.compression", "サーバーがTLS圧縮を使用"),
    ("tls.des", "サーバーがDESを受け入れる"),
    ("tls.export", "サーバーが輸出グレードの暗号スイートを受け入れる"),
    ("tls.insecure-renegotiation", "サーバーが安全な再ネゴシエーションに未対応"),
    ("tls.null", "サーバーが暗号化しない暗号スイートを受け入れる"),
    ("tls.old-version", "サーバーがTLS 1.0・1.1またはDTLS 1.0を使用"),
    ("tls.rc4", "サーバーがRC4を受け入れる"),
    ("tls.short-dh", "サーバーの鍵交換の素数が2048ビット未満"),
    ("tls.ssl2", "サーバーがSSL 2.0を使用"),
    ("tls.ssl3", "サーバーがSSL 3.0を使用"),
];

const fn is_same(left: &str, right: &str) -> bool {
    let (mut left, mut right) = (left.as_bytes(), right.as_bytes());
    loop {
        match (left, right) {
            ([], []) => return true,
            ([l, left_rest @ ..], [r, right_rest @ ..]) if *l == *r => {
                (left, right) = (left_rest, right_rest);
            }
            _ => return false,
        }
    }
}

const fn is_translated(rule: &str) -> bool {
    let mut rest = TITLES;
    while let [(known, _), more @ ..] = rest {
        if is_same(known, rule) {
            return true;
        }
        rest = more;
    }
    false
}

const _: () = {
    let mut rules = compare::RULES;
    while let [rule, more @ ..] = rules {
        assert!(is_translated(rule.id), "a rule of the registers has no title in Japanese");
        rules = more;
    }
    let mut rules = certs::RULES;
    while let [rule, more @ ..] = rules {
        assert!(is_translated(rule.id), "a rule of certificates has no title in Japanese");
        rules = more;
    }
};

impl Language {
    /// The title of a piece of news: that of a finding, or what happened to whom.
    pub(crate) fn news(self, rule: &str, title: &str) -> String {
        let happened = rule.strip_prefix("event.");
        let kind = happened.and_then(|name| EventKind::ALL.iter().find(|one| one.as_str() == name));
        match (self, kind, title.split_once(": ")) {
            (Self::Japanese, Some(kind), Some((_, subject))) => {
                format!("{}: {}", self.event(*kind), self.said(subject))
            }
            _ => self.finding(rule, title),
        }
    }

    /// The title of a finding: that of its rule, with what it is of behind a colon.
    pub(crate) fn finding(self, rule: &str, title: &str) -> String {
        let of_registers = compare::RULES.iter().map(|rule| (rule.id, rule.title));
        let of_certificates = certs::RULES.iter().map(|rule| (rule.id, rule.title));
        let own = of_registers.chain(of_certificates).find(|(id, _)| *id == rule);
        let rest = own.and_then(|(_, own)| title.strip_prefix(own));
        match (self, TITLES.iter().find(|(id, _)| *id == rule), rest) {
            (Self::Japanese, Some((_, words)), Some(rest)) => {
                let Some(of) = rest.strip_prefix(": ") else { return format!("{words}{rest}") };
                // A program is told with the asset that it is on.
                match of.rsplit_once(" on ").filter(|_| rule.starts_with("software.")) {
                    Some((what, asset)) => format!("{words}: {what}、{}", self.said(asset)),
                    None => format!("{words}: {}", self.said(of)),
                }
            }
            // One of another version of the program says what it is by itself.
            _ => title.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_told_in_the_language_of_whoever_reads_it() {
        let title = "Unregistered device: printer-7";
        let told = |language: Language, rule: &str| language.finding(rule, title);
        assert_eq!(told(Language::Japanese, "device.unregistered"), "未登録の機器: printer-7");
        assert_eq!(told(Language::English, "device.unregistered"), title);
        assert_eq!(told(Language::Japanese, "device.of-tomorrow"), title);
        let on = "Forbidden software: vsftpd 2.2.2 on old (192.0.2.7)";
        let told = Language::Japanese.finding("software.forbidden", on);
        assert_eq!(told, "禁止されたソフトウェア: vsftpd 2.2.2、old (192.0.2.7)");
        let opened = "Port opened: 192.0.2.7:80";
        let told = Language::Japanese.news("event.port_opened", opened);
        assert_eq!(told, "ポートの開放: 192.0.2.7:80");
        assert_eq!(Language::English.news("event.port_opened", opened), opened);
        let rules = compare::RULES.len() + certs::RULES.len();
        assert_eq!(TITLES.len(), rules, "titles of rules that are no more");
        assert!(TITLES.iter().all(|(_, title)| !title.is_ascii()));
    }
}
