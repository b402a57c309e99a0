# What looks for faults; included by the Makefile.
#
#   make check-asan      the specs under the address, undefined-behaviour and leak sanitizers
#   make check-tsan      Lua states and training in threads, under the thread sanitizer
#   make check-valgrind  specs under valgrind
#   make check-mpi       training with other processes, by Open MPI
#   make coverage        lines of csrc that the specs run, by file
#   make tidy            clang-tidy, cppcheck and gcc -fanalyzer on csrc
#   make fuzz            TARGET=chunks|smf|tokens|corpus|checkpoint|lua SECONDS=60
#
# SPEC=spec/x_spec.lua takes that one alone, where specs are run.

FUZZ_PACKAGES = clang libclang-rt-14-dev
TIDY_PACKAGES = clang-tidy cppcheck
VALGRIND_PACKAGES = valgrind libc6-dbg

# of hosts of our own
LUA_LIBS = $(call once,LUA_LIBS,$(shell $(PKG_CONFIG) --libs lua5.4))

# ------------------------------------------------------------- sanitizers
#
# With SAN=1 the modules have the sanitizers in them, and the plain Lua that
# loads them needs the runtime before them: `lua5.4` is then a script that
# preloads it, and for that process alone.

ifdef SAN
SANITIZE = -g -fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined
HOST = $(BUILD)/host/bin/lua5.4
# Too much memory asked for is an answer that the code has to meet. Variables of
# a thread in a loaded module are mistaken for glibc 2.18's by gcc's runtime before
# 14, now and then, so that its search for leaks falls over ("Tracer caught signal
# 11"); without its watch over __tls_get_addr it finds them by other ways.
PRELOAD = PATH="$(abspath $(dir $(HOST))):$$PATH" \
  ASAN_OPTIONS=allocator_may_return_null=1:detect_stack_use_after_return=1:$\
  intercept_tls_get_addr=0
endif

# Beside it, what LuaRocks looks for beside a Lua.
$(BUILD)/host/bin/lua5.4: spec/support/alone.c spec/tools.mk $(BUILD)/flags
	@mkdir -p $(@D)
	$(CC) -shared -fPIC -o $(BUILD)/host/alone.so $<
	@lua=$$(command -v $(LUA)) && ln -sfn "$${lua%/bin/*}/include" $(BUILD)/host/include && { \
	  echo '#!/bin/sh'; \
	  echo 'export OTHERS_PRELOAD="$$LD_PRELOAD"'; \
	  echo 'export LD_PRELOAD="$(shell $(CC) -print-file-name=libasan.so) \
	$(shell $(CC) -print-file-name=libubsan.so) $(abspath $(BUILD)/host/alone.so) $$LD_PRELOAD"'; \
	  echo "exec $$lua \"\$$@\""; } >$@ && chmod 755 $@

# SPEC=quick: those that take seconds under the sanitizers, and none that
# builds or trains for long.
QUICK = batches checkpoint corpus fuzz generator init metrics misuse sequence smf song splice \
  tokeniser tokens touch

check-asan:
	@$(MAKE) --no-print-directory test SAN=1 BUILD=$(BUILD)/san \
	  $(if $(filter quick,$(SPEC)),SPEC="$(wildcard $(QUICK:%=spec/%_spec.lua))")

# A host of our own, so that the sanitizer sees its threads begin. OpenBLAS is not
# compiled with it, and assumed to be right.
TSAN = LUA_PATH='./?.lua' LUA_CPATH='$(BUILD)/lib/?.so' OPENBLAS_NUM_THREADS=2 \
  TSAN_OPTIONS=suppressions=spec/support/threads.supp:halt_on_error=1:print_suppressions=0 \
  $(BUILD)/states

check-tsan: test-deps
ifeq ($(filter %/tsan,$(BUILD)),)
	@$(MAKE) --no-print-directory check-tsan BUILD=$(BUILD)/tsan \
	  CFLAGS='-g -O1 -fsanitize=thread' LDFLAGS=-fsanitize=thread
else
	@$(MAKE) --no-print-directory all $(BUILD)/states
	$(TSAN) spec/support/errands.lua threads 4
	$(TSAN) spec/support/threads.lua threads 3
endif

