//! What the program's own words are called in each language: states, severities, classes, kinds of
//! events. The query language and the API have them as they are. A word that lacks a translation
//! does not compile.

use inventory::{
    approval::{ProposalError, Standing, Verdict},
    asset::EventKind,
    audit::Action,
    class::Class,
    compare::Registration,
    finding::{AcceptError, FindingState, ReopenError},
    query::{Kind, Problem, QueryError},
    store::StoreError,
    user::{LONGEST, PasswordError, SHORTEST},
};
use model::{Method, PortState, RunResult, Severity, Strength};

use super::Language;
use crate::cli::doctor::State;

macro_rules! terms {
    ($($(#[$about:meta])* $name:ident: $kind:ty { $($variant:ident => $japanese:literal,)* })*) => {
        impl Language {$(
            $(#[$about])*
            pub(crate) fn $name(self, value: $kind) -> &'static str {
                match self {
                    Self::English => value.as_str(),
                    Self::Japanese => match value {
                        $(<$kind>::$variant => $japanese,)*
                    },
                }
            }
        )*}
    };
}

terms! {
    /// What an asset is in the light of the registers.
    registration: Registration {
        Registered => "登録済み",
        Unregistered => "未登録",
        Rejected => "却下",
        Expired => "承認期限切れ",
        Missing => "未検出",
        RetiredButSeen => "廃止済みだが検出",
        Conflicting => "台帳と矛盾",
        IdentityUncertain => "特定できない",
        Unknown => "不明",
    }
    /// What an asset is for.
    class: Class {
        Printer => "プリンター",
        Network => "ネットワーク機器",
        Server => "サーバー",
        Workstation => "パソコン",
        Camera => "カメラ",
        Controller => "制御機器",
        Storage => "ストレージ",
        Phone => "電話機",
        Mobile => "モバイル端末",
        Hypervisor => "ハイパーバイザー",
        Power => "電源装置",
        Medical => "医療機器",
        Management => "管理コントローラー",
        Media => "メディア機器",
    }
    severity: Severity {
        Info => "情報",
        Warning => "警告",
        Critical => "重大",
    }
    finding_state: FindingState {
        Open => "未解決",
        Accepted => "受容済み",
        Resolved => "解決済み",
    }
    /// What happened.
    event: EventKind {
        AssetFirstSeen => "初検出",
        IdentifierAdded => "識別子の追加",
        AddressMoved => "アドレスの変更",
        AddressConflict => "アドレスの競合",
        IdentityAmbiguous => "識別が曖昧",
        PortOpened => "ポートの開放",
        PortClosed => "ポートの閉鎖",
        ProductChanged => "製品の変更",
        OsChanged => "OSの変更",
        CertificateReplaced => "証明書の交換",
        AnomalySeen => "異常の検出",
        Merged => "統合",
        Split => "統合の取り消し",
        FindingAccepted => "検出事項の受容",
        FindingReopened => "受容の取り消し",
        RegisterImported => "台帳の取り込み",
        Decided => "承認の判断",
    }
    verdict: Verdict {
        Approved => "承認",
        Investigating => "調査中",
        Rejected => "却下",
        Retired => "廃止",
    }
    standing: Standing {
        Pending => "確認待ち",
        Holds => "有効",
        Expired => "期限切れ",
        Ended => "終了",
    }
    port_state: PortState {
        Open => "開放",
        Closed => "閉鎖",
        Filtered => "フィルター",
        OpenFiltered => "開放またはフィルター",
    }
    /// How much an identifier says.
    strength: Strength {
        Weak => "弱",
        Moderate => "中",
        Strong => "強",
    }
    run_result: RunResult {
        Done => "完了",
        Incomplete => "未完了",
        Failed => "失敗",
        Stopped => "停止",
        CutOff => "中断",
        Crashed => "異常終了",
        Skipped => "省略",
    }
    /// How something was observed.
    method: Method {
        Arp => "ARP",
        NeighborSolicitation => "近隣要請",
        NeighborTable => "近隣テーブル",
        Echo => "ping",
        MulticastEcho => "マルチキャストping",
        MulticastOption => "マルチキャストオプション",
        MulticastListener => "マルチキャストリスナー",
        RouterAdvertisement => "ルーター広告",
        Timestamp => "ICMPタイムスタンプ",
        TcpSyn => "TCP SYN",
        TcpAck => "TCP ACK",
        TcpConnect => "TCP接続",
        Udp => "UDP",
        Dialogue => "サービスとの対話",
        Tls => "TLS",
        Resolver => "DNS",
        Capture => "受信",
        Import => "取り込み",
    }
    /// How well something works.
    health: State {
        Works => "正常",
        Limited => "制限あり",
        Fails => "異常",
    }
}

/// Names that are texts in the database and for programs, in Japanese.
const NAMES: &[(&str, &str)] = &[
    // Identifiers.
    ("mac", "MACアドレス"),
    ("address", "アドレス"),
    ("host_name", "ホスト名"),
    ("ssh_host_key", "SSHホスト鍵"),
    ("tls_key", "TLSの鍵"),
    ("smb_guid", "SMBのGUID"),
    ("snmp_engine_id", "SNMPのエンジンID"),
    ("device_uuid", "機器のUUID"),
    ("dhcp_client_id", "DHCPクライアントID"),
    ("dhcp_duid", "DHCPのDUID"),
    ("serial", "シリアル番号"),
    ("chassis_id", "筐体ID"),
    ("client_key", "クライアント証明書の鍵"),
    // Jobs and scans.
    ("sweep", "スキャン"),
    ("watch", "受信監視"),
    ("certificates", "証明書の収集"),
    ("import", "取り込み"),
    ("review", "見直し"),
    ("backup", "バックアップ"),
    ("prune", "古いデータの削除"),
    // What messages are about.
    ("discovery", "発見"),
    ("state", "変化"),
    ("approval", "承認"),
    ("risk", "リスク"),
    // What doctor looks at.
    ("interfaces", "インターフェース"),
    ("vendors", "ベンダー情報"),
    ("routes", "通知先"),
    ("page", "Web画面"),
    ("trust", "信頼する認証局"),
    ("privileges", "権限"),
    ("confinement", "権限の制限"),
    ("io tier", "送信方式"),
    ("open files", "ファイル数の上限"),
    ("name service", "DNS"),
    ("database", "データベース"),
    ("size", "容量"),
];

/// What was done, in Japanese.
const fn deed(action: Action) -> &'static str {
    match action {
        Action::Decide(Verdict::Approved) => "承認",
        Action::Decide(Verdict::Investigating) => "調査",
        Action::Decide(Verdict::Rejected) => "却下",
        Action::Decide(Verdict::Retired) => "廃止",
        Action::Confirm => "判断の確認",
        Action::Withdraw => "判断の取り消し",
        Action::End => "判断の終了",
        Action::Import => "台帳の取り込み",
        Action::Accept => "検出事項の受容",
        Action::Reopen => "受容の取り消し",
        Action::Merge => "資産の統合",
        Action::Split => "統合の取り消し",
        Action::AddUser => "ユーザーの追加",
        Action::RemoveUser => "ユーザーの削除",
        Action::SetRole => "役割の変更",
        Action::SetPassword => "パスワードの変更",
        Action::DisableUser => "ユーザーの無効化",
        Action::EnableUser => "ユーザーの有効化",
        Action::AddToken => "APIキーの追加",
        Action::RemoveToken => "APIキーの削除",
        Action::SignIn => "サインイン",
        Action::FailedSignIn => "サインインの失敗",
        Action::SignOut => "サインアウト",
        Action::RunJob => "ジョブの実行",
        Action::Retry => "メッセージの再送",
        Action::Test => "テスト送信",
        Action::Restore => "データベースの復元",
        Action::Prune => "古いデータの削除",
        Action::ShareView => "表示の共有",
        Action::RenameView => "表示の名前変更",
        Action::ChangeView => "表示の変更",
        Action::RemoveView => "表示の削除",
    }
}

impl Language {
    /// What was done, by its name in the audit.
    pub(crate) fn deed(self, name: &str) -> String {
        let known = Action::ALL.into_iter().find(|action| action.as_str() == name);
        match (self, known) {
            (Self::Japanese, Some(action)) => deed(action).to_owned(),
            _ => name.to_owned(),
        }
    }

    /// A name that programs know: of a kind of identifier, job or scan, of what messages are
    /// about, of what `doctor` looks at.
    pub(crate) fn name(self, name: &str) -> String {
        match (self, NAMES.iter().find(|(known, _)| *known == name)) {
            (Self::Japanese, Some((_, japanese))) => (*japanese).to_owned(),
            _ => name.to_owned(),
        }
    }

    /// The value of a field of the query language about such things, as lists have it.
    pub(crate) fn value(self, kind: Kind, field: &str, value: &str) -> String {
        let known = match field {
            "registration" => Registration::from_name(value).map(|one| self.registration(one)),
            "class" => Class::ALL
                .into_iter()
                .find(|class| class.as_str() == value)
                .map(|class| self.class(class)),
            "severity" => value.parse().ok().map(|severity| self.severity(severity)),
            "state" if kind == Kind::Findings => {
                FindingState::from_name(value).map(|state| self.finding_state(state))
            }
            "state" => PortState::from_name(value).map(|state| self.port_state(state)),
            "trust" => Some(self.trust(value)),
            _ => None,
        };
        known.map_or_else(|| value.to_owned(), str::to_owned)
    }

    fn trust(self, value: &str) -> &'static str {
        match (self, value) {
            (Self::English, "public") => "public",
            (Self::English, "private") => "private",
            (Self::English, "untrusted") => "untrusted",
            (Self::English, _) => "unknown",
            (Self::Japanese, "public") => "公的",
            (Self::Japanese, "private") => "組織内",
            (Self::Japanese, "untrusted") => "信頼されない",
            (Self::Japanese, _) => "不明",
        }
    }

    /// Why a password is not taken.
    pub(crate) fn password_error(self, error: PasswordError) -> String {
        match (self, error) {
            (Self::English, error) => error.to_string(),
            (Self::Japanese, PasswordError::Short) => {
                format!("パスワードは{SHORTEST}文字以上にしてください")
            }
            (Self::Japanese, PasswordError::Long) => {
                format!("パスワードは{LONGEST}文字以内にしてください")
            }
            (Self::Japanese, PasswordError::Guessed) => {
                "パスワードが名前と同じか、推測されやすいものです".to_owned()
            }
        }
    }

    /// What is wrong with a query.
    pub(crate) fn query_error(self, error: &QueryError) -> String {
        match self {
            Self::English => error.problem.to_string(),
            Self::Japanese => problem(&error.problem),
        }
    }
}

