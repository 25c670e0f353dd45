#!/bin/sh
# `inference generate --batch`: a request a line, all in flight at once, an answer a line.
. "${0%/*}/lib.sh"

# batch FILE-CONTENT ARGUMENT...: a run that answers each line; how many failed is said.
batch() {
    printf '%s\n' "$1" >"$work/batch"
    shift
    answered "$@"
}

answered() {
    run generate -m "$model" --threads 1 --batch "$work/batch" "$@"
    n=$(grep -c '^{"id":[^{]*,"line":[0-9]*,"error":{' "$work/out")
    if [ "$status" -ne 0 ]; then
        fail "$*: exit code $status"
    elif [ "$n" -eq 0 ]; then
        [ ! -s "$work/err" ] || fail "$*: something on standard error"
    else
        grep -q "^inference: warning: $n of [0-9]* lines failed, the first is line [0-9]*\$" "$work/err" &&
            [ "$(wc -l <"$work/err")" -eq 1 ] || fail "$*: not '$n lines failed'"
    fi
}

# ---- ids, numbers, order
batch '{"prompt":"hi","max_tokens":3,"id":"first"}

{"prompt":"hi","max_tokens":2}
{"prompt":"hi","max_tokens":1,"id":{"any":["value",null]}}
{"prompt":"hi","max_tokens":1,"id":null}' --ignore-eos
check '{l["line"]: l["id"] for l in lines} == {1: "first", 3: 3, 4: {"any": ["value", None]}, 5: 5}'
check '{l["line"]: l["completion_tokens"] for l in lines} == {1: 3, 3: 2, 4: 1, 5: 1}'
check 'all(l["model"].endswith("base.gguf") and l["finish_reason"] == "length" for l in lines)'
printf '{"prompt":"hi","max_tokens":1}' >"$work/batch" # no newline at the end
input=$work/batch
expect_ok generate -m "$model" --threads 1 --batch -
check 'len(lines) == 1 and r["id"] == 1 and r["line"] == 1'
input=/dev/null
expect_output '' generate -m "$model" --batch -
printf '\n  \r\n\t\n' >"$work/batch"
expect_output '' generate -m "$model" --batch "$work/batch"
printf '{"prompt":"hi","max_tokens":1}\r\n' >"$work/batch"
expect_ok generate -m "$model" --threads 1 --batch "$work/batch"
check 'r["completion_tokens"] == 1'

# ---- null is as if the key were not there
batch '{"prompt":"hi","messages":null,"max_tokens":1}
{"prompt":null,"messages":[{"role":"user","content":"hi"}],"max_tokens":1,"id":null}
{"prompt":null,"messages":null}'
check '{l["line"]: l["id"] for l in lines} == {1: 1, 2: 2, 3: 3}'
check '{l["line"]: l["error"]["message"] for l in lines if "error" in l} == {3: "nothing to generate from: give a prompt or messages"}'

# ---- errors are answers, each by itself
batch 'not json
[1]
{"max_tokens":3}
{"prompt":"hi","no_such_key":1}
{"prompt":"hi","max_tokens":"3"}
{"prompt":"hi","max_tokens":0,"id":"zero"}
{"prompt":"hi","temperature":-1}
{"prompt":"hi","adapter_id":"none"}
{"prompt":"hi","messages":[]}
{"prompt":"hi","max_tokens":3,"max_tokens":4}
{"prompt":"hi","adapter":"a","adapter_id":"b"}
{"prompt":"hi","timeout":1,"timeout_ms":1}
{"prompt":"hi","max_tokens":1.5}
{"prompt":"hi","seed":-1}
{"prompt":"hi","stop":[1]}
{"prompt":"hi","stop_token_ids":"1"}
{"prompt":"hi","ignore_eos":1}
{"prompt":"hi","json_schema":{"multipleOf":0.3}}
{"prompt":"hi","grammar":"root ::="}
{"prompt":"","max_tokens":1}
{"messages":[{"role":"user"}],"max_tokens":1}
{"prompt":"hi","load":"a=b"}
{"prompt":"hi","batch":"x"}
{"prompt":"hi","max_tokens":1}'
check 'sorted(l["line"] for l in lines) == list(range(1, 25))'
check 'all(set(l) == {"id", "line", "error"} and set(l["error"]) == {"code", "message", "http_status"} for l in lines if l["line"] not in (19, 21, 24))'
check 'all(l["error"]["code"] in ("invalid_argument", "template") and l["error"]["http_status"] == 0 and l["error"]["message"] and "\n" not in l["error"]["message"] for l in lines if "error" in l)'
check '[l["id"] for l in lines if l["line"] == 6] == ["zero"]'
check 'all(word in l["error"]["message"] for l in lines for line, word in {
    1: "not a JSON object", 2: "a JSON object", 3: "nothing to generate from", 4: "no_such_key",
    5: "max_tokens\" takes a whole number", 6: "max_tokens", 7: "temperature", 8: "none",
    9: "both there", 10: "duplicate", 11: "says again", 12: "says again", 13: "a whole number",
    14: "from 0 to 1844", 15: "list of texts", 16: "list of token ids", 17: "true or false",
    18: "multipleOf", 20: "prompt is empty", 22: "unknown key", 23: "unknown key"}.items()
    if line == l["line"])'
