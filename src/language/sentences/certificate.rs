//! What the rules of certificates say (`certs::rules`), and the places where certificates are
//! (`inventory::compare`).

use super::Pattern;

#[rustfmt::skip]
pub(super) const ALL: &[Pattern] = &[
    // Where it is, and what is wrong with it.
    ("{} on {?}: {+}", "{1} の {0}: {2}"),
    ("{} on {?}: {=}", "{1} の {0}: {2}"),
    ("{} as {} ({})", "{0}、名前 {1} ({2})"),
    ("its issuer {} is not on the issuer register", "発行者 {0} が発行者台帳にない"),

    // Validity.
    ("it expired at {}, {?} ago", "{0} に有効期限切れ({1}前)"),
    ("it is valid from {}, in {?}", "{0} から有効({1}後)"),
    ("it expires at {}, in {?} of {?}", "{0} に期限切れ(有効期間{2}のうち残り{1})"),
    ("it is valid from {} to {}, which is no time at all", "有効期間が {0} から {1} までで、期間がない"),
    ("{} is written as {}", "{0} の書式が {1}"),
    ("a date is written as {}", "日時の表記が {0}"),
    ("issued at {}, it is valid for {?}; {#} days are allowed", "発行日時は {0}、有効期間は{1}(上限{2}日)"),

    // Key and signature.
    ("its key is {}, which no current standard allows", "鍵の種類 {0} は現行の標準で認められていない"),
    ("its key is {}, which no current standard allows, and short with {#} bits", "鍵の種類 {0} は現行の標準で認められておらず、{1}ビットと短い"),
    ("its {} key has {#} bits, at least {#} are wanted", "{0}鍵が{1}ビット({2}ビット以上が必要)"),
    ("its exponent is 0x{}", "公開指数が 0x{0}"),
    ("its modulus is divisible by {}", "法が {0} で割り切れる"),
    ("it has {#} bits", "{0}ビット"),
    ("given by its numbers", "名前のない曲線"),
    ("its curve is {?}", "曲線は {0}"),
    ("the parameters of its {} key are {?}", "{0}鍵のパラメーターが {1}"),
    ("the parameters of {} are {?}", "{0} のパラメーターが {1}"),
    ("none", "なし"),
    ("it is signed with {}", "署名方式は {0}"),
    ("inside it says {}, outside {}", "内側の署名方式は {0}、外側は {1}"),

    // How it is put together.
    ("it is of version {#}, which some clients refuse", "バージョン{0}(拒否するクライアントがある)"),
    ("it is of version {#}", "バージョン{0}"),
    ("in version 1, which has none at all", "固有識別子のないバージョン1に記載"),
    ("an authority must not write any", "認証局は記載してはならない"),
    ("it is {=}", "値は {0}"),
    ("it has {#} bytes", "{0}バイト"),
    ("the name is empty", "名前が空"),
    ("{} more than once", "{0} が重複"),
    ("{} (section {})", "{0} (RFC 5280 {1}節)"),
    ("it has the poison extension of Certificate Transparency", "Certificate Transparencyのポイズン拡張がある"),
    ("it has the poison extension of Certificate Transparency, and signed timestamps, which it must not have", "Certificate Transparencyのポイズン拡張と、あってはならない署名付きタイムスタンプがある"),
    ("it holds none", "中身がない"),
    ("no bit of its key usage is set", "鍵用途のビットがすべて0"),

    // What it is for.
    ("it has no extended key usage", "拡張鍵用途がない"),
    ("where it identifies a client, its successor will not", "クライアント認証に使っている場合、更新後は使えなくなる"),
    ("whoever wants a certain purpose may refuse it", "特定の用途を求める相手に拒否される可能性がある"),
    ("they must not be", "クリティカルであってはならない"),
    ("it must be", "クリティカルでなければならない"),
    ("{=} with {=}", "{1} に {0}"),

    // The subject.
    ("the subject's {+}", "主体者の {0}"),
    ("the issuer's {+}", "発行者の {0}"),
    ("{=} is not a PrintableString", "{0} がPrintableStringでない"),
    ("{=} is not of two letters", "{0} が2文字でない"),
    ("{=} is not in capitals", "{0} が大文字でない"),
    ("has {#} characters, {#} are allowed", "が{0}文字(上限{1}文字)"),
    ("{=} is \"{}\"", "{0} が \"{1}\""),
    ("no countryName", "countryName(国)がない"),
    ("no organizationName", "organizationName(組織)がない"),
    ("no commonName", "commonName(一般名)がない"),

    // Authorities.
    ("its subject is empty", "主体者が空"),
    ("a client that does not know them would take a leaf for an authority", "基本制約を知らないクライアントが末端証明書を認証局と誤認する"),
    ("it has no key usage", "鍵用途がない"),
    ("its key may be used for nothing", "鍵に用途がない"),
    ("its key may be used for {} only", "鍵の用途が {0} のみ"),
    ("it has no subject key identifier", "主体者鍵識別子がない"),
    ("it has no authority key identifier with a key's", "認証局鍵識別子がない"),
    ("its key usage is {}", "鍵用途は {0}"),
    ("it is an authority and names {?}", "認証局であり、{0} を名前に含む"),
    ("the limit is negative", "制限値が負"),
    ("it may not issue certificates", "証明書を発行できない"),
    ("it has name constraints and is no authority", "認証局ではないのに名前制約がある"),
    ("a minimum other than 0", "0以外の最小値"),
    ("a maximum", "最大値"),
    ("it maps anyPolicy", "anyPolicyを対応付けている"),

    // Revocation and policies.
    ("it has no address of a revocation list and none of an OCSP responder", "失効リストのアドレスもOCSPレスポンダーのアドレスもない"),
    ("it has reasons alone, or nothing", "理由のみ、または何もない"),
    ("a name of kind {#}", "種類{0}の名前"),
    ("the method {}", "方法 {0}"),
    ("it has no certificate policies", "証明書ポリシーがない"),

    // Names.
    ("it has no subject alternative name, and clients no longer read the common name", "サーバー名(SAN)がなく、一般名はクライアントが参照しない"),
    ("its subject is empty and it has no alternative name", "主体者もサーバー名(SAN)もない"),
    ("its subject is empty, so the alternative name must be critical", "主体者が空のため、SANはクリティカルでなければならない"),
    ("one of its alternative names is empty", "SANに空の名前がある"),
    ("{=} has a NUL in it, at which some clients stop to read", "{0} にNUL文字があり、そこで読み取りを終えるクライアントがある"),
    ("{=} has a space in it", "{0} に空白がある"),
    ("{=} is not written in ASCII", "{0} がASCIIでない"),
    ("{=} has a character that no host name has", "{0} にホスト名で使えない文字がある"),
    ("{=} has an underscore", "{0} に下線がある"),
    ("{=} stands for every name there is", "{0} がすべての名前を表す"),
    ("{=} has a star that is not its whole first label", "{0} の「*」が先頭ラベル全体でない"),
    ("{=} starts with a period", "{0} がピリオドで始まる"),
    ("{=} has an empty label", "{0} に空のラベルがある"),
    ("{=} is longer than 253 bytes", "{0} が253バイトを超える"),
    ("{=} has a label above 63 bytes", "{0} に63バイトを超えるラベルがある"),
    ("{=} has a label with a hyphen at its edge", "{0} にハイフンで始まる、または終わるラベルがある"),
    ("{=} has hyphens where only xn-- has them", "{0} の3・4文字目が予約されたハイフン"),
    ("{=} is an address", "{0} がアドレス"),
    ("an address of {#} bytes", "{0}バイトのアドレス"),
    ("{=} is a single label", "{0} が単一のラベル"),
    ("{=} is in a reserved domain", "{0} が予約されたドメイン"),
    ("{} is reserved", "{0} は予約済み"),
    ("an otherName", "otherName"),
    ("an rfc822Name", "rfc822Name"),
    ("an x400Address", "x400Address"),
    ("a directoryName", "directoryName"),
    ("an ediPartyName", "ediPartyName"),
    ("a uniformResourceIdentifier", "uniformResourceIdentifier"),
    ("a registeredID", "registeredID"),
    ("a kind that does not exist", "存在しない種類"),
    ("{=} is not ASCII", "{0} がASCIIでない"),
    ("{=} has no scheme", "{0} にスキームがない"),

    // Renewals.
    ("it was renewed by sha256 {}, and the old one is served again on {?}", "sha256 {0} に更新済みだが、更新前の証明書が再び使用されている: {1}"),
    ("it was renewed by sha256 {} on {?}, and the old one is still served on {#} of {#} places: {?}", "{1} では sha256 {0} に更新済みだが、{3}か所のうち{2}か所で更新前の証明書が使用されている: {4}"),
    ("it has the key of sha256 {}", "sha256 {0} と同じ鍵"),
    ("issued by {}; the one before by {}", "発行者は {0}、以前の発行者は {1}"),
    ("{} on {} has a private key without a password and the mode {}", "{1} の {0} にパスワードのない秘密鍵があり、ファイルモードが {2}"),

    // SSH and TLS.
    ("{} ({}): {+}", "{0} ({1}): {2}"),
    ("that of its {} key ends at {}", "{0}鍵の証明書の期限は {1}"),
    ("its prime for Diffie-Hellman has {#} bits", "Diffie-Hellmanの素数が{0}ビット"),
    ("it chose to compress by DEFLATE", "DEFLATEによる圧縮を選択"),
    ("it chose to compress by method {#}", "方式{0}による圧縮を選択"),
    ("it does not say that it renegotiates securely", "安全な再ネゴシエーションへの対応を示さない"),
    ("it accepts {&}", "{0} を受け入れる"),
];
