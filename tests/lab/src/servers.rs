//! The servers of the lab: their configuration, and what is true of them.
//!
//! Each runs in the foreground under its own first process. What a server would tell only
//! after a change to its configuration is left at Debian's or upstream's default, because
//! that is what administrators run. Those that can begin TLS after some words do so where they
//! are given a certificate, which [`before_tls`] does.

mod before_tls;

use std::{fs, path::Path};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use crate::{
    LabError,
    asset::{Service, Transport},
};

/// What to run, and what is true of it.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) name: &'static str,
    /// The last part of its addresses and of its MAC.
    pub(crate) number: u8,
    pub(crate) addresses: Vec<String>,
    pub(crate) mac: String,
    pub(crate) services: Vec<Service>,
    /// Commands for its namespace, before the server starts.
    pub(crate) network: &'static [&'static str],
    /// Days from now in which its certificate is valid, if it has one.
    validity: Option<(i64, i64)>,
    /// Lines of sh, before the script: what it is to do otherwise than usual.
    pub(crate) settings: &'static str,
    /// Lines of sh, after the prologue.
    pub(crate) script: &'static str,
}

/// The lab's own certificate authority.
#[derive(Debug)]
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Result<Self, LabError> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, "Daicho Lab CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Ok(Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate()?)? })
    }

    /// Writes `cert.pem` (leaf and authority) and `key.pem`, where the server wants some.
    pub(crate) fn write_for(&self, server: &Server, folder: &Path) -> Result<(), LabError> {
        let Some((from, until)) = server.validity else { return Ok(()) };
        let name = format!("{}.lab.example", server.name);
        let mut params = CertificateParams::new(vec![name.clone()])?;
        params.distinguished_name.push(DnType::CommonName, name);
        (params.not_before, params.not_after) = (day(from)?, day(until)?);
        let key = KeyPair::generate()?;
        let leaf = params.signed_by(&key, &self.issuer)?;
        fs::write(folder.join("cert.pem"), format!("{}{}", leaf.pem(), self.issuer.pem()))?;
        fs::write(folder.join("key.pem"), key.serialize_pem())?;
        Ok(())
    }
}

/// The moment that many days from now, for rcgen.
fn day(days: i64) -> Result<time::OffsetDateTime, LabError> {
    let date = time::OffsetDateTime::now_utc() + time::Duration::days(days);
    Ok(date.replace_nanosecond(0).unwrap_or(date))
}

const fn tcp(port: u16, protocol: &'static str) -> Service {
    Service { port, transport: Transport::Tcp, protocol, tls: false, product: None, package: None }
}

const fn udp(port: u16, protocol: &'static str) -> Service {
    Service { transport: Transport::Udp, ..tcp(port, protocol) }
}

impl Service {
    const fn product(self, product: &'static str) -> Self {
        Self { product: Some(product), ..self }
    }

    /// The service tells its version to strangers, and the package has it.
    const fn version_of(self, package: &'static str) -> Self {
        Self { package: Some(package), ..self }
    }

    const fn inside_tls(self) -> Self {
        Self { tls: true, ..self }
    }
}

fn server(name: &'static str, number: u8, services: Vec<Service>, script: &'static str) -> Server {
    Server {
        name,
        number,
        addresses: vec![format!("198.18.0.{number}")],
        // Globally administered addresses of the documentation range (RFC 7042, section 2.1.2).
        mac: format!("00:00:5e:00:53:{number:02x}"),
        services,
        network: &[],
        validity: None,
        settings: "",
        script,
    }
}

/// Servers that begin TLS after some words, and one of QUIC, each with a certificate of its own:
/// those of [`all`] that can, and some that have no place among them because nothing else of
/// theirs is looked at.
pub(crate) fn before_tls() -> Vec<Server> {
    const CAN: [&str; 6] = ["postfix", "dovecot", "vsftpd", "mariadb", "postgresql", "slapd"];
    let mut servers: Vec<Server> =
        all().into_iter().filter(|server| CAN.contains(&server.name)).collect();
    servers.extend(before_tls::only());
    for server in &mut servers {
        server.validity = Some((-10, 355));
    }
    if let Some(dovecot) = servers.iter_mut().find(|server| server.name == "dovecot") {
        dovecot.settings = before_tls::DOVECOT;
        dovecot.services.extend([tcp(24, "lmtp"), tcp(4190, "managesieve")]);
    }
    servers
}

