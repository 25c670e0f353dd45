#!/bin/sh
# Dependencies point one way: `scripts/check-layers.sh [BUILD]`. For each folder of src, none left out: which
# folders it may include from, which libraries' and which of the system's headers it may see, and what no library
# code may call. No two files need each other in a circle: by what they include and, with a build folder, by
# whose functions they call; and what nobody calls but its own file is static. Pointers are asked as they are: !p,
# not p == NULL.
# Prints each offence as file:line: text, and fails when there is one.
set -eu

build=${1:+$(cd "$1" && pwd)}

cd "$(dirname "$0")/.."
offences=$(mktemp)
ruled= # folders that a rule is about
trap 'rm -f "$offences"' EXIT

files() {
    find "$@" -type f \( -name '*.c' -o -name '*.h' -o -name '*.cpp' \) 2>/dev/null | LC_ALL=C sort
}

# Reads grep's file:line:text, keeps what no pattern matches.
report() {
    sed "s|\$|    ($1)|" >>"$offences"
}

# may FOLDER FOLDER...: the first, with the folders in it, may include "X/..." of the others, or their "X.h",
# and its own.
may() {
    folder=$1
    ruled="$ruled $folder "
    [ -e "src/$folder" ] || return 0
    allowed=$(printf '%s|' "$@")
    files "src/$folder" | xargs -r grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' /dev/null |
        { grep -vE "\"(${allowed%|})(/|\.h\")" || true; } | report "src/$folder may include: $*"
}

# only HEADER-PATTERN FOLDER...: <header> or "header" nowhere but in these folders.
only() {
    pattern=$1
    shift
    allowed=$(printf '^src/%s|' "$@")
    files src | xargs -r grep -nE "#[[:space:]]*include[[:space:]]*[<\"]($pattern)[>\"]" /dev/null |
        { grep -vE "${allowed%|}" || true; } | report "only in: $*"
}

# never CALL-PATTERN WHERE WHY: no such call in library code, WHERE (a pattern) left out.
never() {
    files src | { grep -vE "^src/cli/|$2" || true; } |
        xargs -r grep -nE "(^|[^A-Za-z0-9_.>])($1)[[:space:]]*\(" /dev/null |
        { grep -vE ':[0-9]+:[[:space:]]*(\*|//|/\*)' || true; } | report "$3"
}

may core
may http core
may gguf core
may text core
may text/template core
may text/constraint core text/json_text
may text/output core text/constraint text/json_text
may lora core
may kernels core
may hf core
may hf/files core
may hf/tokenizer core
may arch core hf/files gguf lora
may remote core http hf/files
may local core text
may engine core gguf lora kernels local/engine local/tokenizer local/adapter_set
may llamacpp core hf/tokenizer gguf arch local engine
may transformers core hf arch local engine
may cli
may backends.c core remote llamacpp transformers

for folder in $(files src | sed 's|^src/||; s|/[^/]*$||' | sort -u); do
    case "$ruled" in *" $folder "*) ;; *) echo "src/$folder: no rule says what it may include" >>"$offences" ;; esac
done

only '(llama|llama-cpp|llama_edits|ggml[a-z-]*|gguf)\.h' engine/
only 'ggml-internal/.*' engine/cpu_operators
only '(jinja|json-schema|nlohmann|simdjson|rapidjson)[/.].*|cmocka\.h' none
only 'jansson\.h' core/factory core/json_dump cli/ hf/files/ text/
only 'curl/.*|uv\.h' http/
only 'pcre2\.h|utf8proc\.h' hf/tokenizer/
only 'uniname\.h|unictype\.h' text/template/

only 'sys/(mman|eventfd)\.h' core/ gguf/file hf/files/weight_files
only '(sys/socket|netinet/.*|arpa/inet|ifaddrs)\.h' http/ remote/server
only '(immintrin|cpuid)\.h' core/cpu_features core/numbers kernels/ lora/

