# Sourced by the scripts beside it: messages, a progress line, the cache folder, verified downloads.
# POSIX sh. Everything here goes to stderr; stdout belongs to the script's result.

say() {
    printf 'inference: %s\n' "$*" >&2
}

die() {
    say "$*"
    exit 1
}

# The folder that outlives the tree: sources, built llama.cpp, the model.
cache_dir() {
    if [ -n "${XDG_CACHE_HOME:-}" ]; then
        printf '%s/inference\n' "$XDG_CACHE_HOME"
    elif [ -n "${HOME:-}" ]; then
        printf '%s/.cache/inference\n' "$HOME"
    else
        die "set HOME or XDG_CACHE_HOME: downloads and built libraries are kept below it"
    fi
}

# progress TITLE DONE TOTAL: one line that rewrites itself on a terminal, a line a quarter in a log.
progress_quarter=
progress() {
    if [ -t 2 ]; then
        printf '\r\033[Kinference: %s %s/%s' "$1" "$2" "$3" >&2
    elif [ "$3" -gt 0 ] && [ "$(($2 * 4 / $3))" != "$progress_quarter" ]; then
        progress_quarter=$(($2 * 4 / $3))
        say "$1 $2/$3"
    fi
}

progress_end() {
    if [ -t 2 ]; then printf '\r\033[K' >&2; fi
    progress_quarter=
}

# watch_build TITLE LOG [show]: reads a build's output. Steps ("[3/7] ..." of ninja, "[ 42%] ..." of
# make) become the progress line, everything goes to LOG; with "show" what is neither a step nor
# chatter, a compiler's words, goes to stderr too.
watch_build() {
    while IFS= read -r line; do
        printf '%s\n' "$line" >>"$2"
        case $line in
        "["*"] Re-checking globbed"* | "ninja: no work to do."* | "ninja: Entering directory"*) ;;
        "[100%] Built target"* | "["*"%] Built target"* | "Consolidate compiler generated "*) ;;
        "Scanning dependencies of "* | *"make["*"]: Entering directory"* | *"make["*"]: Leaving directory"*) ;;
        "["[0-9]*/[0-9]*"] "*)
            count=${line#"["}
            count=${count%%"]"*}
            progress "$1" "${count%/*}" "${count#*/}"
            ;;
        "["*[0-9]"%] "*)
            count=${line%%"%"*}
            progress "$1" "${count##*[!0-9]}" 100
            ;;
        *)
            if [ "${3:-}" = show ]; then
                [ ! -t 2 ] || printf '\r\033[K' >&2
                printf '%s\n' "$line" >&2
            fi
            ;;
        esac
    done
    progress_end
}

sha256_of() {
    sha256sum "$1" | cut -d' ' -f1
}

# sha256_is FILE HASH
sha256_is() {
    [ -f "$1" ] && [ "$(sha256_of "$1")" = "$2" ]
}

# with_lock FILE COMMAND...: the command, alone among all processes that lock FILE. The kernel drops
# the lock with the process, however it ends. Without flock (not Linux) the atomic renames must do.
with_lock() {
    lock_file=$1
    shift
    if ! command -v flock >/dev/null 2>&1; then
        "$@"
        return
    fi
    (
        if ! flock -n 9; then
            say "waiting for another build that holds ${lock_file##*/}"
            flock 9
        fi
        "$@"
    ) 9>"$lock_file"
}

# pip_download DIR NAME VERSION HASH MEGABYTES [OPTION...]: one distribution file into DIR. pip
# refuses a file whose SHA-256 is not HASH before it runs or unpacks anything of it.
pip_download() {
    pip_dir=$1 pip_name=$2 pip_version=$3 pip_hash=$4 pip_size=$5
    shift 5
    python3 -m pip --version >/dev/null 2>&1 ||
        die "python3 with pip is needed to fetch $pip_name $pip_version (Debian: apt-get install python3-pip)"
    mkdir -p "$pip_dir"
    printf '%s==%s --hash=sha256:%s\n' "$pip_name" "$pip_version" "$pip_hash" >"$pip_dir/pin.txt"
    say "downloading $pip_name $pip_version ($pip_size MB)"
    if [ -t 2 ]; then set -- "$@" --progress-bar on; else set -- "$@" --progress-bar off; fi
    if [ -t 2 ]; then
        python3 -m pip download --disable-pip-version-check --no-deps --require-hashes \
            -d "$pip_dir" -r "$pip_dir/pin.txt" "$@" >&2 && return
    else
        python3 -m pip download --disable-pip-version-check --no-deps --require-hashes \
            -d "$pip_dir" -r "$pip_dir/pin.txt" "$@" >"$pip_dir/pip.log" 2>&1 && return
        tail -n 15 "$pip_dir/pip.log" >&2
    fi
    die "could not download $pip_name $pip_version; is the network up? Run the same again"
}
