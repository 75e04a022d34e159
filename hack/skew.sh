#!/usr/bin/env bash
# Runs the end-to-end tests with a sidecar, then with a control plane, that were built
# from another commit: what a mesh is while it is upgraded, and how it goes back.
#
#	hack/skew.sh COMMIT [-run REGEXP ...]
#
# Tests of what COMMIT did not have yet fail, and are for you to judge: leave them out
# with -skip.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ $# -gt 0 ] || {
	echo "usage: hack/skew.sh COMMIT [ARGUMENT OF go test...]" >&2
	exit 2
}
commit=$(git rev-parse --verify "$1^{commit}")
shift

old=$PWD/.run/skew/${commit:0:12}
mkdir -p "$old"
if ! [ -x "$old/controlplane" ]; then
	rm -rf "$old/src" # of a run that was killed
	git worktree add --force --detach "$old/src" "$commit" >/dev/null
	trap 'git worktree remove --force "$old/src"' EXIT
	echo "building the sidecar and the control plane of $commit"
	(cd "$old/src" && GOWORK=off go build -race -buildvcs=false -o "$old/" ./cmd/sidecar ./cmd/controlplane)
fi

run() {
	echo "== $1"
	shift
	env "$@" GOWORK="$PWD/test/go.work" go run ./test/withbroker -- go test -race -count=1 -timeout 20m ./test/e2e "${args[@]}"
}
args=("$@")
failed=0
run "the old sidecar with the new control plane" WARREN_SIDECAR="$old/sidecar" || failed=1
run "the new sidecar with the old control plane" WARREN_CONTROLPLANE="$old/controlplane" || failed=1
exit $failed