# A seed is any number of 64 bits, as --seed takes it; columns are those of the line as it was written.
batch '{"prompt":"hi","seed":18446744073709551615,"max_tokens":4,"temperature":0.9}
{"seed": 9223372036854775808 ,"prompt":"hi","max_tokens":1}
{"prompt":"hi","seed":18446744073709551616}
{"seed":18446744073709551615,"prompt":"hi","max_tokens":99999999999999999999}
{"prompt":"hi","max_tokens":18446744073709551615}
{"prompt":"hi","stop":["\\","\""],"seed":18446744073709551615,"max_tokens":1,"id":[{"seed":1}]}
{"prompt":"hi","max_tokens":1,"id":{"seed":18446744073709551615}}
{"seed":18446744073709551615,"seed":18446744073709551615,"prompt":"hi"}'
cp "$work/out" "$work/seeds"
check '{l["line"] for l in lines if "error" not in l} == {1, 2, 6}'
check '{l["line"]: l["error"]["message"].split("(")[-1] for l in lines if "error" in l} == {3: "column 23)", 4: "column 57)", 5: "column 29)", 7: "column 44)", 8: "column 30)"}'
expect_ok generate -m "$model" --threads 1 --seed 18446744073709551615 --temperature 0.9 -n 4 --json hi
cat "$work/seeds" >>"$work/out"
check '[l["token_ids"] for l in lines[1:] if l["line"] == 1] == [r["token_ids"]]' 'the seed of a line is that of --seed'
# Errors name a key as it is written, and the flag where the command line said it.
batch '{"prompt":"hi","timeout":-5}
{"prompt":"hi","timeout_ms":-5}
{"prompt":"hi","queue_timeout":0}
{"prompt":"hi","max-tokens":0}
{"prompt":"hi","max_tokens":0}
{"prompt":"hi"}
{"prompt":"hi","queue_timeout_ms":1,"max_tokens":1}
{"prompt":"hi","adapter":"a","adapter_scale":1e39}
{"prompt":"hi","adapters":[{"id":"a","scale":1e39}]}' --max-tokens 0
check '{l["line"]: l["error"]["message"].split(":")[0] for l in lines if "error" in l and l["line"] != 7} == {
    1: "timeout", 2: "timeout_ms", 3: "queue_timeout", 4: "max-tokens", 5: "max_tokens", 6: "--max-tokens", 8: "--max-tokens", 9: "--max-tokens"}'
check '[l["error"]["message"] for l in lines if l["line"] == 1] == ["timeout: -5 is neither above 0 nor none, which is no limit"]'
printf '{"prompt":"hi"}\n' >"$work/batch"
answered --queue-timeout 0.001
check 'r["error"]["message"] == "no slot or connection within --queue-timeout, 1 ms; raise it (none: no limit)"'
printf '{"prompt":"hi","max_tokens":0}\n' >"$work/batch"
run generate -m "$model" --strict --batch "$work/batch"
[ "$status" -eq 3 ] && grep -q 'the first is line 1: max_tokens: 0 ' "$work/err" || fail 'a strict error of a line names a flag'
batch '{"prompt":"hi","json_schema":5}'
check '"takes a JSON object" in r["error"]["message"]'
# A long list costs what it is long, not the square of it: the library's limit answers.
python3 -c 'import json; print(json.dumps({"prompt": "hi", "stop": ["s%d" % i for i in range(20000)]}))' >"$work/batch"
python3 - "$INFERENCE" generate -m "$model" --threads 1 --batch "$work/batch" >"$work/out" 2>"$work/err" <<'PYTHON' ||
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
sys.exit(code or resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss > 1 << 20) # KiB
PYTHON
    fail '20,000 stop strings take a GiB'
