//! What the lists say.

use inventory::query::Kind;

use crate::web::words::words;

words! {
    /// The texts of the lists.
    Lists {
        assets: "Assets", "資産";
        services: "Services", "サービス";
        software: "Software", "ソフトウェア";
        certificates: "Certificates", "証明書";
        findings: "Findings", "検出事項";
        query: "Search", "検索";
        query_help: "Words, or such as site:plant and seen<7d", "語句、または site:plant and seen<7d など";
        search: "Search", "検索";
        how: "How to ask", "検索条件の書き方";
        fields: "Fields", "項目";
        how_words: "looked for in names, addresses, MACs, makers and products", "名前・アドレス・MAC・メーカー・製品から探します";
        how_colon: "a part of a text, the whole of a word, a port or a network; one of several with commas", "文字列の一部、単語、ポート、ネットワーク。コンマで区切ると、いずれか";
        how_equals: "the whole of a text, or not (!=); with ~ and !~ a part of it", "文字列全体(!= は否定)。~ と !~ は一部";
        how_age: "less than so long ago; of expires and renew from now on (s, m, h, d, w)", "現在までの期間。expires と renew は今後の期間(s、m、h、d、w)";
        how_day: "from that day on; a month (2026-11) and a year (2026) work likewise, with <, <=, > and >=", "その日以降。月(2026-11)と年(2026)、<、<=、>、>= も使えます";
        how_on: "on that day, in that month or year; today, yesterday and tomorrow are days, too", "その日・その月・その年。today、yesterday、tomorrow も使えます";
        how_logic: "all of it, one of it, not it; quotes keep words together", "すべて・いずれか・否定。引用符で語をまとめます";
        wrong_query: "The search cannot be read.", "検索条件を解釈できません。";
        total: "in all", "件";
        nothing: "Nothing matches.", "該当なし。";
        next: "Next page", "次のページ";
        first: "First page", "最初のページ";
        decide: "Approve, investigate, reject or retire", "承認・調査・却下・廃止";
        decide_all: "Decide about all of these", "表示中のすべてについて決定";
        decide_products: "Decide about all of these products", "表示中のすべての製品について決定";
        closed_too: "Also those that are accepted or resolved", "受容済み・解決済みも表示";
        open_alone: "Only those that are open", "未解決だけを表示";
        accept: "Accept", "受容";
        calendar: "Calendar", "カレンダー";
        narrow: "Narrow down", "絞り込み";
        columns: "Columns", "列";
        export: "As a file", "ファイル出力";
        id: "No.", "番号";
        site: "Site", "拠点";
        address: "Address", "アドレス";
        name: "Name", "名前";
        mac: "MAC", "MAC";
        vendor: "Maker", "メーカー";
        class: "Class", "種類";
        os: "System", "OS";
        registration: "Registration", "登録状況";
        reason: "Reason", "理由";
        ports: "Open", "開放ポート";
        first_seen: "First seen", "初検出";
        last_seen: "Last seen", "最終検出";
        asset: "Asset", "資産";
        port: "Port", "ポート";
        transport: "Transport", "トランスポート";
        state: "State", "状態";
        protocol: "Protocol", "プロトコル";
        product: "Product", "製品";
        version: "Version", "バージョン";
        cpe: "CPE", "CPE";
        tls: "TLS", "TLS";
        source: "Told by", "情報源";
        subject: "Subject", "対象";
        issuer: "Issuer", "発行者";
        key: "Key", "鍵";
        trust: "Trust", "信頼";
        problems: "Problems", "問題";
        expires: "Ends", "有効期限";
        renew: "Renew by", "更新期限";
        places: "Where", "場所";
        owner: "Owner", "担当";
        department: "Department", "部署";
        location: "Location", "設置場所";
        entry: "Entry of the register", "台帳の登録";
        severity: "Severity", "重大度";
        rule: "Rule", "ルール";
        title: "What is wrong", "内容";
        identifiers: "Identifiers", "識別子";
        strength: "Strength", "強さ";
        current: "Now", "現在";
        because: "Why", "根拠";
        events: "What happened", "履歴";
        observations: "What was observed", "観測";
        method: "How", "方法";
        fact: "What", "事実";
        times: "Times", "回数";
        detail: "Detail", "詳細";
        kind: "Kind", "種別";
        class_reasons: "Why this class", "種類の根拠";
        os_reasons: "Why this system", "OSの根拠";
    }
}

impl Lists {
    /// How it is asked, each with what it means.
    pub(super) const fn examples(&self) -> [(&'static str, &'static str); 7] {
        [
            ("nginx", self.how_words),
            ("name:prn,srv", self.how_colon),
            ("name=\"prn 7\"", self.how_equals),
            ("seen<7d", self.how_age),
            ("seen>=2026-11-22", self.how_day),
            ("first:2026-11", self.how_on),
            ("seen<7d and not (first:today or name~test)", self.how_logic),
        ]
    }

    pub(super) const fn title(&self, kind: Kind) -> &'static str {
        match kind {
            Kind::Assets => self.assets,
            Kind::Services => self.services,
            Kind::Software => self.software,
            Kind::Certificates => self.certificates,
            Kind::Findings => self.findings,
        }
    }

    /// What a field of the query language is called; fields keep their names where they have none.
    pub(super) fn field(&self, field: &'static str) -> &'static str {
        match field {
            "class" => self.class,
            "registration" => self.registration,
            "site" => self.site,
            "trust" => self.trust,
            "key" => self.key,
            "severity" => self.severity,
            "state" => self.state,
            "rule" => self.rule,
            "protocol" => self.protocol,
            "port" => self.port,
            "transport" => self.transport,
            "product" => self.product,
            "version" => self.version,
            other => other,
        }
    }
}
