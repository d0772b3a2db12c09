//! A certificate by itself, and the calendar of when certificates end.

mod calendar;
mod ics;
mod one;
mod pem;
mod program;
#[cfg(test)]
mod tests;

use model::Timestamp;

use super::{
    routes::{Route, get},
    words::words,
};

words! {
    /// The texts of a certificate's page and of the calendar.
    Texts {
        subject: "Subject", "サブジェクト";
        names: "Names", "名前";
        issuer: "Issuer", "発行者";
        self_signed: "signed by itself", "自己署名";
        of_issuer: "all of this issuer", "同じ発行者の証明書";
        serial: "Serial number", "シリアル番号";
        key: "Key", "鍵";
        signature: "Signature", "署名";
        valid: "Valid", "有効期間";
        left: "days left", "日 残り";
        over: "days ago it ended", "日前に失効";
        not_yet: "days until it begins", "日後に開始";
        unknown: "unknown", "不明";
        renew: "Renew by", "更新期限";
        owner: "Owner", "担当";
        trust: "Trust", "信頼";
        public: "clients everywhere trust it", "一般のクライアントが信頼";
        private: "clients of the organisation trust it", "組織内のクライアントが信頼";
        untrusted: "clients refuse it", "クライアントが拒否";
        first_seen: "First seen", "初検出";
        last_seen: "Last seen", "最終検出";
        anomalies: "What is odd about it", "異常";
        download: "Download as PEM", "PEM形式でダウンロード";
        places: "Where it is served", "使用箇所";
        now_of: "now, of", "現在 / 全";
        sent_along: "places send it along with another one", "か所で他の証明書とともに送信";
        asset: "Asset", "資産";
        place: "Place", "場所";
        asked_for: "Name asked for", "要求した名前";
        since: "Since", "開始";
        until: "Last", "最終";
        now: "Now", "現在";
        files: "Files that hold it", "証明書を含むファイル";
        entry: "Entry", "エントリー";
        chains: "Chains", "証明書チェーン";
        judged: "Why clients refuse it", "拒否の理由";
        sound: "Clients accept it.", "クライアントが受け入れます。";
        not_judged: "Nothing was said of this chain since something about it changed.",
            "変更後、このチェーンはまだ検証されていません。";
        findings: "Findings", "検出事項";
        severity: "Severity", "重大度";
        state: "State", "状態";
        title: "What is wrong", "内容";
        why: "Why, and by which rule", "理由と根拠";
        accept: "Accept", "受容";
        history: "What else was served in these places", "同じ場所の他の証明書";
        certificate: "Certificate", "証明書";
        calendar_title: "When certificates end", "証明書の有効期限カレンダー";
        month_before: "The month before", "前の月";
        month_after: "The month after", "次の月";
        ends_in_month: "certificates end in this month", "件がこの月に失効";
        soon: "What ends within 90 days", "90日以内に失効する証明書";
        and_more: "and more: see the list", "ほか多数。一覧を参照";
        nothing: "Nothing ends then.", "該当する証明書はありません。";
        fetched: "A program fetches it by an address with a key for calendars: an administrator makes one.", "カレンダーアプリで購読するには、管理者が作成するカレンダー用トークンのアドレスを使います。";
        subscribe: "As a file for calendars (.ics)", "カレンダー用ファイル (.ics)";
        ends: "Ends", "有効期限";
        days_left: "Days left", "残り日数";
        monday: "Mon", "月";
        tuesday: "Tue", "火";
        wednesday: "Wed", "水";
        thursday: "Thu", "木";
        friday: "Fri", "金";
        saturday: "Sat", "土";
        sunday: "Sun", "日";
        today: "today", "今日";
    }
}

pub(super) fn routes() -> Vec<Route> {
    let mut routes = program::routes();
    routes.extend([
        get("/certificates/calendar", calendar::show),
        get("/certificates/calendar.ics", calendar::download),
        get("/calendar/{key}/certificates.ics", calendar::fetch),
        get("/certificates/{sha256}", one::show),
        get("/certificates/{sha256}/pem", one::download),
    ]);
    routes
}

/// Where a program fetches the calendar that can say who it is in no other way than by the address.
pub(crate) fn calendar_path(key: &str) -> String {
    format!("{CALENDARS}{key}/certificates.ics")
}

/// What the path of a calendar for programs begins with: a secret follows.
pub(super) const CALENDARS: &str = "/calendar/";

/// The page of a certificate.
pub(super) fn path(sha256: &str) -> String {
    format!("/certificates/{sha256}")
}

/// The page of what a finding is about, where that is a certificate.
pub(super) fn path_of_subject(subject: &str) -> Option<String> {
    let sha256 = subject.strip_prefix("certificate:")?;
    is_sha256(sha256).then(|| path(sha256))
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whole days from one moment to another; negative where that was before.
pub(super) const fn days_between(from: Timestamp, to: Timestamp) -> i64 {
    to.0.saturating_sub(from.0).div_euclid(86_400_000_000)
}

/// How so many days left look.
pub(super) const fn look(days: i64) -> &'static str {
    match days {
        ..7 => "bad",
        7..30 => "warn",
        _ => "",
    }
}