check 'r["error"]["code"] == "invalid_argument" and "more than 64" in r["error"]["message"]'
# A key that fills the message must not cut a letter in two: the answer is JSON all the same.
batch "$(python3 -c 'print(*("{\"prompt\":\"hi\",\"%s%s\":1}" % ("x" * n, "\u00e9" * 300) for n in range(4)), sep="\n")')"
check 'len(lines) == 4 and all("unknown key" in l["error"]["message"] for l in lines)'
printf '{"prompt":"\377","max_tokens":1}\n{"prompt":"a\\u0000b","max_tokens":1}\n' >"$work/batch"
answered
check '{l["line"]: "error" in l for l in lines} == {1: True, 2: False}' 'bytes that are no UTF-8'

# ---- the command line's options are the defaults, and every key has its effect
batch '{"prompt":"hi"}
{"prompt":"hi","max_tokens":2,"temperature":0}
{"prompt":"hi","max_tokens":null}' -n 5 --seed 3 --temperature 0.9
check '{l["line"]: l["completion_tokens"] for l in lines} == {1: 5, 2: 2, 3: 5}'
check '[l["token_ids"] for l in lines if l["line"] == 1] == [l["token_ids"] for l in lines if l["line"] == 3]'
batch '{"prompt":"hi","temperature":0,"max_tokens":8}
{"prompt":"hi","temperature":0.0,"top_k":1,"max-tokens":8}
{"prompt":"hi","temperature":0,"max_tokens":8,"stop":["h","zz"]}
{"prompt":"hi","temperature":0,"max_tokens":8,"stop":"h"}
{"prompt":"hi","temperature":0,"max_tokens":8,"logprobs":1}
{"prompt":"hi","max_tokens":20,"json_schema":{"enum":["red"]}}
{"prompt":"hi","max_tokens":20,"json_schema":"{\"enum\":[\"red\"]}"}
{"prompt":"hi","max_tokens":20,"grammar":"root ::= \"x\""}
{"prompt":"hi","max_tokens":4,"ignore_eos":true,"grammar":"root ::= \"x\""}
{"messages":[{"role":"user","content":"hi"}],"max_tokens":1}
{"messages":[{"role":"user","content":"hi"}],"max_tokens":1,"system_prompt":"Be very brief."}
{"prompt":"hi","chat":true,"max_tokens":1}
{"messages":[{"role":"user","content":"hi"}],"max_tokens":1,"template_variables":{"x":1}}
{"prompt":"hi","timeout":0.000001,"ignore_eos":true}
{"prompt":"hi","timeout_ms":1000000,"max_tokens":1,"min_p":0.1,"top_p":0.9,"repetition_penalty":1.1,"frequency_penalty":0.1,"presence_penalty":0.1,"seed":"18446744073709551615","stop_token_ids":[5]}
{"prompt":"hi","model":null,"max_tokens":1}
{"prompt":"hi","extra_json":{"a":1},"max_tokens":1}
{"prompt":"hi","extra_headers":"A: b","max_tokens":1}'
check 'all(test(l) for l in lines for line, test in {
    1: lambda r: r["completion_tokens"] == 8,
    2: lambda r: r["completion_tokens"] == 8,
    3: lambda r: r["finish_reason"] == "stop" and "h" not in r["text"],
    4: lambda r: r["finish_reason"] == "stop" and "h" not in r["text"],
    5: lambda r: len(r["logprobs"]) == 8,
    6: lambda r: r["text"] == "\"red\"",
    7: lambda r: r["text"] == "\"red\"",
    8: lambda r: r["text"] == "x",
    9: lambda r: r["text"] == "x" and r["finish_reason"] == "stop" and r["completion_tokens"] < 4,
    10: lambda r: r["prompt_tokens"] > 10,
    11: lambda r: r["prompt_tokens"] > 20,
    12: lambda r: r["prompt_tokens"] > 10,
    13: lambda r: r["completion_tokens"] == 1,
    14: lambda r: r["error"]["code"] == "timeout" if "error" in r else r["completion_tokens"] > 100,
    15: lambda r: r["completion_tokens"] == 1,
    16: lambda r: r["model"].endswith("base.gguf"),
    17: lambda r: r["error"]["code"] == "unsupported" and "extra_json" in r["error"]["message"],
    18: lambda r: r["error"]["code"] == "unsupported" and "extra_headers" in r["error"]["message"]}.items() if line == l["line"])'
