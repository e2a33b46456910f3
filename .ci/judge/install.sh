# Sourced by .ci/judges: installs the programs of the judges. Installed ones are left as they are.
export DEBIAN_FRONTEND=noninteractive
quick_commands='curl swaks mbsync msmtp gsasl chromium python3 node npm ip cc'
quick_packages='curl swaks libnet-ssleay-perl isync msmtp gsasl chromium python3 python3-pil nodejs npm openssl iproute2 gcc libc6-dev'
full_commands='mutt neomutt getmail fetchmail s-nail imapfilter offlineimap smtp-source exiftool script'
full_packages='mutt neomutt getmail6 fetchmail s-nail imapfilter offlineimap3 postfix libimage-exiftool-perl libmail-imapclient-perl python3-venv bsdutils'
internet_commands='python3 ip openssl knotd kdig unbound postfix dovecot opendkim opendkim-genkey'
internet_packages='python3 python3-venv iproute2 openssl knot knot-dnsutils unbound postfix dovecot-imapd opendkim opendkim-tools python3-dkim'
commands=$quick_commands packages=$quick_packages
if [ "$ring" = full ]; then commands="$commands $full_commands" packages="$packages $full_packages"; fi
if [ "$ring" = internet ]; then commands=$internet_commands packages=$internet_packages; fi
missing=
for command in $commands; do command -v "$command" >/dev/null || missing="$missing $command"; done
# swaks needs the one for TLS; Debian's Python has the other, another Python before it on the path may not.
if [ "$ring" = internet ]; then
    /usr/bin/python3 -c 'import dkim' 2>/dev/null || missing="$missing python3-dkim"
else
    perl -MNet::SSLeay -e 1 2>/dev/null || missing="$missing Net::SSLeay"
    /usr/bin/python3 -c 'import PIL' 2>/dev/null || missing="$missing PIL"
fi
if [ -n "$missing" ]; then
    [ "$(id -u)" = 0 ] || { echo "missing:$missing. Install (as root): $packages" >&2; exit 1; }
    # No installed package may start a service.
    if [ ! -e /usr/sbin/policy-rc.d ]; then printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d; fi
    echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections
    # node and npm from another source are kept.
    command -v node >/dev/null && packages=${packages/ nodejs npm/}
    apt-get update -qq >/dev/null
    # shellcheck disable=SC2086
    apt-get install -y -qq --no-install-recommends $packages >"$lab/apt.log" 2>&1 || { tail -20 "$lab/apt.log"; exit 1; }
fi
pip_packages='deltachat2 deltachat-rpc-server'
if [ "$ring" = full ]; then pip_packages="$pip_packages imapclient aioimaplib imap-tools libp2p"; fi
mark="$lab/pip.$(echo "$pip_packages" | sha256sum | cut -c1-12)"
if [ "$ring" != quick ] && [ ! -e "$mark" ]; then
    # shellcheck disable=SC2086
    python3 -m venv "$lab/venv" && "$lab/venv/bin/pip" -q install $pip_packages && touch "$mark"
fi
export FREEHOLD_PYTHON="$lab/venv/bin/python"
[ "$ring" = internet ] && return
npm_packages='playwright-core@1 axe-core@4 html-validate@9 libp2p@3 @libp2p/tcp@11 @libp2p/identify@4 @libp2p/ping@3
    @chainsafe/libp2p-noise@17 @chainsafe/libp2p-yamux@8 @chainsafe/libp2p-quic@2.1.1'
[ "$ring" = full ] && npm_packages="$npm_packages pa11y@8"
# The mark has a hash of the list, so that a changed list is installed again.
mark="$lab/npm.$(echo "$npm_packages" | sha256sum | cut -c1-12)"
if [ ! -e "$mark" ]; then
    mkdir -p "$lab/npm"
    # shellcheck disable=SC2086
    (cd "$lab/npm" && { [ -f package.json ] || npm init -y >/dev/null; } && npm install --silent --no-audit --no-fund --ignore-scripts $npm_packages)
    touch "$mark"
fi
export FREEHOLD_NPM="$lab/npm"
