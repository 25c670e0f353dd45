#!/bin/sh
# The completions of bash and zsh know every command and option that there is, and complete values.
. "${0%/*}/lib.sh"
completions=$INFERENCE_SOURCE_DIR/completions
commands=$("$INFERENCE" --options | cut -d' ' -f1 | sort -u)

# complete_in SHELL WORD...: what it offers for the last word, sorted, in $work/out.
complete_in() {
    shell=$1
    shift
    if [ "$shell" = bash ]; then
        bash -c '. "$0/inference.bash"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _inference
            printf "%s\n" "${COMPREPLY[@]}"' "$completions" "$INFERENCE" "$@"
    else
        # compadd and _files say what they were given; the prefix is the caller's to filter.
        zsh -f -c 'words=("$@"); CURRENT=$#; PREFIX=$words[CURRENT]
            compadd() { [[ $1 == -- ]] && shift; print -rl -- "$@" }
            _files() { print FILES }; compset() { : }
            functions[_inference]="$(<"$0/_inference")"; _inference' "$completions" "$INFERENCE" "$@"
    fi 2>"$work/err" | sort >"$work/out"
    [ ! -s "$work/err" ] || fail "$shell: $*"
}

offers() { # WORDS SHELL WORD...
    wanted=$1
    shift
    complete_in "$@"
    printf '%s\n' $wanted | sort | cmp -s - "$work/out" || fail "$*: not '$wanted'"
}

cd "$work" || exit 1
: >model.gguf
for shell in bash zsh; do
    command -v "$shell" >/dev/null 2>&1 || continue
    offers "$commands help --help --version" "$shell" ''
    for command in $commands; do
        offers "$("$INFERENCE" --options | sed -n "s/^$command \(--[a-z-]*\).*/\1/p") --help" "$shell" "$command" --
    done
    offers 'auto on off' "$shell" generate --flash-attention ''
    offers 'vllm ollama llamacpp transformers' "$shell" render -p ''
    offers 'list load unload' "$shell" adapters ''
    offers "$commands" "$shell" help ''
    case $shell in bash) file=model.gguf ;; *) file=FILES ;; esac
    offers "$file" "$shell" generate --chat -m mod
    offers "$file" "$shell" inspect mod
done
command -v bash >/dev/null 2>&1 || exit 77
offers model.gguf bash generate --load a = mod
offers 'auto' bash generate --flash-attention = au
offers 'generate' bash gen
offers '--temperature' bash generate --tempe
finish
