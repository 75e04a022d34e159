#!/bin/sh
# Gets a real Jaeger and runs it in the foreground, with every port on loopback.
#
#   jaeger.sh [run]   get it, print its addresses, run it until a signal arrives
#   jaeger.sh get     only get it, so that a later run starts at once
#
# It uses the first of these that exists; JAEGER_FROM=path|docker|build selects one:
#   path    jaeger (v2) or jaeger-all-in-one (v1) on the PATH
#   docker  the image, if a Docker daemon runs and has it or can pull it
#   build   all-in-one, built from its Go module: about three minutes, once. The
#           module does not contain the web UI, so this one only has the API and a
#           placeholder page
#
# Variables, with their defaults:
#   JAEGER_CACHE      ${XDG_CACHE_HOME:-$HOME/.cache}/warren/jaeger; build directory
#   JAEGER_OTLP_GRPC  127.0.0.1:4317   spans by gRPC
#   JAEGER_OTLP_HTTP  127.0.0.1:4318   spans by HTTP
#   JAEGER_QUERY      127.0.0.1:16686  UI and HTTP API
set -eu

version=v1.76.0
module=github.com/jaegertracing/jaeger
# The module's entry in the Go checksum database. Any other content is refused.
module_sum=h1:sWCOOF1dr+NL0PLil7mFo3BqqQL8k4WiM7aguFbc14g=
gomod_sum=h1:hqcuJlLDTv7G2x5eFd/BhwcPdLxj3N+90aKhIzdOcKo=
image=jaegertracing/all-in-one:1.76.0@sha256:ab6f1a1f0fb49ea08bcd19f6b84f6081d0d44b364b6de148e1798eb5816bacac

otlp_grpc=${JAEGER_OTLP_GRPC:-127.0.0.1:4317}
otlp_http=${JAEGER_OTLP_HTTP:-127.0.0.1:4318}
query=${JAEGER_QUERY:-127.0.0.1:16686}
from=${JAEGER_FROM:-auto}

say() { echo "jaeger: $*" >&2; }

die() {
	say "$*"
	exit 1
}

# wants reports whether the source $1 may be used.
wants() { [ "$from" = auto ] || [ "$from" = "$1" ]; }

# find_on_path sets $binary to an installed Jaeger.
find_on_path() {
	wants path || return 1
	for name in jaeger jaeger-all-in-one; do
		if binary=$(command -v "$name"); then
			say "taking $binary from the PATH"
			return 0
		fi
	done
	return 1
}

# find_image makes sure that Docker has the image.
find_image() {
	wants docker && command -v docker >/dev/null && docker info >/dev/null 2>&1 || return 1
	docker image inspect "$image" >/dev/null 2>&1 && return 0
	say "pulling $image"
	docker pull --quiet "$image" >&2
}

