# Sourced by .ci/judges: what the judges need. Does nothing where it is there already.
export DEBIAN_FRONTEND=noninteractive
quick_commands='curl swaks mbsync msmtp chromium python3 node npm'
quick_packages='curl swaks isync msmtp chromium python3 python3-pil nodejs npm openssl'
full_commands='mutt neomutt getmail fetchmail s-nail imapfilter offlineimap smtp-source exiftool java script'
full_packages='mutt neomutt getmail6 fetchmail s-nail imapfilter offlineimap3 postfix libimage-exiftool-perl default-jre-headless libmail-imapclient-perl python3-venv bsdutils'
commands=$quick_commands packages=$quick_packages
if [ "$ring" = full ]; then commands="$commands $full_commands" packages="$packages $full_packages"; fi
missing=
for command in $commands; do command -v "$command" >/dev/null || missing="$missing $command"; done
if [ -n "$missing" ]; then
    [ "$(id -u)" = 0 ] || { echo "missing:$missing. Install (as root): $packages" >&2; exit 1; }
    # Nothing that is installed may start a service of its own.
    if [ ! -e /usr/sbin/policy-rc.d ]; then printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d; fi
    echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections
    # A machine with its own node and npm keeps them.
    command -v node >/dev/null && packages=${packages/ nodejs npm/}
    apt-get update -qq >/dev/null
    # shellcheck disable=SC2086
    apt-get install -y -qq --no-install-recommends $packages >"$lab/apt.log" 2>&1 || { tail -20 "$lab/apt.log"; exit 1; }
fi
npm_packages='playwright-core@1 axe-core@4 html-validate@9'
[ "$ring" = full ] && npm_packages="$npm_packages pa11y@8"
if [ ! -e "$lab/npm.$ring" ]; then
    mkdir -p "$lab/npm"
    # shellcheck disable=SC2086
    (cd "$lab/npm" && { [ -f package.json ] || npm init -y >/dev/null; } && npm install --silent --no-audit --no-fund --ignore-scripts $npm_packages)
    touch "$lab/npm.$ring"
fi