pub(crate) fn all() -> Vec<Server> {
    vec![
        server(
            "openssh",
            10,
            vec![tcp(22, "ssh").product("OpenSSH").version_of("openssh-server")],
            "mkdir /run/sshd\n\
             ssh-keygen -q -t ed25519 -N '' -f key\n\
             exec /usr/sbin/sshd -D -e -f /dev/null -h \"$D/key\" -o PidFile=none\n",
        ),
        server(
            "dropbear",
            11,
            vec![tcp(22, "ssh").product("Dropbear").version_of("dropbear-bin")],
            "dropbearkey -t ed25519 -f key\nexec dropbear -F -E -r key -P /run/pid\n",
        ),
        Server {
            // A tenth of a year long and nearly over: expiring, by share and by cap.
            validity: Some((-35, 2)),
            ..server(
                "nginx",
                12,
                vec![
                    tcp(80, "http").product("nginx").version_of("nginx"),
                    tcp(443, "http").inside_tls().product("nginx").version_of("nginx"),
                ],
                "cat > nginx.conf <<'END'\n\
                 daemon off; pid /run/nginx.pid; error_log stderr;\n\
                 events {}\n\
                 http { access_log off; server { listen 80; listen 443 ssl;\n\
                 ssl_certificate cert.pem; ssl_certificate_key key.pem;\n\
                 location / { default_type text/html;\n\
                 return 200 '<html><title>Lab intranet</title></html>'; } } }\n\
                 END\n\
                 exec nginx -p \"$D\" -c nginx.conf -e stderr\n",
            )
        },
        Server {
            validity: Some((-400, -35)),
            ..server(
                "apache",
                13,
                vec![
                    tcp(80, "http").product("Apache httpd").version_of("apache2"),
                    tcp(8443, "http").inside_tls().product("Apache httpd").version_of("apache2"),
                ],
                "mkdir www; echo '<title>It works</title>' > www/index.html\n\
                 cat > apache.conf <<END\n\
                 ServerName apache.lab.example\n\
                 ServerRoot $D\n\
                 PidFile /run/apache.pid\n\
                 ErrorLog /dev/stderr\n\
                 LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so\n\
                 LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so\n\
                 LoadModule dir_module /usr/lib/apache2/modules/mod_dir.so\n\
                 LoadModule ssl_module /usr/lib/apache2/modules/mod_ssl.so\n\
                 User www-data\n\
                 Group www-data\n\
                 Listen 80\n\
                 Listen 8443\n\
                 DocumentRoot $D/www\n\
                 <VirtualHost *:8443>\n\
                 SSLEngine on\n\
                 SSLCertificateFile $D/cert.pem\n\
                 SSLCertificateKeyFile $D/key.pem\n\
                 </VirtualHost>\n\
                 END\n\
                 exec apache2 -DFOREGROUND -f \"$D/apache.conf\"\n",
            )
        },
        server(
            "lighttpd",
            14,
            vec![tcp(80, "http").product("lighttpd").version_of("lighttpd")],
            "mkdir www; echo '<title>Small</title>' > www/index.html\n\
             printf 'server.port = 80\\nserver.document-root = \"%s/www\"\\n\
             index-file.names = ( \"index.html\" )\\nmimetype.assign = ( \".html\" => \"text/html\" )\\n' \
             \"$D\" > lighttpd.conf\n\
             exec lighttpd -D -f lighttpd.conf\n",
        ),
        server(
            "postfix",
            15,
            vec![tcp(25, "smtp").product("Postfix")],
            "mount -t tmpfs -o mode=755 tmpfs /var/spool/postfix\n\
             mount -t tmpfs -o mode=755 tmpfs /var/lib/postfix\n\
             chown postfix: /var/lib/postfix\n\
             mkdir etc\n\
             cp /etc/postfix/master.cf etc/master.cf 2>/dev/null \
             || cp /usr/share/postfix/master.cf.dist etc/master.cf\n\
             sed -i 's/^\\([a-z]\\S*\\s\\+\\S\\+\\s\\+\\S\\+\\s\\+\\S\\+\\s\\+\\)[y-]\\(\\s\\)/\\1n\\2/' etc/master.cf\n\
             echo 'postlog unix-dgram n - n - 1 postlogd' >> etc/master.cf\n\
             cat > etc/main.cf <<END\n\
             compatibility_level = 3.6\n\
             myhostname = mail.lab.example\n\
             smtpd_banner = \\$myhostname ESMTP \\$mail_name (Debian/GNU)\n\
             inet_interfaces = all\n\
             inet_protocols = ipv4\n\
             maillog_file = /dev/stdout\n\
             alias_maps =\n\
             END\n\
             [ ! -e cert.pem ] || cat >> etc/main.cf <<END\n\
             smtpd_tls_security_level = may\n\
             smtpd_tls_cert_file = $D/cert.pem\n\
             smtpd_tls_key_file = $D/key.pem\n\
             END\n\
             postfix -c \"$D/etc\" post-install create-missing || true\n\
             exec postfix -c \"$D/etc\" start-fg\n",
        ),
        Server {
            validity: Some((-10, 355)),
            ..server(
                "dovecot",
                16,
                vec![
                    tcp(110, "pop3").product("Dovecot"),
                    tcp(143, "imap").product("Dovecot"),
                    tcp(993, "imap").inside_tls().product("Dovecot"),
                    tcp(995, "pop3").inside_tls().product("Dovecot"),
                ],
                "case $(dovecot --version) in\n\
                 2.3*) certs=\"ssl_cert = <$D/cert.pem\n\
                 ssl_key = <$D/key.pem\"; first=; users=\"passdb {\n\
                 driver = passwd-file\n\
                 args = $D/users\n\
                 }\" ;;\n\
                 *) certs=\"ssl_server_cert_file = $D/cert.pem\n\
                 ssl_server_key_file = $D/key.pem\"\n\
                 users=\"passdb passwd-file {\n\
                 passwd_file_path = $D/users\n\
                 }\"\n\
                 version=$(dovecot --version | cut -d' ' -f1)\n\
                 first=\"dovecot_config_version = $version\n\
                 dovecot_storage_version = $version\" ;;\n\
                 esac\n\
                 touch users\n\
                 cat > dovecot.conf <<END\n\
                 $first\n\
                 base_dir = /run/dovecot\n\
                 state_dir = $D\n\
                 log_path = /dev/stderr\n\
                 protocols = ${protocols:-imap pop3}\n\
             ${more:-}\n\
                 listen = *\n\
                 ssl = yes\n\
                 $certs\n\
                 $users\n\
                 END\n\
                 exec dovecot -F -c \"$D/dovecot.conf\"\n",
            )
        },
        server(
            "vsftpd",
            17,
            vec![tcp(21, "ftp").product("vsftpd").version_of("vsftpd")],
            "mkdir -p /run/vsftpd/empty\n\
             printf 'listen=YES\\nlisten_ipv6=NO\\nbackground=NO\\nanonymous_enable=NO\\n\
             local_enable=YES\\n\
             secure_chroot_dir=/run/vsftpd/empty\\n' > vsftpd.conf\n\
             [ ! -e cert.pem ] || printf 'ssl_enable=YES\\nrsa_cert_file=%s\\n\
             rsa_private_key_file=%s\\n' \"$D/cert.pem\" \"$D/key.pem\" >> vsftpd.conf\n\
             exec vsftpd \"$D/vsftpd.conf\"\n",
        ),
        server(
            "samba",
            18,
            vec![tcp(445, "smb").product("Samba")],
            "mkdir lock state cache private ncalrpc log pid\n\
             cat > smb.conf <<END\n\
             [global]\n\
             netbios name = FILES\n\
             workgroup = LAB\n\
             lock directory = $D/lock\n\
             state directory = $D/state\n\
             cache directory = $D/cache\n\
             private dir = $D/private\n\
             ncalrpc dir = $D/ncalrpc\n\
             pid directory = $D/pid\n\
             log file = $D/log/smbd\n\
             disable spoolss = yes\n\
             smb ports = 445\n\
             END\n\
             exec smbd --foreground --no-process-group -s smb.conf --debug-stdout\n",
        ),
        server(
            "snmpd",
            19,
            vec![udp(161, "snmp")],
            "printf 'rocommunity public 198.18.0.0/24\\nsysName switch7.lab.example\\n' > snmpd.conf\n\
             exec snmpd -f -Lo -I -smux -C -c snmpd.conf -p /run/snmpd.pid udp:161\n",
        ),
        server(
            "bind",
            20,
            vec![
                tcp(53, "dns").product("BIND").version_of("bind9"),
                udp(53, "dns").product("BIND").version_of("bind9"),
            ],
            "cat > named.conf <<END\n\
             options { directory \"$D\"; recursion no; listen-on { any; }; listen-on-v6 { none; };\n\
             pid-file none; session-keyfile none; dnssec-validation no; empty-zones-enable no; };\n\
             controls { };\n\
             END\n\
             exec named -g -c \"$D/named.conf\"\n",
        ),
        server(
            "redis",
            21,
            vec![tcp(6379, "redis").product("Redis").version_of("redis-server")],
            "exec redis-server --bind 0.0.0.0 --protected-mode no --save '' --dir \"$D\"\n",
        ),
        server(
            "mariadb",
            22,
            vec![tcp(3306, "mysql").product("MariaDB").version_of("mariadb-server")],
            "mkdir data; chown mysql: data\n\
             mariadb-install-db --no-defaults --user=mysql --datadir=\"$D/data\" --skip-test-db \
             --auth-root-authentication-method=normal > install.log 2>&1\n\
             echo \"CREATE USER lab@'%' IDENTIFIED VIA mysql_native_password;\" > init.sql\n\
             tls=; [ ! -e cert.pem ] || tls=\"--ssl-cert=$D/cert.pem --ssl-key=$D/key.pem\"\n\
             exec mariadbd --no-defaults $tls --user=mysql --datadir=\"$D/data\" --socket=\"$D/data/sock\" \
             --pid-file=\"$D/data/pid\" --bind-address=0.0.0.0 --init-file=\"$D/init.sql\"\n",
        ),
        server(
            "postgresql",
            23,
            vec![tcp(5432, "postgresql").product("PostgreSQL")],
            "mkdir data; chown postgres: data\n\
             bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)\n\
             as() { setpriv --reuid postgres --regid postgres --clear-groups \"$@\"; }\n\
             as \"$bin/initdb\" -D \"$D/data\" --no-sync > initdb.log 2>&1\n\
             [ ! -e cert.pem ] || { install -o postgres -m 600 key.pem cert.pem data\n\
             printf \"ssl = on\\nssl_cert_file = 'cert.pem'\\nssl_key_file = 'key.pem'\\n\" \
             >> data/postgresql.conf; }\n\
             exec setpriv --reuid postgres --regid postgres --clear-groups \
             \"$bin/postgres\" -D \"$D/data\" -h 0.0.0.0 -k \"$D/data\"\n",
        ),
        server(
            "mosquitto",
            24,
            vec![tcp(1883, "mqtt").product("Mosquitto").version_of("mosquitto")],
            "printf 'listener 1883 0.0.0.0\\nallow_anonymous true\\nuser root\\n' > mosquitto.conf\n\
             exec mosquitto -c mosquitto.conf\n",
        ),
        server(
            "slapd",
            25,
            vec![tcp(389, "ldap").product("OpenLDAP")],
            "mkdir db\n\
             tls=; [ ! -e cert.pem ] || tls=\"TLSCertificateFile $D/cert.pem\n\
             TLSCertificateKeyFile $D/key.pem\"\n\
             cat > slapd.conf <<END\n\
             include /etc/ldap/schema/core.schema\n\
             $tls\n\
             modulepath /usr/lib/ldap\n\
             moduleload back_mdb\n\
             pidfile /run/slapd.pid\n\
             database mdb\n\
             suffix \"dc=lab,dc=example\"\n\
             directory $D/db\n\
             END\n\
             exec slapd -d 0 -h ldap:/// -f slapd.conf\n",
        ),
        server(
            "cups",
            26,
            vec![tcp(631, "ipp").product("CUPS").version_of("cups-daemon")],
            "mkdir log spool cache state\n\
             printf 'Listen *:631\\nServerTokens Full\\nServerAlias *\\nBrowsing No\\n\
             <Location />\\nOrder allow,deny\\nAllow all\\n</Location>\\n' > cupsd.conf\n\
             cat > cups-files.conf <<END\n\
             ServerRoot $D\n\
             RequestRoot $D/spool\n\
             CacheDir $D/cache\n\
             StateDir $D/state\n\
             AccessLog $D/log/access\n\
             ErrorLog stderr\n\
             PageLog $D/log/page\n\
             END\n\
             exec cupsd -f -c \"$D/cupsd.conf\" -s \"$D/cups-files.conf\"\n",
        ),
        server(
            "ntpsec",
            27,
            vec![udp(123, "ntp").product("NTPsec").version_of("ntpsec")],
            // It has no peers to follow and no right to set the clock.
            "printf 'driftfile %s/drift\\nrestrict default noquery\\n\
             restrict 198.18.0.0 mask 255.255.255.0 nomodify\\n' \"$D\" > ntp.conf\n\
             exec setpriv --bounding-set -sys_time ntpd -n -c \"$D/ntp.conf\"\n",
        ),
        server(
            "memcached",
            28,
            vec![tcp(11211, "memcached").product("memcached").version_of("memcached")],
            "exec memcached -u memcache -l 0.0.0.0 -U 0\n",
        ),
        server(
            "telnetd",
            29,
            vec![tcp(23, "telnet")],
            "echo '23 stream tcp nowait root /usr/sbin/telnetd telnetd' > inetd.conf\n\
             exec inetutils-inetd -d inetd.conf\n",
        ),
        server(
            "kdc",
            30,
            vec![udp(88, "kerberos")],
            "cat > kdc.conf <<END\n\
             [kdcdefaults]\n\
             kdc_listen = 88\n\
             kdc_tcp_listen = \"\"\n\
             [realms]\n\
             LAB.EXAMPLE = {\n\
             database_name = $D/principal\n\
             key_stash_file = $D/stash\n\
             acl_file = $D/acl\n\
             }\n\
             END\n\
             printf '[libdefaults]\ndefault_realm = LAB.EXAMPLE\n' > krb5.conf\n\
             export KRB5_CONFIG=$D/krb5.conf KRB5_KDC_PROFILE=$D/kdc.conf\n\
             kdb5_util create -s -P nothing > create.log 2>&1\n\
             kadmin.local -q 'addprinc -pw nothing PC-7$' >> create.log 2>&1\n\
             exec krb5kdc -n -P /run/pid\n",
        ),
        Server {
            // Answers ARP and nothing else, as a device behind its own packet filter does.
            network: &[
                "nft add table inet lab",
                "nft add chain inet lab input { type filter hook input priority 0 ; policy drop ; }",
            ],
            ..server("silent", 40, vec![], "exec sleep infinity\n")
        },
        Server {
            network: &[
                "nft add table inet lab",
                "nft add chain inet lab input { type filter hook input priority 0 ; policy drop ; }",
                "nft add rule inet lab input tcp dport 50022 accept",
            ],
            ..server(
                "highport",
                41,
                vec![tcp(50022, "ssh").product("Dropbear").version_of("dropbear-bin")],
                "dropbearkey -t ed25519 -f key\n\
                 exec dropbear -F -E -r key -P /run/pid -p 50022\n",
            )
        },
        server(
            "moving",
            42,
            vec![tcp(22, "ssh").product("Dropbear").version_of("dropbear-bin")],
            "dropbearkey -t ed25519 -f key\nexec dropbear -F -E -r key -P /run/pid\n",
        ),
        Server {
            // Locally administered, as a telephone's private address.
            mac: "02:1a:2b:3c:4d:01".into(),
            ..server(
                "rotating",
                44,
                vec![tcp(22, "ssh").product("Dropbear").version_of("dropbear-bin")],
                "dropbearkey -t ed25519 -f key\nexec dropbear -F -E -r key -P /run/pid\n",
            )
        },
        Server {
            // Answers ARP for all of them and refuses every connection.
            network: &["ip route add local 198.18.0.96/27 dev lo"],
            ..server("firewall", 90, vec![], "exec sleep infinity\n")
        },
    ]
}
