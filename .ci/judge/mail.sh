# Sourced by .ci/judges: mail programs against Alice's node. On loopback, passwords are accepted without TLS too.
python3 - "$run/demo.json" >"$run/alice.env" <<'P'
import json, sys
alice = json.load(open(sys.argv[1]))["people"][0]
ports = alice["ports"]
print("U=%s; ADDRESS=%s; PASS='%s'; CERT='%s'" % (alice["login"], alice["address"], alice["app_password"], alice["certificate"]))
for name in ("smtp", "submission", "smtps", "imap", "imaps"):
    print("%s_PORT=%d" % (name.upper(), ports[name]))
P
. "$run/alice.env"
printf 'From: a@example.org\r\nTo: %s\r\nSubject: hello\r\nMessage-ID: <judge@example.org>\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n\r\nbody\r\n' "$ADDRESS" >"$run/m.eml"
sed "s/a@example.org/$ADDRESS/; /Message-ID/d" "$run/m.eml" >"$run/own.eml"

# The commands that the demo printed, unchanged: the first two lines send a message, the third reads the newest.
grep -A 2 "^  printf 'From: $ADDRESS" "$run/demo.log" >"$run/printed.sh" || true
check printed-commands bash -c "set -o pipefail; head -n 2 '$run/printed.sh' | bash -e && for _ in 1 2 3 4 5; do tail -n 1 '$run/printed.sh' | bash -e | grep 'It works.' && exit 0; done; exit 1"
check curl-smtp curl -sS "smtp://127.0.0.1:$SMTP_PORT/client.test" --mail-from a@example.org --mail-rcpt "$ADDRESS" -T "$run/m.eml"
check curl-smtps curl -sS --cacert "$CERT" "smtps://localhost:$SMTPS_PORT/client.test" -u "$U:$PASS" --mail-from "$ADDRESS" --mail-rcpt "$ADDRESS" -T "$run/own.eml"
check curl-submission curl -sS --cacert "$CERT" --ssl-reqd "smtp://localhost:$SUBMISSION_PORT/client.test" -u "$U:$PASS" --mail-from "$ADDRESS" --mail-rcpt "$ADDRESS" -T "$run/own.eml"
check swaks-plain swaks -n --server "127.0.0.1:$SMTP_PORT" --from a@example.org --to "$ADDRESS" --helo client.test
check swaks-starttls swaks -n -tls --server "127.0.0.1:$SMTP_PORT" --from a@example.org --to "$ADDRESS" --helo client.test
check swaks-pipeline swaks -n --pipeline --server "127.0.0.1:$SMTP_PORT" --from a@example.org --to "$ADDRESS" --helo client.test
check swaks-auth-plain swaks -n -tls --server "127.0.0.1:$SUBMISSION_PORT" --auth PLAIN --auth-user "$U" --auth-password "$PASS" --from "$ADDRESS" --to "$ADDRESS" --helo client.test
check swaks-auth-login swaks -n -tlsc --server "127.0.0.1:$SMTPS_PORT" --auth LOGIN --auth-user "$U" --auth-password "$PASS" --from "$ADDRESS" --to "$ADDRESS" --helo client.test
check no-relay bash -c "! swaks -n --server 127.0.0.1:$SMTP_PORT --from a@example.org --to b@elsewhere.example --helo client.test"
check no-wrong-password bash -c "! swaks -n -tlsc --server 127.0.0.1:$SMTPS_PORT --auth PLAIN --auth-user $U --auth-password wrong --from $ADDRESS --to $ADDRESS"
check msmtp bash -c "msmtp --host=localhost --port=$SMTPS_PORT --tls=on --tls-starttls=off --tls-trust-file=$CERT --auth=plain --user=$U --passwordeval='echo $PASS' --from=$ADDRESS $ADDRESS <$run/own.eml"
check msmtp-scram bash -c "msmtp --host=localhost --port=$SMTPS_PORT --tls=on --tls-starttls=off --tls-trust-file=$CERT --auth=scram-sha-256 --user=$U --passwordeval='echo $PASS' --from=$ADDRESS $ADDRESS <$run/own.eml"
# gsasl binds the login to the TLS connection (tls-exporter), and without --no-cb it wants to.
for far in "imap $IMAP_PORT" "smtp $SUBMISSION_PORT"; do
    gsasl="gsasl --${far% *} --connect=localhost:${far#* } --x509-ca-file $CERT --authentication-id=$U --password=$PASS"
    check "gsasl-${far% *}-scram-plus" bash -c "$gsasl --mechanism=SCRAM-SHA-256-PLUS </dev/null 2>&1 | tee /dev/stderr | grep -q 'server trusted'"
    check "gsasl-${far% *}-scram" bash -c "$gsasl --no-cb --mechanism=SCRAM-SHA-256 </dev/null 2>&1 | tee /dev/stderr | grep -q 'server trusted'"
    check "gsasl-${far% *}-plain" bash -c "$gsasl --mechanism=PLAIN </dev/null 2>&1 | tee /dev/stderr | grep -q 'authentication finished'"
done
check python-smtplib python3 - <<P
import smtplib, ssl
s = smtplib.SMTP("localhost", $SUBMISSION_PORT)
s.starttls(context=ssl.create_default_context(cafile="$CERT"))
s.login("$U", "$PASS")
s.sendmail("$ADDRESS", ["$ADDRESS"], open("$run/own.eml").read())
s.quit()
P
check curl-imap curl -sS "imap://127.0.0.1:$IMAP_PORT/INBOX;MAILINDEX=1" -u "$U:$PASS"
check curl-imaps-search curl -sS --cacert "$CERT" "imaps://localhost:$IMAPS_PORT/INBOX?ALL" -u "$U:$PASS"
check curl-imap-append curl -sS --cacert "$CERT" "imaps://localhost:$IMAPS_PORT/INBOX" -u "$U:$PASS" -T "$run/m.eml"
check python-imaplib python3 .ci/judge/imaplib_session.py "$IMAPS_PORT" "$CERT" "$U" "$PASS"
check python-scram python3 .ci/judge/scram.py "$IMAPS_PORT" "$SMTPS_PORT" "$CERT" "$U" "$PASS"
check imap-more python3 .ci/judge/imap_more.py "$IMAPS_PORT" "$CERT" "$U" "$PASS"
check imap-newer python3 .ci/judge/imap_newer.py "$IMAPS_PORT" "$CERT" "$U" "$PASS"
T=120 check moving python3 .ci/judge/moving.py "$freehold"
T=240 check mail-faults python3 .ci/judge/mail_faults.py "$run/demo.json" "$freehold"
cat >"$run/mbsyncrc" <<C
IMAPAccount a
Host localhost
Port $IMAPS_PORT
User $U
Pass $PASS
SSLType IMAPS
CertificateFile $CERT

IMAPStore far
Account a

MaildirStore near
Path $run/mbsync/
Inbox $run/mbsync/INBOX
SubFolders Verbatim

Channel c
Far :far:
Near :near:
Patterns INBOX Sent Drafts
Create Both
Expunge Both
SyncState *
C
mkdir -p "$run/mbsync"
check mbsync-pull mbsync -c "$run/mbsyncrc" -a
cp "$run/m.eml" "$run/mbsync/INBOX/new/1.judge" 2>/dev/null || true
check mbsync-push mbsync -c "$run/mbsyncrc" -a
if [ "$ring" = full ]; then . .ci/judge/mail_full.sh; fi
