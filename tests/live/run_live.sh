#!/bin/sh
# The tests on the real servers, which are installed first where they are missing, started, and
# ended again however this ends. make test-live calls it.
#
#   tests/live/run_live.sh BUILD [vllm|ollama|schema|templates]...     INF_LIVE_ONLY=part of test names
#   tests/live/run_live.sh --record [vllm|ollama]...  record tests/live/transcripts anew instead
set -eu

here=$(cd "$(dirname "$0")" && pwd)
scripts=$here/../../scripts/live
build=$1
shift
[ $# -gt 0 ] || [ "$build" = --record ] || set -- vllm ollama schema templates
[ $# -gt 0 ] || set -- vllm ollama

sh "$scripts/install.sh" "$@"
eval "$(sh "$scripts/servers.sh" env)"
# Each server's guard watches this process too: nothing can leave one behind.
INF_LIVE_OWNER=$$
INF_LIVE_MINUTES=${INF_LIVE_MINUTES:-120}
export INF_LIVE_OWNER INF_LIVE_MINUTES
ours=
for server in "$@"; do
    case $server in
    vllm) ours="$ours vllm vllm-locked vllm-replica" ;;
    schema) ;;    # no server: schemas against the public suite and jsonschema
    templates) ;; # no server: chat templates against transformers and jinja2
    *) ours="$ours $server" ;;
    esac
done
stop_ours() {
    [ -z "$ours" ] || sh "$scripts/servers.sh" stop $ours
}
trap stop_ours EXIT
trap 'exit 130' INT TERM HUP

if [ "$build" = --record ]; then
    python3 "$here/record.py" "$@"
    exit
fi

# Servers of earlier runs may have another program's adapters, or other settings.
stop_ours
failed=0
for server in "$@"; do
    case $server in
    schema)
        schema=${XDG_CACHE_HOME:-$HOME/.cache}/inference/live/schema
        "$schema/venv/bin/python" "$here/json_schema.py" "$build/tests/live/schema-texts" "$schema/suite" || failed=1
        continue
        ;;
    templates)
        sh "$here/templates.sh" "$build" "${XDG_CACHE_HOME:-$HOME/.cache}/inference/live/templates/published" || failed=1
        continue
        ;;
    vllm) sh "$scripts/servers.sh" start vllm vllm-locked ;;
    *) sh "$scripts/servers.sh" start "$server" ;;
    esac
    "$build/tests/live/live-$server" || failed=1
    stop_ours
done
exit $failed
