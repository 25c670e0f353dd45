#!/bin/sh
# Threads and memory that the system refuses end a request, never the process: one line, and an exit
# code of the table. Where the shell cannot set such a limit, or the system has no plain user to give,
# that part is skipped with a word.
. "$INFERENCE_SOURCE_DIR/tests/script/lib.sh"

# The command, with a limit of virtual memory in KiB.
run_within() { # KIB ARGUMENT...
    kib=$1
    shift
    (ulimit -v "$kib" && exec "$INFERENCE" "$@") </dev/null >"$work/out" 2>"$work/err"
    status=$?
}

# The dynamic loader, a shell's ulimit, too little even for the command's first thread: not ours.
said_by_others() {
    grep -q "error while loading shared libraries\|cannot set terminal process group" "$work/err"
}

if [ "${SANITIZED:-}" ] || ! (ulimit -v 4000000) 2>/dev/null; then
    echo "skipped: limits of memory (a sanitizer, or a shell that cannot set them)" >&2
else
    ended=0
    kib=60000
    while [ "$kib" -le 460000 ]; do
        run_within "$kib" generate -m "$model" --threads 4 --temperature 0 -n 3 "x"
        case $status in
        0) ended=$((ended + 1)) ;;
        6 | 7) [ "$(grep -vc '^inference: warning: ' "$work/err")" -eq 1 ] ||
            fail "$kib KiB: not one line" ;;
        *) said_by_others || fail "$kib KiB: exit code $status" ;;
        esac
        kib=$((kib + 20000))
    done
    [ "$ended" -gt 0 ] || fail "no limit was large enough: the test tested nothing"
    # Several requests: the later ones try again what the first was refused, with less memory left.
    for line in 1 2 3 4 5 6; do
        echo '{"prompt":"x","max_tokens":3,"temperature":0}'
    done >"$work/lines"
    kib=120000
    while [ "$kib" -le 460000 ]; do
        run_within "$kib" generate -m "$model" --threads 2 --batch "$work/lines"
        [ "$status" -lt 100 ] || said_by_others || fail "$kib KiB, a batch: exit code $status"
        kib=$((kib + 8000))
    done
    run_within 4000000 generate -m "$model" --threads 4 --temperature 0 -n 3 "x"
    [ "$status" -eq 0 ] || fail "4 GB are not enough"
fi

# As a plain user: root has no limit of processes.
plain=65534
command -v prlimit >/dev/null || {
    echo "skipped: limits of threads (no prlimit)" >&2
    finish
}
if [ "$(id -u)" -ne 0 ]; then
    as_user=
elif command -v setpriv >/dev/null && setpriv --reuid=$plain --clear-groups true 2>/dev/null; then
    as_user="setpriv --reuid=$plain --clear-groups"
else
    echo "skipped: limits of threads (no setpriv to become a plain user with)" >&2
    finish
fi

# Where that user can read it all.
mkdir "$work/plain"
cp "$model" "$work/plain/model.gguf"
cp "$INFERENCE" "$work/plain/inference"
for library in "$(dirname "$INFERENCE")"/libinference.so*; do
    [ ! -e "$library" ] || cp "$library" "$work/plain/"
done
chmod -R a+rX "$work"

# The leak sanitizer looks from a thread of its own, and is refused it.
run_with_threads() { # LIMIT ARGUMENT...
    limit=$1
    shift
    (cd "$work/plain" && LD_LIBRARY_PATH=. HOME=. ASAN_OPTIONS=detect_leaks=0 &&
        export LD_LIBRARY_PATH HOME ASAN_OPTIONS &&
        exec $as_user prlimit --nproc="$limit:$limit" ./inference "$@") \
        </dev/null >"$work/out" 2>"$work/err"
    status=$?
}

run_with_threads 2000 generate -m model.gguf --threads 4 --temperature 0 -n 3 "x"
if [ "$status" -ne 0 ]; then
    echo "skipped: limits of threads (the plain user cannot run the command: $(head -n 1 "$work/err"))" >&2
    finish
fi
for limit in 1 3 5 7; do
    run_with_threads "$limit" generate -m model.gguf --threads 4 --temperature 0 -n 3 "x"
    case $status in
    0 | 6 | 7) ;;
    *) grep -q "Cannot fork\|Resource temporarily unavailable" "$work/err" ||
        fail "$limit threads: exit code $status" ;;
    esac
done
run_with_threads 6 generate --quiet -m model.gguf --threads 4 --temperature 0 -n 3 "x"
is_error 6 "ulimit -u" "6 threads, 4 of them to compute"
finish