# build sets $binary to all-in-one in the cache. It builds it when it is not there.
build() {
	cache=${JAEGER_CACHE:-${XDG_CACHE_HOME:-${HOME:?}/.cache}/warren/jaeger}
	binary=$cache/all-in-one-$version
	if [ -x "$binary" ]; then
		say "taking $binary, built before"
		return 0
	fi
	command -v go >/dev/null || die "building Jaeger needs Go: install it, or add it to the PATH"
	mkdir -p "$cache"
	work=$(mktemp -d "$cache/build.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	trap 'exit 130' INT TERM
	export GOWORK=off GOFLAGS='' CGO_ENABLED=0
	say "building all-in-one $version from its Go module into $cache: about three minutes, once"
	wrap
	compile
	mv "$work/all-in-one" "$binary"
	rm -rf "$work"
	trap - EXIT INT TERM
	say "built $binary"
}

# wrap makes $work a module that requires Jaeger with exactly the versions of Jaeger's own
# go.mod and go.sum. Jaeger replaces a module, which only a main module can do.
wrap() {
	say "downloading the module"
	(cd "$work" && go mod download -json "$module@$version") >"$work/download.json" ||
		die "cannot download $module $version"
	grep -q "\"Sum\": \"$module_sum\"" "$work/download.json" || die "the checksum of $module $version is wrong"
	source=$(sed -n 's/.*"Dir": "\(.*\)".*/\1/p' "$work/download.json")
	sed 's|^module .*|module warren.invalid/jaeger|' "$source/go.mod" >"$work/go.mod"
	cp "$source/go.sum" "$work/go.sum"
	chmod u+w "$work/go.sum" # the module cache is read-only
	printf '%s %s %s\n%s %s/go.mod %s\n' "$module" "$version" "$module_sum" \
		"$module" "$version" "$gomod_sum" >>"$work/go.sum"
	(cd "$work" && go mod edit -require="$module@$version")
}

# compile builds all-in-one at low priority and prints its progress.
compile() {
	(
		cd "$work"
		code=0
		nice -n 10 go build -v -trimpath -ldflags '-s -w' -o all-in-one "$module/cmd/all-in-one" 2>&1 || code=$?
		echo "$code" >code
	) | awk -v logfile="$work/log" '
		{ print > logfile }
		/^go: downloading/ { if (++got % 25 == 0) printf "jaeger: %d modules downloaded\n", got; fflush(); next }
		{ if (++built % 100 == 0) printf "jaeger: %d packages compiled\n", built; fflush() }' >&2
	[ "$(cat "$work/code")" = 0 ] && return 0
	tail -n 20 "$work/log" >&2
	die "cannot build all-in-one $version"
}

announce() {
	say "spans by gRPC: $otlp_grpc   spans by HTTP: $otlp_http   $1: http://$query"
	say "export spans with OTEL_EXPORTER_OTLP_ENDPOINT=http://$otlp_grpc; Ctrl-C stops Jaeger and deletes its traces"
}

# run_binary replaces this process with the Jaeger at $binary. Jaeger does not trace
# itself here, so that its list contains only the user's services.
run_binary() {
	for name in $(env | sed -n 's/^\(OTEL_[A-Z_]*\)=.*/\1/p'); do unset "$name"; done
	OTEL_TRACES_SAMPLER=always_off
	export OTEL_TRACES_SAMPLER
	case ${binary##*/} in
	jaeger)
		exec "$binary" \
			--set "receivers.otlp.protocols.grpc.endpoint=$otlp_grpc" \
			--set "receivers.otlp.protocols.http.endpoint=$otlp_http" \
			--set "extensions.jaeger_query.http.endpoint=$query" \
			--set "extensions.jaeger_query.grpc.endpoint=127.0.0.1:0" \
			--set 'service.extensions=[jaeger_storage, jaeger_query]' \
			--set 'service.pipelines.traces.receivers=[otlp]' \
			--set service.telemetry.metrics.level=none \
			--set service.telemetry.logs.level=warn
		;;
	*)
		exec "$binary" --log-level=warn \
			--collector.otlp.grpc.host-port="$otlp_grpc" --collector.otlp.http.host-port="$otlp_http" \
			--query.http-server.host-port="$query" --query.grpc-server.host-port=127.0.0.1:0 \
			--collector.grpc-server.host-port=127.0.0.1:0 --collector.http-server.host-port=127.0.0.1:0 \
			--admin.http.host-port=127.0.0.1:0
		;;
	esac
}

run_image() {
	exec docker run --rm --name "warren-jaeger-$$" -e OTEL_TRACES_SAMPLER=always_off \
		-p "$otlp_grpc:4317" -p "$otlp_http:4318" -p "$query:16686" "$image" --log-level=warn
}

case ${1:-run} in run | get) ;; *) die "usage: jaeger.sh [run|get]" ;; esac
case $from in auto | path | docker | build) ;; *) die "JAEGER_FROM=$from: want path, docker or build" ;; esac

ui="UI and API"
start=run_binary
if find_on_path; then
	:
elif find_image; then
	start=run_image
elif wants build; then
	build
	ui="API only, without the web UI"
else
	die "no Jaeger from $from: install one, start Docker, or use JAEGER_FROM=build"
fi
[ "${1:-run}" = get ] && exit 0
announce "$ui"
$start
