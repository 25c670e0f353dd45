# The front door; CMake does the building. `make help` lists the targets and the variables.

# What a user says is passed on as it is said: a "$" in a prompt is no variable of make's.
override MODEL := $(value MODEL)
override PROMPT := $(value PROMPT)
override ADAPTERS := $(value ADAPTERS)
override PREFIX := $(value PREFIX)
override CASES := $(value CASES)
export MODEL PROMPT ADAPTERS PREFIX CASES

JOBS ?= $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
FUZZ_SECONDS ?= 60

# A build folder for each kind of build, so that none makes another one build everything anew.
kind := $(if $(filter 1 ON on yes,$(PORTABLE)),-portable)
kind := $(kind)$(if $(filter 1 ON on yes,$(CUDA)),-cuda)
kind := $(kind)$(if $(findstring thread,$(SANITIZE)),-tsan)
kind := $(kind)$(if $(findstring address,$(SANITIZE)),-asan)
kind := $(kind)$(if $(filter undefined,$(SANITIZE)),-ubsan)
# A compiler named on the command line too: CMake forgets its options when the compiler changes. One of
# the environment counts when a folder is made.
named := $(strip $(foreach name,CC CXX,$(if $(filter command,$(firstword $(origin $(name)))),$(name))))
compiler := $(if $(named),-$(subst +,p,$(notdir $(firstword $($(firstword $(named)))))))
BUILD := build$(kind)$(compiler)
ASAN_CORE := build-asan-core$(compiler)

