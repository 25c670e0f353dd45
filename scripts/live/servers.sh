#!/bin/sh
# servers.sh start|stop|kill|status|env [vllm|vllm-replica|vllm-locked|ollama]...
# See servers.py, which does it; it needs Python's standard library alone.
exec python3 "$(dirname "$0")/servers.py" "$@"