/// Why something cannot be done, in Japanese, where whoever asked can mend it.
pub(crate) const fn refusal(error: &StoreError) -> Option<&'static str> {
    Some(match error {
        StoreError::Confirmed(_) => "二人目が確認した判断は、一人では取り消せません。",
        StoreError::TooLate(_) => "この判断の期限は過ぎています。",
        StoreError::NotPending(_) => "この判断は確認待ちではありません。",
        StoreError::OtherRegister(_) => "その間に台帳が変更されました。",
        StoreError::NotRetried { .. } => "このメッセージは再送できません。",
        StoreError::SamePerson { .. } => {
            "自分の判断は自分で確認できません。別の人の確認が必要です。"
        }
        StoreError::NameTaken(_) => "この名前はすでに使われています。",
        StoreError::ViewTaken(_) => "同じ名前の表示がすでにあります。",
        StoreError::ManyViews(_) => {
            "保存できる表示の数を超えています。不要なものを削除してください。"
        }
        StoreError::LastAdmin(_) => "最後の管理者です。先に別の管理者を追加してください。",
        StoreError::FromProvider(_) => {
            "シングルサインオンのユーザーです。パスワードと役割は認証基盤側で変更してください。"
        }
        StoreError::Cursor(_) => "ページの位置を解釈できません。一覧の最初から表示してください。",
        StoreError::Accept { source, .. } => match source {
            AcceptError::Resolved => "解決済みの検出事項は受容できません。",
            AcceptError::InThePast { .. } => "期限は今日以降の日付にしてください。",
            AcceptError::NoReason => "理由を入力してください。",
        },
        StoreError::Reopen { source, .. } => match source {
            ReopenError::NotAccepted { .. } => "受容されていない検出事項です。",
            ReopenError::NoReason => "理由を入力してください。",
        },
        StoreError::Proposal { source } => match source {
            ProposalError::NoReason => "理由を入力してください。",
            ProposalError::InThePast(_) => "期限は今日以降の日付にしてください。",
            ProposalError::IdleOfWhat => "未検出による終了は、資産の承認だけに指定できます。",
            ProposalError::ExceptionToWhat => "例外にできるのは承認だけです。",
            ProposalError::NoIdentifier(_) => "指定した種類の識別子を持たない資産があります。",
        },
        _ => return None,
    })
}

