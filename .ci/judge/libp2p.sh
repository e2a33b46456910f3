# Sourced by .ci/judges: other implementations of libp2p connect to the demo's nodes.
check js-libp2p node .ci/judge/libp2p.mjs "$run/demo.json" "$run/libp2p.json"
if [ "$ring" = full ]; then
    check py-libp2p "$lab/venv/bin/python" .ci/judge/pylibp2p.py "$run/libp2p.json"
fi