flags := -DINF_WERROR=ON -DINF_TESTS=ON -DSANITIZE=$(SANITIZE)
flags += -DPORTABLE=$(if $(findstring -portable,$(kind)),ON,OFF)
flags += -DCUDA=$(if $(findstring -cuda,$(kind)),ON,OFF)
flags += -DLLAMA_CPP_DIR=$(abspath $(LLAMA_CPP_DIR))
flags += $(if $(filter CC,$(named)),-DCMAKE_C_COMPILER=$(CC))
flags += $(if $(filter CXX,$(named)),-DCMAKE_CXX_COMPILER=$(CXX))
configure = sh scripts/configure.sh $(1) $(flags) $(2)
absolute_prefix = case $$PREFIX in '' | /*) ;; *) PREFIX=$$PWD/$$PREFIX ;; esac

.PHONY: all build run model python test test-asan-core test-live parity fuzz peers bench install uninstall format format-check tidy clean help

# What is installed, and the example of the demonstration.
all:
	@$(call configure,$(BUILD))
	@sh scripts/build.sh $(BUILD) $(JOBS) products

# The tests too.
build:
	@$(call configure,$(BUILD))
	@sh scripts/build.sh $(BUILD) $(JOBS)

# Base model and both adapters answer the same question at once. MODEL= uses a model of one's own.
run: $(if $(MODEL),,model)
	@$(call configure,$(BUILD))
	@sh scripts/build.sh $(BUILD) $(JOBS) inference_command side_by_side
	@INFERENCE=$(BUILD)/inference sh scripts/demo.sh

model:
	@sh scripts/fetch-model.sh >/dev/null

# One wheel in build/python, of the library for any x86-64-v3 CPU.
python:
	@$(if $(filter CC,$(named)),CC=$(CC)) $(if $(filter CXX,$(named)),CXX=$(CXX)) \
	    $(if $(LLAMA_CPP_DIR),LLAMA_CPP_DIR=$(abspath $(LLAMA_CPP_DIR))) \
	    sh scripts/python-wheel.sh $(BUILD) $(JOBS)

# Core and parsers under the address and undefined sanitizers first (llama.cpp as it is), then all.
test: $(if $(SANITIZE),,test-asan-core) build $(if $(SANITIZE),,python)
	@sh scripts/run-tests.sh $(BUILD) $(JOBS)

test-asan-core:
	@$(call configure,$(ASAN_CORE),-DSANITIZE=address$(comma)undefined -DINF_LLAMA_SANITIZE=none)
	@sh scripts/build.sh $(ASAN_CORE) $(JOBS) asan-core
	@sh scripts/run-tests.sh $(ASAN_CORE) $(JOBS) -L asan-core
comma := ,

# On the real vLLM and Ollama, installed into the cache first. LIVE="vllm", "ollama", "templates" or "schema" (schemas
# against the public suite and jsonschema, no server): only that one.
test-live:
	@$(call configure,$(BUILD))
	@cmake --build $(BUILD) -j $(JOBS) --target live-tests
	@sh tests/live/run_live.sh $(BUILD) $(LIVE)

# Tokens, logits and greedy text of transformers and PEFT, through the command: the cases in or below
# CASES=DIR, or the repository's own. scripts/parity_case.py says what a case is.
parity: all
	@python3 -B scripts/parity.py --inference $(BUILD)/inference "$${CASES:-tests/parity/cases}"

fuzz:
	@$(call configure,build-fuzz,-DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++ -DINF_FUZZ=ON -DINF_TESTS=OFF -DSANITIZE=address$(comma)undefined -DINF_LLAMA_SANITIZE=none)
	@sh scripts/build.sh build-fuzz $(JOBS) fuzz
	@sh scripts/fuzz.sh build-fuzz $(FUZZ_SECONDS)

# llama-bench, llama-completion, llama-server and llama-quantize of the same source, for the benchmarks.
peers:
	@sh scripts/llama-cpp.sh --component peers --jobs $(JOBS) $(if $(findstring -portable,$(kind)),--portable)

# SECTIONS=one,eight,... only these tables; MODELS="Q4_1 BF16 ..."; ROUNDS=7. MISTRALRS=1 builds that peer (cargo).
bench: all model
	@sh scripts/build.sh $(BUILD) $(JOBS) bench
	@sh scripts/bench.sh $(BUILD)

install: all
	@$(absolute_prefix); cmake --install $(BUILD) $${PREFIX:+--prefix "$$PREFIX"}

# With the PREFIX and DESTDIR of the installation.
uninstall: all
	@$(absolute_prefix); export PREFIX; sh scripts/uninstall.sh $(BUILD)

format:
	@sh scripts/clang-format.sh

format-check:
	@sh scripts/clang-format.sh --check

tidy: build
	@find src tests fuzz examples -name '*.c' -o -name '*.cpp' | xargs -P $(JOBS) -n 4 clang-tidy --quiet -p $(BUILD)

clean:
	rm -rf build build-*

help:
	@echo 'make               build/inference, build/libinference.so, build/libinference.a'
	@echo 'make build         these and the tests'
	@echo 'make run           the demonstration; MODEL=FILE.gguf|DIR PROMPT="..." ADAPTERS="id=path ..."'
	@echo 'make test          the test suite, its core and parsers under sanitizers too'
	@echo 'make test-live     the providers on a real vLLM and Ollama, installed first (7 GB); LIVE=vllm, ollama, schema or templates'
	@echo 'make python        the Python package: one wheel in build/python'
	@echo 'make parity        the command against numbers of transformers and PEFT; CASES=DIR, other cases than'
	@echo '                   tests/parity/cases (scripts/make_parity_cases.py makes them)'
	@echo 'make model         fetch the small real model into the cache'
	@echo 'make bench         the tables of docs/benchmarks.md; SECTIONS=one,eight,... ROUNDS=7'
	@echo 'make peers         build the programs of llama.cpp that benchmarks compare with'
	@echo 'make fuzz          each fuzz target for FUZZ_SECONDS=60 (clang)'
	@echo 'make install       library, header, pkg-config, CMake package, man page, completion;'
	@echo '                   PREFIX= DESTDIR='
	@echo 'make uninstall     remove them; with the same PREFIX= DESTDIR='
	@echo 'make format        clang-format everything; make format-check only looks'
	@echo 'make tidy          clang-tidy'
	@echo 'make clean         remove the build folders (the cache outside the tree stays)'
	@echo
	@echo 'SANITIZE=address,undefined or thread   instruments everything, llama.cpp too; a folder of its own'
	@echo 'PORTABLE=1                             for any x86-64-v3 CPU (AVX2) instead of this one'
	@echo 'CUDA=1                                 with the CUDA backend of ggml too: nvcc, CUDAARCHS=90 for one kind of GPU'
	@echo 'LLAMA_CPP_DIR=DIR                      a llama.cpp checkout instead of the pinned source'
	@echo 'CC= CXX=                               compilers; a folder of its own'
	@echo 'JOBS=                                  parallel jobs'
