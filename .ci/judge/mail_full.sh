# Sourced by mail.sh for the full ring: more mail programs from Debian.
check imap-load smtp-source -s 5 -m 50 -l 2048 -f a@example.org -t "$ADDRESS" "127.0.0.1:$SMTP_PORT"
printf 'set v15-compat=yes\nset tls-verify=ignore\nset mta=submissions://%s:%s@127.0.0.1:%s\nset from=%s\n' "$U" "$PASS" "$SMTPS_PORT" "$ADDRESS" >"$run/mailrc"
check s-nail bash -c "echo hi | MAILRC=$run/mailrc s-nail -:u -s test $ADDRESS"
cat >"$run/offlineimaprc" <<C
[general]
accounts = a
metadata = $run/oim
ui = quiet
[Account a]
localrepository = l
remoterepository = r
[Repository l]
type = Maildir
localfolders = $run/oimail
[Repository r]
type = IMAP
remotehost = 127.0.0.1
remoteport = $IMAPS_PORT
remoteuser = $U
remotepass = $PASS
ssl = yes
cert_fingerprint = $(openssl x509 -in "$CERT" -outform der | sha1sum | cut -c1-40)
folderfilter = lambda f: f in ['INBOX','Sent']
C
check offlineimap offlineimap -o -c "$run/offlineimaprc"
# getmail refuses to run as root.
mkdir -p "$run/gm/cur" "$run/gm/new" "$run/gm/tmp"
printf '[retriever]\ntype = SimpleIMAPRetriever\nserver = localhost\nport = %s\nusername = %s\npassword = %s\nmailboxes = ("INBOX",)\n[destination]\ntype = Maildir\npath = %s/gm/\n[options]\nread_all = true\ndelete = false\nmax_messages_per_session = 50\n' "$IMAP_PORT" "$U" "$PASS" "$run" >"$run/getmailrc"
chmod 755 "$lab" && chmod 777 "$run" && chown -R nobody:nogroup "$run/gm" "$run/getmailrc"
check getmail runuser -u nobody -- getmail --getmaildir="$run" --rcfile=getmailrc
printf 'poll localhost proto IMAP port %s user "%s" password "%s" ssl sslcertck sslcertfile %s sslcommonname localhost fetchlimit 5 keep mda "cat >> %s/fetchmail.mbox"\n' "$IMAPS_PORT" "$U" "$PASS" "$CERT" "$run" >"$run/fetchmailrc"
chmod 600 "$run/fetchmailrc"
check fetchmail bash -c "HOME=$run fetchmail -f $run/fetchmailrc --all --pidfile $run/fm.pid; r=\$?; [ \$r = 0 -o \$r = 13 ]"
printf 'set ssl_force_tls=no\nset ssl_starttls=no\nset ssl_verify_host=no\nset certificate_file=%s\nset imap_user=%s\nset imap_pass=%s\nset folder=imap://127.0.0.1:%s/\nset spoolfile=+INBOX\nset header_cache=\nset sleep_time=0\nset quit=yes\npush "<tag-pattern>~A<enter><exit>"\n' "$CERT" "$U" "$PASS" "$IMAP_PORT" >"$run/muttrc"
for mutt in mutt neomutt; do
    check $mutt bash -c "TERM=xterm script -qec '$mutt -n -F $run/muttrc' /dev/null | tr -d '\\000' >$run/$mutt.out; grep -aq 'hello\|test' $run/$mutt.out"
done
check perl-mail-imapclient perl -MMail::IMAPClient -e 'my $c=Mail::IMAPClient->new(Server=>"127.0.0.1",Port=>$ARGV[0],User=>$ARGV[1],Password=>$ARGV[2]) or die $@; print join "\n",$c->capability,$c->folders; $c->select("INBOX") or die; print $c->message_count;' "$IMAP_PORT" "$U" "$PASS"
printf 'options.timeout=10\noptions.certificates=false\noptions.starttls=false\na=IMAP{server="127.0.0.1",port=%s,username="%s",password="%s"}\nr=a.INBOX:contain_from("example.org")\nprint(#r)\n' "$IMAP_PORT" "$U" "$PASS" >"$run/imapfilter.lua"
check imapfilter bash -c "HOME=$run imapfilter -c $run/imapfilter.lua"
check imapclient "$lab/venv/bin/python" .ci/judge/imap_libraries.py imapclient "$IMAP_PORT" "$U" "$PASS"
check imap-tools "$lab/venv/bin/python" .ci/judge/imap_libraries.py imap-tools "$IMAP_PORT" "$U" "$PASS"
check aioimaplib "$lab/venv/bin/python" .ci/judge/imap_libraries.py aioimaplib "$IMAP_PORT" "$U" "$PASS"
check deltachat "$lab/venv/bin/python" .ci/judge/deltachat.py "$run/demo.json"
