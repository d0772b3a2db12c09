//! What all pages say, in each language. A part of the page with many texts has a table of its own
//! by [`words!`].

pub(crate) use crate::language::words;

use super::trouble::Trouble;

words! {
    /// The texts of all pages.
    Words {
        // Around every page.
        skip: "Skip to the content", "本文へ移動";
        navigation: "Navigation", "メニュー";
        language: "Language", "言語";
        theme: "Colours", "配色";
        theme_system: "as the system", "システムに合わせる";
        theme_light: "light", "ライト";
        theme_dark: "dark", "ダーク";
        apply: "Apply", "適用";
        sign_in: "Sign in", "サインイン";
        sign_out: "Sign out", "サインアウト";
        times: "Times:", "時刻:";
        as_of: "As of", "時点";
        back: "Back", "戻る";
        earlier: "Earlier ones", "以前のもの";
        latest: "The latest ones", "最新に戻る";

        // The parts.
        overview: "Overview", "概要";
        assets: "Assets", "資産";
        services: "Services", "サービス";
        software: "Software", "ソフトウェア";
        certificates: "Certificates", "証明書";
        findings: "Findings", "検出事項";
        map: "Map", "マップ";
        site: "Site", "拠点";
        scans: "Scans", "スキャン";
        decisions: "Decisions", "承認";
        registers: "Registers", "台帳";
        jobs: "Jobs", "ジョブ";
        alerts: "Alerts", "通知";
        audit: "Audit", "監査記録";
        doctor: "Doctor", "診断";
        users: "Users", "ユーザー管理";
        account: "Account", "アカウント";

        // Signing in.
        name: "Name", "名前";
        password: "Password", "パスワード";
        wrong_password: "Name or password is wrong.", "名前またはパスワードが違います。";
        or_by_password: "or by password", "またはパスワードでサインイン";
        no_passwords: "Nobody signs in by password here.", "パスワードによるサインインは使えません。";
        sign_out_there: "Sign out of the single sign-on as well", "シングルサインオンからもサインアウトする";
        from_provider: "You sign in by single sign-on; your password and your role are kept there.", "シングルサインオンのユーザーです。パスワードと役割は認証基盤で管理されます。";

        // What went wrong.
        trouble_sign_in: "Sign in to see this.", "表示するにはサインインが必要です。";
        trouble_role: "Your role does not allow this. It takes:", "権限がありません。必要な役割:";
        trouble_forged: "This was not sent from a page of this session. Load the page again and repeat it.", "この画面から送信されたものではありません。ページを再読み込みして、もう一度操作してください。";
        trouble_host: "This page is not known by that name. An administrator can add it (web.names).", "この名前ではページを表示できません。管理者が web.names に追加できます。";
        trouble_not_found: "There is nothing here.", "ページが見つかりません。";
        look_below: "This cannot be used yet: what is wrong stands beside its field.", "入力に誤りがあります。各項目の表示を確認してください。";
        heading_not_found: "Nothing here", "ページが見つかりません";
        heading_not_allowed: "Not allowed", "許可されていません";
        heading_unusable: "This cannot be used", "入力を処理できません";
        heading_later: "Later", "しばらくお待ちください";
        heading_failed: "Something went wrong", "エラー";
        trouble_method: "This page is not asked for in that way.", "このページではその操作はできません。";
        problem_sign_in: "a key, or somebody who is signed in, is needed", "キー、またはサインインが必要です";
        problem_role: "it takes this role, or a scope of it:", "次の権限、またはその範囲が必要です:";
        problem_method: "the header Allow has how it is asked for", "使える操作はヘッダー Allow にあります";
        trouble_too_large: "That is more than is read.", "サイズが大きすぎます。";
        trouble_late: "It took too long to arrive.", "受信に時間がかかりすぎました。";
        trouble_wait: "Too many attempts. Wait a little.", "試行回数が多すぎます。しばらくお待ちください。";
        trouble_invalid: "This cannot be used.", "入力を処理できません。";
        trouble_conflict: "This cannot be done.", "実行できません。";
        trouble_failed: "Something went wrong here. The log of the service says more, by this reference:", "エラーが発生しました。詳細はサービスのログにあります。参照番号:";

        // The account.
        role: "Role", "役割";
        role_viewer: "viewer", "閲覧者";
        role_operator: "operator", "運用者";
        role_approver: "approver", "承認者";
        role_admin: "admin", "管理者";
        change_password: "Change the password", "パスワードの変更";
        old_password: "Present password", "現在のパスワード";
        new_password: "New password (at least 12 letters)", "新しいパスワード(12文字以上)";
        repeat_password: "The new password again", "新しいパスワード(確認)";
        not_same: "The two new passwords are not the same.", "新しいパスワードが一致しません。";
        password_changed: "The password was changed. All other sessions were ended.", "パスワードを変更しました。他のセッションはすべて終了しました。";
        sessions: "Sessions", "セッション";
        this_session: "this one", "このセッション";
        since: "Since", "開始";
        last_used: "Last used", "最終使用";
        address: "Address", "アドレス";
        browser: "Browser", "ブラウザー";
        end_others: "End all other sessions", "他のセッションをすべて終了";
        others_ended: "All other sessions were ended.", "他のセッションをすべて終了しました。";
    }
}

impl Words {
    /// The heading of a page that says what went wrong.
    pub(crate) const fn trouble_heading(&self, trouble: &Trouble) -> &'static str {
        match trouble {
            Trouble::SignIn => self.sign_in,
            Trouble::Role(_) | Trouble::Forged(_) | Trouble::WrongHost => self.heading_not_allowed,
            Trouble::NotFound | Trouble::Method => self.heading_not_found,
            Trouble::Unread(_)
            | Trouble::TooLarge
            | Trouble::Invalid(_)
            | Trouble::Unreadable(_)
            | Trouble::Query(_)
            | Trouble::Conflict(_)
            | Trouble::Refused { .. } => self.heading_unusable,
            Trouble::Late | Trouble::Wait(_) => self.heading_later,
            Trouble::Failed(_) => self.heading_failed,
        }
    }

    /// What a role is called.
    pub(crate) const fn role_name(&self, role: inventory::user::Role) -> &'static str {
        use inventory::user::Role;
        match role {
            Role::Viewer => self.role_viewer,
            Role::Operator => self.role_operator,
            Role::Approver => self.role_approver,
            Role::Admin => self.role_admin,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Language;

    #[test]
    fn each_language_speaks_for_itself() {
        let [english, japanese] = Language::ALL.map(Words::of);
        assert_ne!(english.overview, japanese.overview);
        assert!(!japanese.sign_in.is_ascii());
    }
}