check 'len(lines) == 18'

# ---- all in flight at once, base and adapters in the same steps
until_holds 'max(l["mean_rows"] for l in lines) > 4 and max(l["mean_adapters"] for l in lines) > 2' \
    batch "$(for id in '' a b c '' a b c; do
    printf '{"prompt":"hi","max_tokens":1000,"ignore_eos":true,"adapter_id":"%s"}\n' "$id"
done)" \
    --load "a=$adapter-0" --load "b=$adapter-1" --load "c=$adapter-2" --temperature 0
check 'len(lines) == 8 and all("error" not in l for l in lines)'
check 'all(a["token_ids"] == b["token_ids"] for a in lines for b in lines if a["adapter_id"] == b["adapter_id"])'
check 'len({str(l["token_ids"]) for l in lines}) == 4 == len({l["adapter_id"] for l in lines})'

# ---- a line without the command line's adapter has no scale to be told
batch '{"prompt":"hi","max_tokens":1}
{"prompt":"hi","max_tokens":1,"adapter_id":""}
{"prompt":"hi","max_tokens":1,"adapter_id":"","adapter_scale":2}' --load "a=$adapter-0" --adapter a \
    --adapter-scale 0.5
check '{l["line"]: l.get("adapter_id") for l in lines if "error" not in l} == {1: "a", 2: None}'
check 'any("adapter_scale" in str(l.get("error")) for l in lines if l["line"] == 3)'


# ---- what a line says to no effect is told once; an adapter that no line uses too
printf '{"prompt":"hi","model":"other","max_tokens":1}\n{"prompt":"hi","model":"other","max_tokens":1}\n' >"$work/batch"
expect_warning 'line 1: "model" changes nothing in process' generate -m "$model" --threads 1 --batch "$work/batch"
printf '{"prompt":"hi","model":"%s","max_tokens":1}\n' "$model" >"$work/batch"
expect_ok generate -m "$model" --threads 1 --batch "$work/batch"
printf '{"prompt":"hi","adapter_id":"b","max_tokens":1}\n' >"$work/batch"
expect_warning '--load a: no request used it' generate -m "$model" --threads 1 --batch "$work/batch" \
    --load "a=$adapter-0" --load "b=$adapter-1"

# ---- adapters in a line: an id, a list of ids and scales
batch '{"prompt":"hi","max_tokens":1,"adapter_id":"a"}
{"prompt":"hi","max_tokens":1,"adapters":["a"]}
{"prompt":"hi","max_tokens":1,"adapters":[{"id":"b","scale":0.25}]}
{"prompt":"hi","max_tokens":1,"adapters":[]}
{"prompt":"hi","max_tokens":1,"adapters":[{"id":"b","scale":null}]}
{"prompt":"hi","max_tokens":1}
{"prompt":"hi","adapters":[{"id":"b","weight":1}]}
{"prompt":"hi","adapters":[{"scale":1}]}
{"prompt":"hi","adapters":[1]}
{"prompt":"hi","adapters":{"b":1}}
{"prompt":"hi","adapters":["a"],"adapter_id":"a"}
{"prompt":"hi","max_tokens":1,"adapters":[{"id":"a","scale":0.4},"b"]}' --load "a=$adapter-0" --load "b=$adapter-1" --adapter b=0.5
check '{l["line"]: [(a["id"], a["scale"]) for a in l["adapters"]] for l in lines if "error" not in l} == {
    1: [("a", 1)], 2: [("a", 1)], 3: [("b", 0.25)], 4: [], 5: [("b", 1)], 6: [("b", 0.5)], 12: [("a", 0.4), ("b", 1)]}'
