# Sourced by .ci/judges: faults of federation and identity, played by nodes of their own in network namespaces.
T=240 check federation-faults python3 .ci/judge/federation_faults.py "$freehold"
