# Sourced by .ci/judges: a browser, accessibility and HTML checkers on the demo's pages.
# Screenshots are kept if FREEHOLD_SHOTS names a folder.
shots=${FREEHOLD_SHOTS:-$run/shots}
mkdir -p "$shots"
T=300 check pages node .ci/judge/pages.mjs "$run/demo.json" "$shots" "$run/html"
T=120 check web-setup node .ci/judge/web_setup.mjs "$freehold" "$shots"
check html-validate node "$lab/npm/node_modules/html-validate/bin/html-validate.mjs" -c .ci/judge/htmlvalidate.json "$run/html/*.html"
check feed python3 .ci/judge/feed.py "$run/demo.json"
check no-location /usr/bin/python3 .ci/judge/location.py "$run/demo.json"
T=240 check photo-faults /usr/bin/python3 .ci/judge/photo_faults.py "$run/demo.json"
# After the others: they write posts.
T=180 check web-faults node .ci/judge/web_faults.mjs "$run/demo.json"
check web-editor node .ci/judge/web_editor.mjs "$run/demo.json"
check web-hostile node .ci/judge/web_hostile.mjs "$run/demo.json"
[ "$ring" = full ] && . .ci/judge/web_full.sh
true
