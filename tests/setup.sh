#!/bin/sh
# Installs what the tests need beyond Rust and git: the tools that make network namespaces, and the
# real servers of the lab and their clients. Says so first, and does nothing where all of it is
# already there.
# No server starts by itself: a policy-rc.d that answers 101 stands in the way while installing.
set -eu

tools="iproute2 util-linux nftables openssl procps ca-certificates gcc libc6-dev"
servers="openssh-server dropbear-bin nginx apache2 lighttpd postfix dovecot-imapd dovecot-pop3d
 dovecot-lmtpd dovecot-managesieved vsftpd samba snmpd bind9 redis-server mariadb-server postgresql
 mosquitto slapd cups ntpsec memcached inetutils-telnetd inetutils-inetd prosody inspircd xrdp
 tigervnc-standalone-server inn2 caddy rsyslog rsyslog-gnutls
 krb5-kdc krb5-admin-server"
# A provider of OpenID Connect.
provider="glewlwyd dbconfig-no-thanks"
# Those that talk with the servers, where somebody listens.
clients="curl openssh-client snmp bind9-dnsutils smbclient ldap-utils mosquitto-clients redis-tools
 mariadb-client cups-client ntpsec-ntpdig krb5-user"

# A browser for the page, with letters for Japanese, and what drives it (playwright-core comes as a
# package of Node.js below). Machines may have a Node.js of their own.
browser="chromium fonts-noto-cjk"
command -v node > /dev/null || browser="$browser nodejs"
command -v npm > /dev/null || browser="$browser npm"

missing=""
for package in $tools $servers $provider $clients $browser; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing="$missing $package"
done
playwright() {
    folder="$(cd "$(dirname "$0")/.." && pwd)/target/browser"
    version="1.65.1"
    if ! grep -qs "\"version\": \"$version\"" "$folder/node_modules/playwright-core/package.json"; then
        echo "tests/setup.sh: playwright-core $version is installed into target/browser"
        mkdir -p "$folder"
        npm install --prefix "$folder" --no-audit --no-fund --no-package-lock --loglevel=error \
            "playwright-core@$version" > /dev/null
    fi
}

if [ -z "$missing" ]; then
    playwright
    echo "tests/setup.sh: everything that the tests need is installed"
    exit 0
fi
echo "tests/setup.sh: the tests need these Debian packages, which are installed now:$missing"
if [ "$(id -u)" -ne 0 ]; then
    echo "tests/setup.sh: installing needs root; run: sudo sh tests/setup.sh" >&2
    exit 1
fi

policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
# The package of the provider would make a database of its own, and fails without a server for it.
command -v debconf-set-selections > /dev/null &&
    echo "glewlwyd glewlwyd/config_type select No configuration" | debconf-set-selections
# The scripts of inn2 fail on a machine without a full name, so they run where there is one.
# Word splitting is wanted: the list holds package names.
# shellcheck disable=SC2086
unshare --uts sh -euc 'hostname setup.lab.example; exec "$@"' sh \
    apt-get -qq install -y --no-install-recommends $missing > /dev/null
playwright
echo "tests/setup.sh: done"
