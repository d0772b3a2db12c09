//! Servers of the lab of which only the certificate is looked at: behind some words, or by QUIC.

use super::{Server, server, tcp, udp};

/// Dovecot with its further doors: mail that is handed to it, and rules.
pub(super) const DOVECOT: &str = "protocols='imap pop3 lmtp sieve'\n\
     more='service lmtp {\n\
     inet_listener lmtp {\n\
     port = 24\n\
     }\n\
     }'\n";

pub(super) fn only() -> Vec<Server> {
    vec![
        // It serves the domain that its own name is in, as most do.
        server(
            "prosody",
            60,
            vec![tcp(5222, "xmpp-client"), tcp(5269, "xmpp-server")],
            "mkdir data; chown prosody: data\n\
             cat > prosody.cfg.lua <<END\n\
             pidfile = '$D/data/pid'\n\
             data_path = '$D/data'\n\
             interfaces = { '0.0.0.0' }\n\
             log = { info = '*console' }\n\
             modules_enabled = { 'tls', 'saslauth', 'dialback' }\n\
             ssl = { certificate = '$D/cert.pem', key = '$D/key.pem' }\n\
             VirtualHost 'lab.example'\n\
             END\n\
             exec setpriv --reuid prosody --regid prosody --clear-groups \
             prosody --config \"$D/prosody.cfg.lua\" -F\n",
        ),
        server(
            "inspircd",
            61,
            vec![tcp(6667, "irc")],
            "cat > inspircd.conf <<END\n\
             <server name=\"irc.lab.example\" description=\"lab\" network=\"lab\">\n\
             <admin name=\"lab\" nick=\"lab\" email=\"lab@lab.example\">\n\
             <bind address=\"0.0.0.0\" port=\"6667\" type=\"clients\">\n\
             <connect allow=\"*\">\n\
             <pid file=\"/run/inspircd.pid\">\n\
             <module name=\"ssl_gnutls\">\n\
             <sslprofile name=\"lab\" provider=\"gnutls\" certfile=\"$D/cert.pem\" \
             keyfile=\"$D/key.pem\">\n\
             <module name=\"starttls\">\n\
             <starttls provider=\"lab\">\n\
             END\n\
             # A copy, because the profile of AppArmor that comes with the package knows only its\n\
             # own folders.\n\
             cp \"$(command -v inspircd)\" ircd\n\
             exec ./ircd --nofork --runasroot --config \"$D/inspircd.conf\"\n",
        ),
        server(
            "xrdp",
            62,
            vec![tcp(3389, "rdp")],
            "sed -e \"s,^certificate=.*,certificate=$D/cert.pem,\" \
             -e \"s,^key_file=.*,key_file=$D/key.pem,\" \
             -e \"s,^LogFile=.*,LogFile=$D/xrdp.log,\" /etc/xrdp/xrdp.ini > xrdp.ini\n\
             exec xrdp --nodaemon --config \"$D/xrdp.ini\"\n",
        ),
        server(
            "tigervnc",
            63,
            vec![tcp(5900, "vnc")],
            "exec Xtigervnc :63 -nolock -nolisten unix -rfbport 5900 \
             -interface 0.0.0.0 -SecurityTypes X509None,X509Vnc \
             -X509Cert \"$D/cert.pem\" -X509Key \"$D/key.pem\"\n",
        ),
        // The reader's half of INN, which wants an overview of articles, if an empty one, and to
        // know who may read. Of the rest of its configuration Debian's does.
        server(
            "inn2",
            64,
            vec![tcp(119, "nntp")],
            "mkdir overview run\n\
             touch overview/group.index\n\
             install -m 600 key.pem news.key\n\
             chown -R news: overview run news.key\n\
             grep -v -e '^domain:' -e '^pathoverview:' -e '^pathrun:' /etc/news/inn.conf > inn.conf\n\
             cat >> inn.conf <<END\n\
             domain: lab.example\n\
             pathoverview: $D/overview\n\
             pathrun: $D/run\n\
             tlscertfile: $D/cert.pem\n\
             tlskeyfile: $D/news.key\n\
             END\n\
             cat > readers.conf <<END\n\
             auth all { hosts: \"*\" default: \"<anybody>\" }\n\
             access all { users: \"*\" newsgroups: \"*\" access: R }\n\
             END\n\
             export INNCONF=\"$D/inn.conf\"\n\
             exec /usr/lib/news/bin/nnrpd -D -f -p 119 -c \"$D/readers.conf\"\n",
        ),
        // HTTP/3. It refuses who asks for no name or another, unless it is told what to show.
        server(
            "caddy",
            65,
            vec![udp(443, "quic").inside_tls()],
            "cat > Caddyfile <<END\n\
             {\n\
             admin off\n\
             auto_https off\n\
             default_sni caddy.lab.example\n\
             storage file_system $D/store\n\
             }\n\
             https://caddy.lab.example {\n\
             tls $D/cert.pem $D/key.pem\n\
             respond lab\n\
             }\n\
             END\n\
             export HOME=\"$D\"\n\
             exec caddy run --config \"$D/Caddyfile\" --adapter caddyfile\n",
        ),
    ]
}
