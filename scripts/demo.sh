#!/bin/sh
# The demonstration: one question, answered by the base model and by two adapters, all three in
# flight at once, each under its heading as it is written. $INFERENCE is the command; MODEL and
# PROMPT may be set.
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
. "$here/scripts/lib.sh"
command=${INFERENCE:-$here/build/inference}
model=${MODEL:-$(sh "$here/scripts/fetch-model.sh")}
prompt=${PROMPT:-What is a rainbow?}

# The adapters that come along are trained for the small model; ADAPTERS="id=path ..." are your own.
if [ -n "${MODEL:-}" ]; then
    adapters=${ADAPTERS:-}
else
    adapters="pirate=$here/adapters/pirate json=$here/adapters/json"
fi
exec "${command%/*}/examples/side_by_side" "$model" "$prompt" $adapters
