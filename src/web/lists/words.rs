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
        query_help: "Words, or such as class:printer and seen<7d", "語句、または class:printer and seen<7d など";
        search: "Search", "検索";
        wrong_query: "The search cannot be read.", "検索条件を解釈できません。";
        total: "in all", "件";
        nothing: "Nothing matches.", "該当なし。";
        next: "Next page", "次のページ";
        first: "First page", "最初のページ";
        decide: "Approve, investigate, reject or retire", "承認・調査・却下・廃止";
        decide_all: "Decide about all of these", "表示中のすべてについて決定";
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
