//! Products that are common in organisations: how servers spell them, how their makers do,
//! and the CPE pair (vendor, product) of the National Vulnerability Database. A product
//! without a pair is one that the database does not file, or not surely under one name.

/// What the table knows of a product.
pub(super) struct Known {
    /// Lower-case spellings under which servers name it.
    pub(super) spellings: &'static [&'static str],
    pub(super) name: &'static str,
    /// CPE vendor and product.
    pub(super) cpe: Option<(&'static str, &'static str)>,
}

macro_rules! known {
    ($($name:literal [$($spelling:literal),+] $($vendor:literal : $product:literal)?;)+) => {
        &[$(Known {
            spellings: &[$($spelling),+],
            name: $name,
            cpe: known!(@cpe $($vendor $product)?),
        }),+]
    };
    (@cpe) => { None };
    (@cpe $vendor:literal $product:literal) => { Some(($vendor, $product)) };
}

/// Where one spelling begins with another, the longer one wins.
pub(super) const PRODUCTS: &[Known] = known! {
    // Secure shell.
    "OpenSSH" ["openssh"] "openbsd": "openssh";
    "Dropbear" ["dropbear"] "dropbear_ssh_project": "dropbear_ssh";
    "libssh" ["libssh"] "libssh": "libssh";
    "Paramiko" ["paramiko"] "paramiko": "paramiko";
    "AsyncSSH" ["asyncssh"] "asyncssh_project": "asyncssh";
    "Apache MINA SSHD" ["sshd-core", "apache-sshd"] "apache": "sshd";
    "Bitvise SSH Server" ["bitvise ssh server", "winsshd"] "bitvise": "winsshd";
    "Cisco SSH" ["cisco"];
    "Sun SSH" ["sun_ssh"] "oracle": "sunssh";
    "Serv-U" ["serv-u"] "solarwinds": "serv-u";
    "RomSShell" ["romsshell"];
    "Mocana SSH" ["mocana ssh"];
    "WS_FTP" ["ws_ftp", "ws_ftp-ssh", "ws_ftp server"] "progress": "ws_ftp_server";
    // Web servers and what stands behind them.
    "nginx" ["nginx"] "f5": "nginx";
    "OpenResty" ["openresty"] "openresty": "openresty";
    "Tengine" ["tengine"];
    "Apache httpd" ["apache", "apache httpd"] "apache": "http_server";
    "Apache Tomcat" ["tomcat", "apache tomcat", "apache-coyote", "tomcat web server"] "apache": "tomcat";
    "lighttpd" ["lighttpd"] "lighttpd": "lighttpd";
    "IIS" ["microsoft-iis"] "microsoft": "internet_information_services";
    "Microsoft HTTPAPI" ["microsoft-httpapi"];
    "Kestrel" ["kestrel"];
    "Caddy" ["caddy"] "caddyserver": "caddy";
    "HAProxy" ["haproxy"] "haproxy": "haproxy";
    "Envoy" ["envoy", "istio-envoy"] "envoyproxy": "envoy";
    "Squid" ["squid"] "squid-cache": "squid";
    "Varnish" ["varnish"] "varnish_cache_project": "varnish_cache";
    "Jetty" ["jetty"] "eclipse": "jetty";
    "Undertow" ["undertow"] "redhat": "undertow";
    "JBoss EAP" ["jboss-eap"] "redhat": "jboss_enterprise_application_platform";
    "WildFly" ["wildfly"] "redhat": "wildfly";
    "GlassFish" ["glassfish server", "oracle glassfish server", "sun glassfish enterprise server"] "oracle": "glassfish_server";
    "WebLogic Server" ["weblogic", "weblogic server"] "oracle": "weblogic_server";
    "IBM HTTP Server" ["ibm_http_server", "ibm http server"] "ibm": "http_server";
    "LiteSpeed" ["litespeed"] "litespeedtech": "litespeed_web_server";
    "Node.js" ["node.js", "node"] "nodejs": "node.js";
    "Express" ["express"] "openjsf": "express";
    "gunicorn" ["gunicorn"] "gunicorn": "gunicorn";
    "uvicorn" ["uvicorn"] "encode": "uvicorn";
    "Werkzeug" ["werkzeug"] "palletsprojects": "werkzeug";
    "aiohttp" ["aiohttp"] "aiohttp": "aiohttp";
    "Tornado" ["tornadoserver"] "tornadoweb": "tornado";
    "Twisted" ["twisted", "twistedweb"] "twisted": "twisted";
    "CherryPy" ["cherrypy"] "cherrypy": "cherrypy";
    "Waitress" ["waitress"] "agendaless": "waitress";
    "Zope" ["zope"] "zope": "zope";
    "Puma" ["puma"] "puma": "puma";
    "WEBrick" ["webrick"] "ruby-lang": "webrick";
    "Phusion Passenger" ["phusion passenger"] "phusion": "passenger";
    "PHP" ["php"] "php": "php";
    "OpenSSL" ["openssl"] "openssl": "openssl";
    "CouchDB" ["couchdb"] "apache": "couchdb";
    "CUPS" ["cups"] "openprinting": "cups";
    "Boa" ["boa"] "boa": "boa";
    "GoAhead" ["goahead", "goahead-webs", "goahead-http"] "embedthis": "goahead";
    "Appweb" ["appweb", "mbedthis-appweb", "embedthis-appweb", "embedthis-http"] "embedthis": "appweb";
    "RomPager" ["rompager", "allegro-software-rompager"] "allegrosoft": "rompager";
    "Agranat EmWeb" ["agranat-emweb"];
    "Virata EmWeb" ["virata-emweb"];
    "mini_httpd" ["mini_httpd"] "acme": "mini-httpd";
    "thttpd" ["thttpd"] "acme": "thttpd";
    "uc-httpd" ["uc-httpd"] "xiongmaitech": "uc-httpd";
    "Mongoose" ["mongoose"] "cesanta": "mongoose";
    "gSOAP" ["gsoap"] "genivia": "gsoap";
    "Cherokee" ["cherokee"] "cherokee-project": "cherokee";
    "MiniUPnPd" ["miniupnpd"] "miniupnp_project": "miniupnpd";
    "MiniDLNA" ["minidlna"] "readymedia_project": "readymedia";
    "Portable SDK for UPnP devices" ["portable sdk for upnp devices"] "pupnp_project": "pupnp";
    "Icecast" ["icecast"] "xiph": "icecast";
    "Tinyproxy" ["tinyproxy"] "tinyproxy_project": "tinyproxy";
    "Netdata" ["netdata", "netdata embedded http server"] "netdata": "netdata";
    "Splunk" ["splunkd"] "splunk": "splunk";
    "Domino" ["lotus-domino", "lotus domino", "hcl domino"] "hcltech": "domino";
    "Artifactory" ["artifactory"] "jfrog": "artifactory";
    "Kerio Connect" ["kerio connect"] "kerio": "connect";
    "HP Web Jetadmin" ["hp web jetadmin"] "hp": "web_jetadmin";
    "Hikvision web server" ["hikvision-webs", "dnvrs-webs", "dvrdvs-webs"];
    // Mail.
    "Postfix" ["postfix"] "postfix": "postfix";
    "Exim" ["exim"] "exim": "exim";
    "Sendmail" ["sendmail"] "sendmail": "sendmail";
    "OpenSMTPD" ["opensmtpd"] "openbsd": "opensmtpd";
    "Exchange Server" [
        "microsoft esmtp mail service", "microsoft exchange", "microsoft exchange server 2003",
        "microsoft exchange 2000", "microsoft exchange internet mail service",
        "microsoft smtp mail"
    ] "microsoft": "exchange_server";
    "MDaemon" ["mdaemon"] "altn": "mdaemon";
    "MailEnable" ["mailenable"] "mailenable": "mailenable";
    "hMailServer" ["hmailserver"] "hmailserver": "hmailserver";
    "CommuniGate Pro" ["communigate pro"] "stalker": "communigate_pro";
    "GroupWise" ["groupwise internet agent", "groupwise"] "microfocus": "groupwise";
    "Zimbra" ["zimbra"] "synacor": "zimbra_collaboration_suite";
    "Haraka" ["haraka"] "haraka": "haraka";
    "qmail" ["qmail"] "qmail_project": "qmail";
    "IMail" ["imail"] "ipswitch": "imail";
    "PowerMTA" ["powermta"] "port25": "powermta";
    "Momentum" ["ecelerity"];
    "Dovecot" ["dovecot"] "dovecot": "dovecot";
    "Courier" ["courier-imap", "courier"];
    "Cyrus IMAP" ["cyrus imap", "cyrus imap4", "cyrus pop3", "cyrus imap murder"] "cyrus": "imap";
    "Qpopper" ["qpopper", "qpop"] "qualcomm": "qpopper";
    "MERCUR" ["mercur smtp-server", "mercur"];
    "Mercury/32" ["mercury/32"];
    // File transfer.
    "vsftpd" ["vsftpd"] "vsftpd_project": "vsftpd";
    "ProFTPD" ["proftpd"] "proftpd": "proftpd";
    "Pure-FTPd" ["pure-ftpd", "pureftpd"] "pureftpd": "pure-ftpd";
    "FileZilla Server" ["filezilla server"] "filezilla-project": "filezilla_server";
    "Microsoft FTP Service" ["microsoft ftp service"] "microsoft": "ftp_service";
    "Gene6 FTP Server" ["gene6 ftp server"] "gene6": "gene6_ftp_server";
    "Wing FTP Server" ["wing ftp server"] "wftpserver": "wing_ftp_server";
    "bftpd" ["bftpd"] "bftpd_project": "bftpd";
    "tnftpd" ["tnftpd"];
    "SurgeFTP" ["surgeftp"] "netwin": "surgeftp";
    "zFTPServer" ["zftpserver"] "zftpserver": "zftpserver_suite";
    // Telephony.
    "Asterisk" ["asterisk", "asterisk pbx"] "digium": "asterisk";
    "FreeSWITCH" ["freeswitch", "freeswitch-mod_sofia"] "freeswitch": "freeswitch";
    "Kamailio" ["kamailio"] "kamailio": "kamailio";
    "OpenSIPS" ["opensips"] "opensips": "opensips";
    // Stores, cameras, screens.
    "Redis" ["redis"] "redis": "redis";
    "Valkey" ["valkey"] "lfprojects": "valkey";
    "MongoDB" ["mongodb"] "mongodb": "mongodb";
    "memcached" ["memcached"] "memcached": "memcached";
    "Wowza Streaming Engine" ["wowza streaming engine", "wowzastreamingengine"] "wowza": "streaming_engine";
    "GStreamer RTSP server" ["gstreamer rtsp server"] "gstreamer_project": "gstreamer";
    "Hipcam RealServer" ["hipcam realserver"];
    "RealVNC" ["realvnc"] "realvnc": "realvnc";
    "TigerVNC" ["tigervnc"] "tigervnc": "tigervnc";
};
