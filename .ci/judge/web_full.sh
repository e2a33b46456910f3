# Sourced by web.sh for the full ring: a second accessibility checker and a second metadata reader.
T=300 check pa11y node .ci/judge/pa11y.mjs "$run/demo.json"
T=300 check exiftool python3 .ci/judge/exiftool.py "$run/demo.json" "$run"
