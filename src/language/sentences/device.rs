//! Devices and software against their registers, and what devices do in the network
//! (`inventory::compare`).

use super::Pattern;

#[rustfmt::skip]
pub(super) const ALL: &[Pattern] = &[
    // Devices.
    ("no device register was imported", "機器台帳が取り込まれていない"),
    ("none of its identifiers is in the device register", "どの識別子も機器台帳にない"),
    ("its MAC {} belongs to {&}", "MACアドレス {0} は {1} のもの"),
    ("its serial numbers belong to {&}", "シリアル番号は {0} のもの"),
    ("its host names belong to {&}", "ホスト名は {0} のもの"),
    ("its addresses belong to {&}", "アドレスは {0} のもの"),
    ("its host name {} belongs to {&}, whose MAC is another than {}", "ホスト名 {0} は {1} のものだが、MACアドレスが {2} と異なる"),
    ("{} belongs to {&}, whose MAC is another than {}", "{0} は {1} のものだが、MACアドレスが {2} と異なる"),
    ("{+} belongs to {}, its {+} to {&}", "{0} は {1} のもの、{2} は {3} のもの"),
    ("MAC {}", "MACアドレス {0}"),
    ("MAC {}, which software chose and may change (weak)", "MACアドレス {0}(ソフトウェアが決めたもので、変わることがある。弱い根拠)"),
    ("serial number {}", "シリアル番号 {0}"),
    ("host name {}", "ホスト名 {0}"),
    ("host name {}, which only the name server told: its entry lists a MAC, which was not seen", "ホスト名 {0}(DNSサーバーだけの情報。台帳のMACアドレスは検出されていない)"),
    ("address {}", "アドレス {0}"),
    ("address {} only (weak)", "アドレス {0} のみ(弱い根拠)"),
    ("address {} only: its entry lists a MAC or host name, which was not seen", "アドレス {0} のみ(台帳のMACアドレスまたはホスト名は検出されていない)"),
    ("address {} is in {} (weak)", "アドレス {0} は {1} の範囲内(弱い根拠)"),
    ("{+}; only changeable identifiers name it, so it may be a known device under new ones", "{0}。変わりうる識別子しかないため、既知の機器の識別子が変わっただけの可能性がある"),
    ("matches {} by {+}", "{0} に一致: {1}"),
    ("{+}, which is rejected", "{0}。この登録は却下されている"),
    ("{+}, which is retired, and was not seen since", "{0}。この登録は廃止済みで、その後は検出されていない"),
    ("{+}, which is retired", "{0}。この登録は廃止済み"),
    ("{+}, whose approval ended with {}", "{0}。承認は {1} に終了"),
    ("{+}, which is approved only from {} on", "{0}。承認は {1} から有効"),
    ("{+}, and was looked for in vain since it was last seen", "{0}。最後の検出以降、探したが見つからない"),
    ("{+}; last seen {}", "{0}。最終検出 {1}"),
    ("not on the network, and need not be", "ネットワーク上にないが、その必要もない"),
    ("never seen, and no address says where to look for it", "検出されたことがなく、探すべきアドレスも登録されていない"),
    ("never seen, and not looked for often enough", "検出されたことがなく、調査の回数もまだ足りない"),
    ("never seen, though looked for at least {#} times at {?}", "{1} で{0}回以上探したが、検出されたことがない"),

    // Software.
    ("nothing of it at {?}, where it answers elsewhere", "ほかの機器では応答する {0} で検出されない"),
    ("{+}; seen by {?}", "{0}。根拠: {1}"),
    ("{?}; seen by {?}", "{0}。根拠: {1}"),
    ("its own word", "機器自身の申告"),
    ("the register forbids {} any", "台帳で {0} はすべてのバージョンが禁止されている"),
    ("the register forbids {}", "台帳で {0} は禁止されている"),
    ("{} is not in the software register", "{0} はソフトウェア台帳にない"),
    ("no entry approves {} for this asset", "この資産で {0} を承認する登録がない"),
    ("{} is not in {&}", "{0} は承認されたバージョン({1})にない"),
    ("support of {} ended with {}", "{0} のサポートは {1} に終了"),
    ("support of {} ends with {}", "{0} のサポートは {1} に終了予定"),

    // What devices do.
    ("{}: {+}", "{0}: {1}"),
    ("{} gives out leases", "{0} がDHCPでアドレスを配布している"),
    ("{} gives out leases of IPv6", "{0} がDHCPv6でアドレスを配布している"),
    ("{} tells hosts to send their packets to it", "{0} が自身をIPv6ルーターとして広告している"),
    ("{} tells hosts which addresses to take", "{0} がIPv6のプレフィックスを広告している"),
    ("asks {?}", "問い合わせ先: {0}"),
    ("speaks {} with {?}", "{0} で {1} と通信している"),
];