$(BUILD)/states: spec/support/states.c $(BUILD)/flags
	$(CC) -std=gnu11 $(CFLAGS) $(LUA_CFLAGS) -Wl,-E -o $@ $< $(LUA_LIBS) -lpthread

# Reads outside of what was allocated, use of what was never written, and memory
# that nothing points to any more; OpenBLAS's threads and tables stay.
VALGRIND = valgrind --quiet --error-exitcode=9 --leak-check=full --show-leak-kinds=definite \
  --errors-for-leak-kinds=definite
VALGRIND_SPECS = song smf splice tokens tokeniser sequence corpus checkpoint generator touch

check-valgrind: test-deps
	@.ci/deps install $(VALGRIND_PACKAGES)
	@$(MAKE) --no-print-directory all replays
	@{ echo '#!/bin/sh'; echo 'exec $(VALGRIND) $(LUA) "$$@"'; } >$(BUILD)/valgrind-lua
	@chmod 755 $(BUILD)/valgrind-lua
	@$(foreach target,$(FUZZ_TARGETS),echo $(target); $(VALGRIND) $(BUILD)/fuzz/replay-$(target) \
	  $$(find $(call fuzz_inputs,$(target)) -type f) >$(BUILD)/valgrind.log 2>&1 || \
	  { tail -40 $(BUILD)/valgrind.log; exit 1; };)
	@$(LUA) spec/run.lua $(BUILD)/valgrind-lua $(BUILD) \
	  $(or $(SPEC),$(wildcard $(VALGRIND_SPECS:%=spec/%_spec.lua)))

# Open MPI is large (60 packages), so the specs do without where it is not.
check-mpi: test-deps
	@.ci/deps install $(MPI_PACKAGES)
	@$(MAKE) --no-print-directory test SPEC=spec/mpi_spec.lua

# ---------------------------------------------------------------- coverage

# Without the specs of building and packing, which make modules of their own.
# gcc makes fused multiply-adds, on which results depend, only when asked for the
# expensive too.
LEAST = 90

coverage:
ifeq ($(filter %/coverage,$(BUILD)),)
	@$(MAKE) --no-print-directory coverage BUILD=$(BUILD)/coverage \
	  CFLAGS='-g -O1 -fexpensive-optimizations -fprofile-update=atomic --coverage' LDFLAGS=--coverage
else
	@find $(BUILD) -name '*.gcda' -delete 2>/dev/null || true
	-@$(MAKE) --no-print-directory test \
	  SPEC="$(filter-out %/make_spec.lua %/rock_spec.lua %/mpi_spec.lua,$(wildcard spec/*_spec.lua))"
	@$(LUA) spec/support/coverage.lua $(BUILD) $(LEAST)
endif

# -------------------------------------------------------------------- tidy
#
# What is left out stands in .clang-tidy and .cppcheck with its reason. Of
# gcc's analyser: it does not follow what a callee writes through a pointer,
# nor that two conditions are one, so that it takes values for uninitialised
# and pointers for null that are not; clang's, which does, and the sanitizers
# watch over these.
ANALYSE = -Icsrc $(if $(filter csrc/base/nd.c,$<),,-include spec/support/analyse.h) \
  $(LUA_CFLAGS) $(CORE_CFLAGS) $(SMF_CFLAGS) $(MPI_CFLAGS)
FANALYZER = -fanalyzer -Werror -Wno-analyzer-use-of-uninitialized-value \
  -Wno-analyzer-null-dereference -Wno-analyzer-null-argument

tidy:
	@.ci/deps install $(BUILD_PACKAGES) $(TIDY_PACKAGES) $(MPI_PACKAGES)
	@$(MAKE) --no-print-directory $(SOURCES:csrc/%.c=$(BUILD)/tidy/%.ok)
	cppcheck --std=c11 --enable=warning,style,performance,portability --quiet \
	  --error-exitcode=1 --suppressions-list=.cppcheck -Icsrc csrc

# vectors are shifted there, and the analyser takes how many lanes they have for
# how many bits
$(BUILD)/tidy/net/kernels.ok: FANALYZER += -Wno-analyzer-shift-count-overflow