fn problem(problem: &Problem) -> String {
    let meant = |word: Option<&str>| {
        word.map_or_else(String::new, |word| format!("({word:?} ではありませんか?)"))
    };
    match problem {
        Problem::Nothing => {
            "検索語、または項目・比較記号(:、=、!=、~、!~、<、<=、>、>=、in)・値が必要です"
                .to_owned()
        }
        Problem::Field { name, meant: word, fields } => {
            format!("{name:?} という項目はありません{}。使える項目: {fields}", meant(*word))
        }
        Problem::Comparison { field, comparison, use_ } => {
            format!("{field} は {comparison:?} で比較できません。使える比較: {use_}")
        }
        Problem::NoValue => "比較記号の後に値がありません".to_owned(),
        Problem::Quote => "引用符で囲む値は、二重引用符で始まり二重引用符で終わります".to_owned(),
        Problem::Parenthesis => "対応する括弧がありません".to_owned(),
        Problem::Port(text) => format!("{text:?} はポートではありません(例: 443、161/udp)"),
        Problem::Network(text) => format!(
            "{text:?} はネットワークではありません(例: 192.0.2.0/24、192.0.2.1-192.0.2.9、アドレス。一部は ~ の後)"
        ),
        Problem::Moment { value, meant: word } => format!(
            "{value:?} は期間(数値と s、m、h、d、w。例: 7d)でも日付(2026-11-22、2026-11、2026、today、yesterday、tomorrow)でもありません{}",
            meant(word.as_deref())
        ),
        Problem::Calendar(text) => {
            format!("{text:?} は暦にありません(1900~9999年。例: 2026-11-22、2026-11)")
        }
        Problem::Length(text) => format!(
            "{text:?} は期間です。期間は <、<=、>、>= で比較します(:、=、!= には 2026-11-22 のような日付)"
        ),
        Problem::Number(text) => format!("{text:?} は整数ではありません"),
        Problem::Flag(text) => format!("{text:?} は yes でも no でもありません"),
        Problem::Word { field, value, meant: word, words } => {
            format!("{value:?} は {field} の値ではありません{}。使える値: {words}", meant(*word))
        }
        Problem::Long => "検索条件が長すぎます".to_owned(),
        Problem::Many => "検索条件の比較が多すぎます".to_owned(),
        Problem::Deep => "括弧と not の入れ子が深すぎます".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use config::JobKind;
    use inventory::{query::Query, store::Offset};
    use model::Identifier;

    use super::*;

    #[test]
    fn words_of_the_program_are_told_in_the_language_of_whoever_reads_them() {
        let (english, japanese) = (Language::English, Language::Japanese);
        for registration in Registration::ALL {
            assert_eq!(english.registration(registration), registration.as_str());
            assert!(!japanese.registration(registration).is_ascii());
        }
        for event in EventKind::ALL {
            assert!(!japanese.event(event).is_ascii());
        }
        for name in Identifier::KINDS.into_iter().chain(config::route::ABOUT) {
            assert!(!japanese.name(name).is_ascii(), "{name}");
        }
        for kind in JobKind::ALL {
            assert!(!japanese.name(kind.as_str()).is_ascii(), "{}", kind.as_str());
        }
        for action in Action::ALL {
            let name = action.as_str();
            assert!(!japanese.deed(name).is_ascii() && english.deed(name) == name, "{name}");
        }
        assert_eq!(japanese.name("of tomorrow"), "of tomorrow");
        let wrong = Query::parse(Kind::Findings, "serverity:critical", Offset::UTC).unwrap_err();
        assert!(japanese.query_error(&wrong).contains("\"severity\" ではありませんか"));
        assert!(english.query_error(&wrong).contains("is \"severity\" meant?"));
    }
}
