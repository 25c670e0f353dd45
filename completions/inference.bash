# bash completion of inference. The command itself lists its options (`inference --options`: a line
# "COMMAND --NAME [-LETTER] [ARGUMENT]" each), so that there is no second list to keep.
_inference() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]}
    local options argument
    COMPREPLY=()
    options=$("${COMP_WORDS[0]}" --options 2>/dev/null) || return
    if ((COMP_CWORD == 1)); then
        COMPREPLY=($(compgen -W "$(cut -d' ' -f1 <<<"$options" | sort -u) help --help --version" -- "$cur"))
        return
    fi
    # ID=PATH and --flag=VALUE are three words here: bash parts them at "=".
    if [[ $cur == = ]]; then
        cur=
    elif [[ $prev == = ]]; then
        prev=${COMP_WORDS[COMP_CWORD-2]}
    fi
    argument=$(awk -v c="$command" -v p="$prev" '$1 == c && ($2 == p || $3 == p) && $NF !~ /^-/ { print $NF }' <<<"$options")
    case $argument in
    *\|*) COMPREPLY=($(compgen -W "${argument//|/ }" -- "$cur")) ;;
    FILE | MODEL | ID=PATH) COMPREPLY=($(compgen -f -- "$cur")) ;;
    '')
        if [[ $cur == -* ]]; then
            COMPREPLY=($(compgen -W "$(awk -v c="$command" '$1 == c { print $2 }' <<<"$options") --help" -- "$cur"))
        elif [[ $command == adapters && $prev == adapters ]]; then
            COMPREPLY=($(compgen -W 'list load unload' -- "$cur"))
        elif [[ $command == help ]]; then
            COMPREPLY=($(compgen -W "$(cut -d' ' -f1 <<<"$options" | sort -u)" -- "$cur"))
        else
            COMPREPLY=($(compgen -f -- "$cur"))
        fi
        ;;
    esac
}
complete -o filenames -F _inference inference