own=$(ls -d src/*/ | sed 's|src/||; s|/$||' | paste -sd '|')
files src | { xargs grep -nE "#[[:space:]]*include[[:space:]]*<($own)/" || true; } | report 'own headers stand in quotes'

never 'exit|_exit|_Exit|abort|printf|puts|putchar|perror|system|assert' '^$' \
    'library code neither prints nor ends the process'
never 'malloc|calloc|realloc|strdup|strndup|asprintf|vasprintf' '^src/core/memory\.' \
    'allocate through core/memory.h'
never 'pthread_create' '^src/core/context\.' 'thread_start of core/context.h blocks signals'
never 'time|gettimeofday|clock_gettime|pthread_cond_timedwait' \
    '^src/(core/clock|engine/llama_engine|http/answer|text/template/(rounding|vm))\.' \
    'deadlines are of core/clock.h, which no change of the date moves'

# `!= NULL` makes a value of a pointer, or asks what was just assigned.
files src tests fuzz bench examples |
    xargs grep -nE '== NULL|(if|while) \([^(=]*(\([^()]*\))? != NULL\)|!= NULL (\?|&&|\|\|)' |
    { grep -vE '[^=!<>]= [^=].*\) != NULL' || true; } | report 'write p, or !p'

# circles: pairs of files on standard input, the first needing the second.
circles() {
    sort -u | awk '$1 != $2' | tsort 2>&1 >/dev/null |
        sed 's/^tsort: -: input contains a loop:/a circle, by '"$1"':/; s/^tsort: /    /' >>"$offences"
}

files src | xargs grep -HE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"[a-z]' |
    sed -E 's/:.*include[[:space:]]*"/ src\//; s/".*//' | circles includes

# Symbols that an object defines (D) and wants (U), but for those of files that are gone and the address sanitizer's.
symbols() {
    find "$build"/CMakeFiles/inf*.dir/src -name '*.o' -exec nm -gA {} + |
        sed -E 's/^.*\.dir\/(src\/[^:]*)\.o:/\1 /' | while read -r file rest; do
        [ "$file" = "${last:=}" ] || { last=$file && there=$([ -e "$file" ] && echo yes || true); }
        [ -z "$there" ] || echo "$file $rest"
    done | awk '
        $NF ~ /^__odr_asan\./ { next }
        $(NF - 1) == "U" { print "U", $NF, $1 }
        NF == 4 && $3 ~ /^[TDBR]$/ { print "D", $4, $1 }'
}

if [ -n "$build" ] && command -v nm >/dev/null; then
    found=$(symbols)
    # The composition root is what core is given.
    echo "$found" | awk '
        $1 == "D" { where[$2] = $3 }
        $1 == "U" { wants[$3 " " $2] }
        END {
            for (pair in wants) {
                split(pair, part, " ")
                if (part[2] in where && where[part[2]] != "src/backends.c")
                    print part[1], where[part[2]]
            }
        }' | circles calls
    # Another kind of build may want it, or a test: whose name stands in no other file is to be static.
    alone=$(echo "$found" | awk '
        $1 == "D" { where[$2] = $3 }
        $1 == "U" { wanted[$2] }
        END {
            for (name in where)
                if (!(name in wanted) && name !~ /^(inf_|_Z|main$)/)
                    print name, where[name]
        }')
    {
        echo "$alone"
        files src tests fuzz bench | grep -E '\.(c|cpp)$' |
            xargs grep -owF "$(echo "$alone" | cut -d' ' -f1)" | sort -u
    } | awk -F'[ :]' '
        !/:/ { where[$1] = $2 }
        /:/ && $1 != where[$2] { delete where[$2] }
        END {
            for (name in where)
                print where[name] ": " name "    (static: nothing else calls it)"
        }' >>"$offences"
fi

if [ -s "$offences" ]; then
    cat "$offences"
    exit 1
fi
