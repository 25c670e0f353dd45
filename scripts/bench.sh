#!/bin/sh
# Prepare and run the benchmarks: `scripts/bench.sh BUILD`, called by `make bench`. The peers are
# built from the same llama.cpp source with the same flags: llama-bench, llama-batched-bench, llama-completion,
# llama-server, and llama-cpp-python in a virtual environment of its own, where openai is too. SECTIONS (of
# bench/run.py, tokenize for bench/tokenizing.py, templates for bench/templates.py, checkpoints (or of its sections
# some: checkpoints:start,speed) for bench/checkpoints.py, http for bench/servers.py, python for
# bench/python_package.py) and ROUNDS pass through; MODELS are names of scripts/bench-models.sh. MISTRALRS=1 builds
# mistral.rs too (cargo), which takes long.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"

build=$1
peers=$(sh "$here/llama-cpp.sh" --component peers)
model=$(sh "$here/fetch-model.sh")
# Word splitting is wanted: a list of names, and one of arguments.
# shellcheck disable=SC2086
models=$(sh "$here/bench-models.sh" "$peers" ${MODELS:-Q4_1 BF16})
models=$(echo "$models" | sed 's/^/--model /')

venv=$(cache_dir)/bench-python
archive=$(cache_dir)/llama.cpp/llama_cpp_python-0.3.36.tar.gz
install_python_peer() {
    [ ! -x "$venv/bin/python" ] || return 0
    say "installing llama-cpp-python, once"
    rm -rf "$venv.tmp"
    python3 -m venv "$venv.tmp" >"$venv.log" 2>&1 &&
        CMAKE_ARGS="-DGGML_NATIVE=ON -DGGML_OPENMP=OFF -DLLAVA_BUILD=OFF
            -DCMAKE_C_FLAGS='$no_amx' -DCMAKE_CXX_FLAGS='$no_amx'" \
            "$venv.tmp/bin/python" -m pip install --quiet "$archive" openai >>"$venv.log" 2>&1 &&
        mv "$venv.tmp" "$venv"
}
# Its example server, which decodes requests together, and what that imports.
install_python_server() {
    [ ! -f "$venv/server.py" ] || return 0
    "$venv/bin/python" -m pip install --quiet fastapi uvicorn websockets safetensors >>"$venv.log" 2>&1 &&
        tar -xzOf "$archive" llama_cpp_python-0.3.36/examples/server/server.py >"$venv/server.py.tmp" &&
        mv "$venv/server.py.tmp" "$venv/server.py"
}
no_amx=
for flag in -mno-amx-tile -mno-amx-int8 -mno-amx-bf16; do
    if cc $flag -E -x c /dev/null >/dev/null 2>&1; then no_amx="$no_amx $flag"; fi
done
python= server=
case ${SECTIONS:-} in tokenize | templates | checkpoints*) ;; *)
    if install_python_peer; then
        python=$venv/bin/python
        if install_python_server; then server=$venv/server.py; fi
    else
        say "llama-cpp-python cannot be installed ($venv.log): its rows are left out"
    fi
    ;;
esac

# Where it is not asked for, or there is no Rust, its columns are left out.
mistralrs=
if [ "${MISTRALRS:-0}" != 0 ]; then
    mistralrs=$(sh "$here/mistralrs.sh") || say "mistral.rs cannot be built: its columns are left out"
fi

case ${SECTIONS:-} in http | python | tokenize | templates | checkpoints*) ;; *)
    # shellcheck disable=SC2086
    python3 "$here/../bench/run.py" --build "$build" --peers "$peers" $models \
        ${SECTIONS:+--only "$SECTIONS"} ${ROUNDS:+--rounds "$ROUNDS"} \
        ${python:+--python "$python"} ${server:+--python-server "$server"} ${mistralrs:+--mistralrs "$mistralrs"}
    ;;
esac
case ${SECTIONS:-tokenize} in
tokenize)
    tokenizers=$(sh "$here/python-with.sh" requirements-tokenizers.txt tokenizers) && published=$(sh "$here/fetch-tokenizers.sh") &&
        python3 "$here/../bench/tokenizing.py" "$build" "$published" "$tokenizers" "${ROUNDS:-5}" ||
        say "the tokenizers library or the published tokenizers cannot be fetched: their table is left out"
    ;;
esac
case ${SECTIONS:-templates} in
templates)
    jinja2=$(sh "$here/python-with.sh" requirements-templates.txt jinja2 markupsafe) && published=$(sh "$here/fetch-tokenizers.sh" qwen3 llama3_1 gemma3) &&
        python3 "$here/../bench/templates.py" "$build" "$published" "$jinja2" "${ROUNDS:-5}" ||
        say "jinja2 or the published templates cannot be fetched: their table is left out"
    ;;
esac
# PYTHON: one with transformers, torch and peft; LLAMA_CPP_DIR: a llama.cpp source tree. Their rows are left out
# where these are not given.
case ${SECTIONS:-checkpoints} in
checkpoints*)
    case ${SECTIONS:-} in *:*) only=${SECTIONS#*:} ;; *) only= ;; esac
    if published=$(sh "$here/fetch-tokenizers.sh" smollm2 qwen3) &&
        checkpoints=$(sh "$here/bench-models.sh" "$peers" ${CHECKPOINTS:-135M 0.5B}); then
        # shellcheck disable=SC2046
        python3 "$here/../bench/checkpoints.py" --build "$build" --peers "$peers" --tokenizer "$published/qwen3" \
            $(echo "$checkpoints" | sed 's/^/--model /') --rounds "${ROUNDS:-5}" ${only:+--only "$only"} \
            ${PYTHON:+--python "$PYTHON"} ${mistralrs:+--mistralrs "$mistralrs"}
    else
        say "the checkpoints cannot be written: their tables are left out"
    fi
    ;;
esac
case ${SECTIONS:-http} in
http) python3 "$here/../bench/servers.py" "$build" "${ROUNDS:-7}" $python ;;
esac

# The package from its wheel, beside openai and llama-cpp-python.
case ${SECTIONS:-python} in
python)
    if [ -n "$python" ]; then
        sh "$here/python-wheel.sh" "$build" "$(getconf _NPROCESSORS_ONLN)"
        rm -rf "$build-python/bench"
        "$python" -m pip install --disable-pip-version-check --quiet --no-deps --target "$build-python/bench" \
            "$build"/python/*.whl
        PYTHONPATH=$build-python/bench python3 "$here/../bench/python_package.py" "$build" "${ROUNDS:-7}" \
            "$python" "$model"
    fi
    ;;
esac
