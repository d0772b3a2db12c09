//! What a rule means and what is to be done about it, for people who did not write it. Rules that ask
//! for the same are told together. A rule of the registers that is not here fails a test; of the many
//! rules about how a certificate is made, those without words of their own share some.

use crate::web::language::Language;

/// What rules mean and what to do, in English and in Japanese.
struct Meaning {
    rules: &'static [&'static str],
    means: [&'static str; 2],
    mend: [&'static str; 2],
}

/// Of a rule what it means and what is to be done; `None` for one of another version of the program.
pub(super) fn meaning(rule: &str, language: Language) -> Option<(&'static str, &'static str)> {
    let own = MEANINGS.iter().find(|one| one.rules.contains(&rule));
    let of_certificates = || certs::RULES.iter().any(|one| one.id == rule).then_some(&MADE_WRONG);
    let Meaning { means, mend, .. } = own.or_else(of_certificates)?;
    let ([english, japanese], [do_it, nihongo]) = (means, mend);
    Some(match language {
        Language::English => (english, do_it),
        Language::Japanese => (japanese, nihongo),
    })
}

/// How a certificate is made.
const MADE_WRONG: Meaning = Meaning {
    rules: &[],
    means: [
        "The certificate is not made as the standard asks. Some clients refuse it, others take it \
         for something else than was meant.",
        "証明書が規格どおりに作られていません。拒否したり、意図と異なる解釈をしたりするクライアントがあります。",
    ],
    mend: [
        "Have it issued anew without this fault, and tell whoever runs the authority: what it issues \
         next has the same.",
        "この問題のない証明書を再発行し、認証局の管理者に伝えてください。同じ問題が今後の証明書にも生じます。",
    ],
};

const MEANINGS: &[Meaning] = &[
    Meaning {
        rules: &["device.unregistered"],
        means: [
            "A device is on the network that no entry of the device register matches and nobody \
             approved.",
            "台帳のどの登録とも一致せず、承認もされていない機器がネットワークにあります。",
        ],
        mend: [
            "Find out whose it is. Approve it or enter it in the register if it belongs here; \
             otherwise reject it and take it off the network.",
            "持ち主を確認してください。業務に必要なら承認するか台帳に登録し、そうでなければ却下してネットワークから外してください。",
        ],
    },
    Meaning {
        rules: &["device.rejected"],
        means: [
            "A device is on the network of which somebody decided that it must not be there.",
            "接続してはならないと判断された機器がネットワークにあります。",
        ],
        mend: [
            "Take it off the network: its addresses and where it was seen are below. If the decision \
             is out of date, decide anew.",
            "下のアドレスと検出場所を手がかりに、ネットワークから外してください。判断が古い場合は、改めて判断してください。",
        ],
    },
    Meaning {
        rules: &["device.expired"],
        means: [
            "The device was approved until a day that is over, and is still there.",
            "承認の期限が過ぎた機器が、まだネットワークにあります。",
        ],
        mend: [
            "Ask its owner whether it is still needed. Approve it for longer, or take it off.",
            "まだ必要かを担当者に確認し、期限を延ばして承認するか、ネットワークから外してください。",
        ],
    },
    Meaning {
        rules: &["device.retired-seen"],
        means: [
            "A device that was taken out of service is on the network again.",
            "廃止したはずの機器がネットワークにあります。",
        ],
        mend: [
            "Find it: it may have been put back to use without anybody knowing, or have been lost. \
             Take it off, or approve it again.",
            "所在を確認してください。無断での再利用や紛失の可能性があります。ネットワークから外すか、改めて承認してください。",
        ],
    },
    Meaning {
        rules: &["device.missing"],
        means: [
            "A registered device was looked for often enough where it should be, and was not there.",
            "登録済みの機器を、あるはずの場所で十分な回数探しましたが、見つかりませんでした。",
        ],
        mend: [
            "Ask its owner. If it is gone, retire it in the register; if it was moved, correct its \
             addresses there.",
            "担当者に確認してください。なくなっていれば台帳で廃止とし、移動していればアドレスを修正してください。",
        ],
    },
    Meaning {
        rules: &["device.conflicting"],
        means: [
            "What identifies the device belongs to different entries of the register, or contradicts \
             its own entry.",
            "この機器の識別子が、台帳の複数の登録に属しているか、自身の登録と矛盾しています。",
        ],
        mend: [
            "Compare the identifiers below with the entry, and correct the register. A device that \
             took over another's address or name shows like this as well.",
            "下の識別子を台帳と照合し、台帳を修正してください。他の機器のアドレスや名前を使っている場合もあります。",
        ],
    },
    Meaning {
        rules: &["device.identity-uncertain"],
        means: [
            "It looks like a registered device, but only what anybody can change says so.",
            "登録済みの機器に見えますが、変更できる識別子だけが根拠です。",
        ],
        mend: [
            "Enter its own MAC address or serial number in the register, so that it can be told for \
             certain.",
            "確実に特定できるよう、機器固有のMACアドレスかシリアル番号を台帳に登録してください。",
        ],
    },
    Meaning {
        rules: &["software.forbidden"],
        means: [
            "A program runs or is installed that the register forbids or that somebody rejected.",
            "台帳で禁止されているか、却下されたソフトウェアが使われています。",
        ],
        mend: [
            "Remove it. Where it is needed after all, decide about the product, perhaps as an \
             exception for these assets.",
            "削除してください。必要な場合は、この資産だけの例外とするなど、製品について判断してください。",
        ],
    },
    Meaning {
        rules: &["software.unregistered"],
        means: [
            "A program was seen that no entry of the software register allows on this asset.",
            "台帳でこの資産に許可されていないソフトウェアが見つかりました。",
        ],
        mend: [
            "Find out what it is for. Approve the product or enter it in the register, or remove it.",
            "用途を確認し、製品を承認するか台帳に登録するか、削除してください。",
        ],
    },
    Meaning {
        rules: &["software.version-not-approved"],
        means: [
            "The product is allowed, but not in this version.",
            "許可された製品ですが、このバージョンは許可されていません。",
        ],
        mend: [
            "Update it to a version that is allowed, or approve this one.",
            "許可されたバージョンに更新するか、このバージョンを承認してください。",
        ],
    },
    Meaning {
        rules: &["software.support-ended"],
        means: [
            "Its maker gives no more updates for this version, or soon will not.",
            "このバージョンは更新が提供されないか、まもなく提供されなくなります。",
        ],
        mend: [
            "Plan the move to a version that is supported. Approve it as an exception until then.",
            "サポートのあるバージョンへの移行を計画し、それまでは例外として承認してください。",
        ],
    },
    Meaning {
        rules: &["software.required-missing"],
        means: [
            "The register says that this asset has to have the product, and it was not found.",
            "台帳で必須とされたソフトウェアが、この資産で見つかりません。",
        ],
        mend: [
            "Install it, or correct the scope of the entry in the software register.",
            "導入するか、ソフトウェア台帳の対象範囲を修正してください。",
        ],
    },
    Meaning {
        rules: &["cert.unapproved-issuer"],
        means: [
            "The certificate is from an authority that is not in the register of issuers and that \
             nobody approved.",
            "発行者の台帳になく、承認もされていない認証局の証明書です。",
        ],
        mend: [
            "Have the server use a certificate of an approved authority, or decide about this one.",
            "承認された認証局の証明書に替えるか、この発行者について判断してください。",
        ],
    },
    Meaning {
        rules: &[
            "cert.expired",
            "cert.expiring",
            "ssh.certificate-expired",
            "ssh.certificate-expiring",
        ],
        means: [
            "After its end clients refuse the certificate, and the service stands still.",
            "有効期限を過ぎるとクライアントは証明書を拒否し、サービスが停止します。",
        ],
        mend: [
            "Renew it and put the new one in every place that is named with it.",
            "更新し、使用しているすべての場所で新しい証明書に入れ替えてください。",
        ],
    },
    Meaning {
        rules: &[
            "cert.renewed-not-everywhere",
            "cert.renewed-same-key",
            "cert.renewed-other-issuer",
        ],
        means: [
            "The certificate was renewed, but not as a renewal should be: it stands elsewhere in its \
             old form, has the key of the one before, or is from another issuer.",
            "証明書の更新に不備があります。古い証明書が残っているか、以前の鍵を使い続けているか、発行者が変わっています。",
        ],
        mend: [
            "Put the new one in every place, with a new key, and find out whether the change of \
             issuer was meant.",
            "すべての場所で新しい鍵の証明書に入れ替え、発行者の変更が意図したものか確認してください。",
        ],
    },
    Meaning {
        rules: &["cert.missing-intermediate"],
        means: [
            "The server does not send a certificate that stands between its own and the root. Clients \
             that do not know it from elsewhere refuse the server.",
            "サーバーが中間証明書を送っていません。それを持たないクライアントは接続を拒否します。",
        ],
        mend: [
            "Set the server up with the whole chain, as the authority hands it out.",
            "認証局が配布するチェーン全体をサーバーに設定してください。",
        ],
    },
    Meaning {
        rules: &[
            "cert.expired-issuer",
            "cert.unknown-issuer",
            "cert.self-signed",
            "cert.name-mismatch",
            "cert.bad-signature",
            "cert.revoked",
            "cert.chain-refused",
        ],
        means: [
            "Clients refuse this certificate, or would if they looked: it leads to no root that they \
             trust, or is not for this server any more.",
            "クライアントが拒否する証明書です。信頼されたルートに至らないか、このサーバーでは有効でありません。",
        ],
        mend: [
            "Have the server use a certificate of a trusted authority for the names by which it is \
             asked for. A root of your own is trusted where the configuration names it.",
            "接続に使う名前に対して、信頼された認証局が発行した証明書を使ってください。独自のルートは設定で信頼できます。",
        ],
    },
    Meaning {
        rules: &["cert.weak-key", "cert.weak-signature"],
        means: [
            "The key or the signature can be forged with what can be bought today or soon.",
            "鍵または署名が弱く、現在または近い将来に偽造される恐れがあります。",
        ],
        mend: [
            "Have it issued anew with a key and a signature of today's strength.",
            "現在の基準を満たす鍵と署名で再発行してください。",
        ],
    },
    Meaning {
        rules: &["crl.outdated", "crl.bad-signature"],
        means: [
            "Without a sound and fresh list nobody can tell which certificates were revoked.",
            "正しく新しい失効リストがないと、証明書の失効を確認できません。",
        ],
        mend: [
            "Fetch the list anew from the authority. Where it is old there as well, tell whoever runs \
             it.",
            "認証局から失効リストを取得し直してください。配布元でも古い場合は、認証局の管理者に連絡してください。",
        ],
    },
    Meaning {
        rules: &["key.readable"],
        means: [
            "Whoever can sign in to the machine can copy the key, and then be the server.",
            "その機器を使えるすべての人が秘密鍵を複製でき、サーバーになりすませます。",
        ],
        mend: [
            "Let only the server's own account read the file. Whether it was copied nobody can say: a \
             new key is safer.",
            "サーバーのアカウントだけがファイルを読めるようにしてください。複製された可能性があるため、鍵の作り直しを勧めます。",
        ],
    },
    Meaning {
        rules: &[
            "tls.ssl2",
            "tls.ssl3",
            "tls.old-version",
            "tls.null",
            "tls.anonymous",
            "tls.export",
            "tls.des",
            "tls.rc4",
            "tls.3des",
            "tls.short-dh",
            "tls.compression",
            "tls.insecure-renegotiation",
        ],
        means: [
            "The server takes part in a way of encrypting that is broken or weak. Whoever stands \
             between can make both sides use it.",
            "サーバーが、破られたか弱い暗号方式を受け入れます。通信経路上の第三者に利用される恐れがあります。",
        ],
        mend: [
            "Turn it off in the settings of the server's TLS. A sweep that asks again resolves this.",
            "サーバーのTLS設定で無効にしてください。次のスキャンで確認されると解決します。",
        ],
    },
    Meaning {
        rules: &[
            "dhcp.rogue-server",
            "ra.rogue-router",
            "dns.unapproved-resolver",
            "ntp.unapproved-server",
        ],
        means: [
            "Other devices take addresses, routes, names or the time from a device that is not \
             approved for that, or are made to.",
            "承認されていない機器が、アドレス・経路・名前・時刻を他の機器に配っているか、使われています。",
        ],
        mend: [
            "Find the device and take the service away, or approve it in the configuration.",
            "その機器を確認してサービスを停止するか、設定で承認してください。",
        ],
    },
    Meaning {
        rules: &["cleartext.in-use"],
        means: [
            "What is sent can be read and changed on the way, passwords as well.",
            "通信内容が、パスワードも含めて途中で読み取られたり改ざんされたりする恐れがあります。",
        ],
        mend: [
            "Use the encrypted form of the protocol, and turn this one off.",
            "暗号化されたプロトコルに替え、これを無効にしてください。",
        ],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_says_what_it_means_and_what_to_do() {
        let of_registers: Vec<&str> =
            inventory::compare::RULES.iter().map(|rule| rule.id).collect();
        let of_certificates: Vec<&str> = certs::RULES.iter().map(|rule| rule.id).collect();
        for rule in &of_registers {
            let own = MEANINGS.iter().filter(|one| one.rules.contains(rule)).count();
            assert_eq!(own, 1, "{rule}");
        }
        for rule in of_registers.iter().chain(&of_certificates) {
            let (english, mend) = meaning(rule, Language::English).unwrap();
            let (japanese, nihongo) = meaning(rule, Language::Japanese).unwrap();
            assert!(english.is_ascii() && mend.is_ascii() && english != mend, "{rule}");
            assert!(!japanese.is_ascii() && !nihongo.is_ascii(), "{rule}");
        }
        let known = |rule: &&str| of_registers.contains(rule) || of_certificates.contains(rule);
        let gone: Vec<_> =
            MEANINGS.iter().flat_map(|one| one.rules).filter(|r| !known(r)).collect();
        assert!(gone.is_empty(), "rules that are no more: {gone:?}");
        assert_eq!(meaning("device.of-tomorrow", Language::English), None);
    }
}