$(BUILD)/tidy/%.ok: csrc/%.c .clang-tidy spec/support/analyse.h $(wildcard csrc/*/*.h)
	@mkdir -p $(@D)
	clang-tidy --quiet $< -- -std=c11 $(ANALYSE) 2>$@.log || { cat $@.log; exit 1; }
	gcc -std=c11 -O2 $(FANALYZER) $(ANALYSE) -c -o $@ $<

# ---------------------------------------------------------------- fuzzing

FUZZ_TARGETS = chunks smf tokens corpus checkpoint lua
FUZZ_OBJECTS = $(CORE_OBJECTS) $(LIBSMF)
FUZZ_COMPILE = $(COMPILE) -Icsrc $(LUA_CFLAGS)
FUZZ_LIBS = $(CORE_LIBS) $(LUA_LIBS)
TARGET ?= smf
SECONDS ?= 60
FUZZ_CC ?= clang

# The harnesses without libFuzzer: every test run gives them the inputs in the
# repository, see spec/fuzz/fuzz.h. chunks.c reads what smf.c reads.
fuzz_inputs = $(wildcard spec/fuzz/regressions/$(1:chunks=smf)) $(BUILD)/fuzz/corpus/$1

replays: $(FUZZ_TARGETS:%=$(BUILD)/fuzz/replay-%) $(FUZZ_TARGETS:%=$(BUILD)/fuzz/corpus/%)

$(BUILD)/fuzz/corpus/%: spec/fuzz/%.tar.gz
	@rm -rf $@ $@.new && mkdir -p $@.new
	@tar -xzf $< -C $@.new && touch $@.new && mv $@.new $@

$(BUILD)/fuzz/replay-%: spec/fuzz/%.c spec/fuzz/replay.c spec/fuzz/fuzz.h $(FUZZ_OBJECTS)
	@mkdir -p $(@D)
	$(FUZZ_COMPILE) $(LDFLAGS) -o $@ $(filter-out %.h,$^) $(FUZZ_LIBS)

$(BUILD)/fuzz/fuzzer-%: spec/fuzz/%.c spec/fuzz/fuzz.h $(FUZZ_OBJECTS)
	@mkdir -p $(@D)
	$(FUZZ_COMPILE) -fsanitize=fuzzer -o $@ $(filter-out %.h,$^) $(FUZZ_LIBS)

# Goes on from what earlier runs of the target found.
FUZZER = $(BUILD)/clang/fuzz/fuzzer-$(TARGET)
FOUND = $(BUILD)/fuzz/$(TARGET)
FUZZ_OPTIONS = -timeout=10 -rss_limit_mb=4096 -malloc_limit_mb=4096

fuzz: fuzzer $(BUILD)/fuzz/corpus/$(TARGET)
	$(FUZZER) $(FUZZ_OPTIONS) -max_total_time=$(SECONDS) -print_final_stats=1 \
	  -artifact_prefix=$(FOUND)- $(addprefix -dict=,$(wildcard spec/fuzz/$(TARGET:chunks=smf).dict)) \
	  $(if $(filter lua,$(TARGET)),-detect_leaks=0) $(FOUND) $(call fuzz_inputs,$(TARGET))

fuzzer:
	@.ci/deps install $(BUILD_PACKAGES) $(FUZZ_PACKAGES)
	@mkdir -p $(FOUND)
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/clang CC=$(FUZZ_CC) \
	  CFLAGS='-g -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined' \
	  $(FUZZER)

# Adds what was found, and reaches code that no input in the archive reaches, to
# the archive. The same inputs give the same bytes of an archive.
fuzz-keep: fuzzer $(BUILD)/fuzz/corpus/$(TARGET)
	$(FUZZER) $(FUZZ_OPTIONS) -merge=1 -use_counters=0 -max_len=2048 \
	  $(BUILD)/fuzz/corpus/$(TARGET) $(call fuzz_inputs,$(TARGET)) $(FOUND)
	@$(MAKE) --no-print-directory fuzz-pack

fuzz-pack:
	tar --sort=name --format=ustar --mtime=@0 --owner=0 --group=0 --numeric-owner \
	  --mode=a=rX,u+w -I 'gzip -9n' -cf spec/fuzz/$(TARGET).tar.gz -C $(BUILD)/fuzz/corpus/$(TARGET) .

.PHONY: check-asan check-tsan check-valgrind check-mpi coverage tidy replays fuzz fuzzer fuzz-keep \
  fuzz-pack