check 'all(("says again" if l["line"] == 11 else "an adapter") in l["error"]["message"] for l in lines if "error" in l) and len(lines) == 12'
batch '{"prompt":"hi","max_tokens":1,"timeout":"none","queue_timeout":"none"}
{"prompt":"hi","max_tokens":1,"timeout_ms":-1,"queue_timeout_ms":-1}
{"prompt":"hi","timeout":"never"}' -n 1
check '{l["line"] for l in lines if "error" in l} == {3}'

# ---- a byte order mark is no part of the first line
printf '\357\273\277{"prompt":"hi","max_tokens":1}\n{"prompt":"hi","max_tokens":1}\n' >"$work/batch"
expect_ok generate -m "$model" --threads 1 --batch "$work/batch"
check '[l["completion_tokens"] for l in lines] == [1, 1]' 'a byte order mark'

# ---- what is no JSON is told with its column in characters
batch '{"id":"Größe 😀","seed":18446744073709551616}
{"ü":1,"prompt":"hi","prompt":"ho"}
{"prompt":"Grüße \ud800 x"}
{"prompt":"Grüße \udc00 x"}
{"prompt":"ü","n":-9223372036854775809}
{"prompt":"ü",x}
{"prompt":"a\"b","x":tru}'
check '{l["line"]: l["error"]["message"].rsplit("column ")[-1] for l in lines} == {1: "24)", 2: "22)", 3: "11)", 4: "11)", 5: "19)", 6: "15)", 7: "22)"}' 'columns'
check 'all(word in l["error"]["message"] for l in lines for line, word in {1: "too big integer", 2: "duplicate", 3: "Unicode", 4: "Unicode", 5: "too big negative"}.items() if line == l["line"])'
batch '{"prompt":"hi","max_token":1}'
check 'r["error"]["message"] == "unknown key \"max_token\"; did you mean \"max_tokens\"?"'

# ---- keys stay keys, and what no key sets is called by its flag
batch '{"prompt":"hi","max_tokens":0}
{"prompt":"one two three four five six seven"}' --ctx 16 -n 4
check '{l["line"]: l["error"]["message"] for l in lines}[1].startswith("max_tokens: 0")'
check '"raise --ctx" in {l["line"]: l["error"]["message"] for l in lines}[2]'

# ---- what came before an error stands beside it
printf '{"prompt":"hi","ignore_eos":true,"timeout":0.5}\n' >"$work/batch"
run generate -m "$model" --threads 1 --batch "$work/batch" --ctx 16384 -n 16000 -q
check 'r["error"]["code"] == "timeout" and r["completion_tokens"] > 0 and r["text"] and r["finish_reason"] is None' 'a timeout'

# ---- --strict
printf '{"prompt":"hi","max_tokens":1}\n{"prompt":"hi","adapter_id":"none"}\n{"prompt":""}\n' >"$work/batch"
run generate -m "$model" --threads 1 --batch "$work/batch" --strict
[ "$status" -eq 3 ] && grep -q "^inference: 2 of 3 lines failed, the first is line 2: adapter 'none'" "$work/err" ||
    fail "--strict: exit code $status"
run generate -m "$model" --threads 1 --batch "$work/batch" --quiet
[ "$status" -eq 0 ] && [ ! -s "$work/err" ] || fail "--quiet tells how many failed"
expect_usage '--strict is for --batch' generate -m "$model" --strict hi

# More lines than may wait: all get an answer.
python3 -c 'print("{\"prompt\":\"hi\",\"max_tokens\":1}\n" * 300)' >"$work/batch"
expect_ok generate -m "$model" --threads 1 --max-sequences 2 --queue-limit 3 --batch "$work/batch"
check 'len(lines) == 300 and all("error" not in l for l in lines)'

# ---- what fails as a whole
expect_error 8 'cannot open .*/none' generate -m "$model" --batch "$work/none"
expect_error 8 "cannot read $work: .*directory" generate -m "$model" --batch "$work"
batch '{"prompt":"hi"}
{"prompt":"hi"}'
sed -i 's/base/none/' "$work/batch"
"$INFERENCE" generate -m "$work/none.gguf" --batch "$work/batch" >"$work/out" 2>"$work/err"
status=$?
check 'len(lines) == 2 and all(l["error"]["code"] == "io" for l in lines)' 'a missing model'
[ "$status" -eq 0 ] || fail 'a missing model answers every line'

finish
