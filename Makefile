# Neural Drummer.
#
#   make            build the modules and the command-line tool into build/
#   make demo       set up, build, and drum a song into build/demo/
#   make test       set up, build, run the specs and luacheck
#   make deps       install the packages that are missing (Debian, Ubuntu)
#   make MPI=1      and the module for training on several machines, by Open MPI
#   make install    into PREFIX (default /usr/local); DESTDIR is honoured
#   make doc        the Lua reference and the manual page, into build/doc/
#   make dist       a release's tarball and rocks, into build/dist/
#   make bench      measure against the limits in spec/bench; ONLY=training, see there
#   make bench-plots  curves of what it costs, each with its limit, into build/bench/
#   make bench-profile  where a training step's time goes
#   make check-asan, check-tsan, check-valgrind, check-mpi, coverage, tidy, fuzz:
#                   what looks for faults, see spec/tools.mk
#   make check-corpus, check-commands, check-kill, check-long, check-same:
#                   songs by the thousand, spoilt files, kills, long runs, an older
#                   build compared, see spec/checks/all.mk
#   make reaper     the folder that REAPER users copy; reaper-index, its index.xml;
#                   test-windows, the same for Windows, tried under Wine
#   make bench-live how evenly a live host plays
#   make clean
#
# CC, CFLAGS and LDFLAGS may be given.

BUILD ?= build
PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
DATADIR ?= $(PREFIX)/share
LUADIR ?= $(PREFIX)/share/lua/5.4
LIBDIR ?= $(PREFIX)/lib/lua/5.4
LUA ?= lua5.4
PKG_CONFIG ?= pkg-config
INSTALL ?= install

ifeq ($(origin CC),default)
CC = gcc
endif
CFLAGS ?= $(if $(SAN),-O2,-O3)
WARN = -Wall -Wextra -Wpedantic -Wshadow -Wconversion

# Asked for when first used, for `make deps` may install pkg-config itself.
# Of lua5.4 the headers only: the host brings the library (one Lua a process).
once = $(eval $1 := $2)$($1)
LUA_CFLAGS = $(call once,LUA_CFLAGS,$(strip $(if $(LUA_INCDIR),-I$(LUA_INCDIR),\
  $(shell $(PKG_CONFIG) --cflags lua5.4 2>/dev/null))))
CORE_CFLAGS = $(call once,CORE_CFLAGS,$(shell $(PKG_CONFIG) --cflags openblas 2>/dev/null))
CORE_LIBS = $(call once,CORE_LIBS,$(shell $(PKG_CONFIG) --libs openblas 2>/dev/null) -lm)
SMF_CFLAGS = $(call once,SMF_CFLAGS,$(shell $(PKG_CONFIG) --cflags smf glib-2.0 2>/dev/null))
MPI_CFLAGS = $(call once,MPI_CFLAGS,$(shell $(PKG_CONFIG) --cflags ompi-c 2>/dev/null))
MPI_LIBS = $(call once,MPI_LIBS,$(shell $(PKG_CONFIG) --libs ompi-c 2>/dev/null))

ifeq ($(shell uname -s),Darwin)
SHARED = -bundle -undefined dynamic_lookup
else
# nodelete: OpenBLAS's threads and handlers outlive a Lua state
SHARED = -shared -Wl,-z,nodelete
endif

# Only mpi.so (with MPI=1) links MPI; core.so is the rest. Each module has its own
# copy of the small shared files.
SOURCES := $(sort $(wildcard csrc/*/*.c))
MPI_ONLY := csrc/lua/mpi.c $(wildcard csrc/mpi/*.c)
MPI_SOURCES := $(MPI_ONLY) csrc/base/nd.c csrc/lua/lnd.c
CORE_SOURCES := $(filter-out $(MPI_ONLY),$(SOURCES))
CORE_OBJECTS := $(CORE_SOURCES:csrc/%.c=$(BUILD)/obj/%.o)
MPI_OBJECTS := $(MPI_SOURCES:csrc/%.c=$(BUILD)/obj/%.o)
CORE := $(BUILD)/lib/neuraldrummer/core.so
LIBSMF := $(BUILD)/libsmf/libsmf.a
MPI_MODULE := $(if $(MPI),$(BUILD)/lib/neuraldrummer/mpi.so)
MODULES := $(CORE) $(MPI_MODULE)
TOOL := $(BUILD)/bin/neuraldrummer
LUA_FOLDERS := $(patsubst lua/%/,%,$(sort $(dir $(wildcard lua/*/*.lua lua/*/*/*.lua))))

BUILD_PACKAGES = lua5.4 liblua5.4-dev libsmf-dev binutils libopenblas-dev pkg-config
RUN_PACKAGES = lua-argparse lua-dkjson lua-filesystem gnuplot-nox
TEST_PACKAGES = lua-busted lua-check luarocks zip liblua5.3-dev gringo mle
MPI_PACKAGES = openmpi-bin libopenmpi-dev

# Fused multiply-adds, and loops over floats made vectors: no result of ours
# depends on errno or on floating-point traps.
MATH = -ffp-contract=fast -fno-math-errno -fno-trapping-math

COMPILE = $(CC) -std=c11 $(CFLAGS) $(MATH) $(WARN) $(SANITIZE) -fPIC -fvisibility=hidden

.PHONY: all deps test-deps demo test install doc dist bench bench-plots bench-profile reaper \
  reaper-index test-windows bench-live clean FORCE
.DELETE_ON_ERROR:

# mpi.so also where an earlier make left it: with a new core.so it would not work
all: $(MODULES) $(wildcard $(BUILD)/lib/neuraldrummer/mpi.so) $(TOOL)

include spec/tools.mk
include spec/checks/all.mk

$(CORE): $(CORE_OBJECTS) $(LIBSMF)
	@mkdir -p $(@D)
	$(CC) $(SHARED) $(SANITIZE) $(LDFLAGS) -o $@ $(CORE_OBJECTS) $(LINK_LIBSMF) $(CORE_LIBS)

$(BUILD)/lib/neuraldrummer/mpi.so: $(MPI_OBJECTS)
	@mkdir -p $(@D)
	$(CC) $(SHARED) $(SANITIZE) $(LDFLAGS) -o $@ $(MPI_OBJECTS) $(MPI_LIBS)

$(BUILD)/obj/%.o: csrc/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(COMPILE) $(EXTRA) -MMD -MP -c -o $@ $<

$(BUILD)/obj/lua/%.o: EXTRA = $(LUA_CFLAGS)
# What passes between the modules is laid out by these: lnd_check_core compares.
SHARED_FILES := csrc/lua/lnd.c $(sort $(wildcard csrc/*/*.h))
LAYOUT = $(shell cat $(SHARED_FILES) | cksum | cut -d' ' -f1)
$(BUILD)/obj/lua/lnd.o: EXTRA = $(LUA_CFLAGS) -DLND_LAYOUT='"$(LAYOUT)"'
$(BUILD)/obj/lua/lnd.o: $(SHARED_FILES)
$(BUILD)/obj/net/blas.o: EXTRA = $(CORE_CFLAGS)
$(BUILD)/obj/midi/smf_sandbox.o: EXTRA = $(SMF_CFLAGS)
$(BUILD)/obj/mpi/%.o: EXTRA = $(MPI_CFLAGS)

# The libsmf that csrc/midi/smf_sandbox.c runs: a copy of libsmf.a whose calls to
# malloc, assert and glib are renamed to functions of that file. The build fails
# if it calls anything else of glib. Without libsmf (LIBSMF=, and ND_NO_LIBSMF
# defined) the module cannot read MIDI files; examples/reaper builds it so.
LIBSMF_CALLS = malloc calloc realloc free g_log $(addprefix g_ptr_array_,new add free remove \
  remove_index sort)
LINK_LIBSMF = $(LIBSMF) $(LIBSMF:%=-Wl,--exclude-libs,libsmf.a)

$(BUILD)/libsmf/libsmf.a: Makefile | $(BUILD)/flags
	@rm -rf $(@D) && mkdir -p $(@D)
	@archive=$$($(CC) -print-file-name=libsmf.a) && cd $(@D) && ar x "$$archive" && \
	for object in *.o; do objcopy --redefine-sym __assert_fail=nd_libsmf_assert_fail \
	  $(foreach call,$(LIBSMF_CALLS),--redefine-sym $(call)=nd_libsmf_$(call)) $$object || exit; \
	done && \
	if nm -u *.o | grep ' U g_'; then \
	  echo "$$archive calls functions of glib that csrc/midi/smf_sandbox.c lacks" >&2; exit 1; fi && \
	ar rcs libsmf.a *.o && rm -f *.o

# Other flags than last time: everything is compiled again. Says what is
# missing before the first compiler error could.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@CC='$(CC)' .ci/deps check $(BUILD_PACKAGES) $(if $(MPI),$(MPI_PACKAGES))
	@echo '$(COMPILE) $(LUA_CFLAGS) $(LDFLAGS)' | cmp -s - $@ || \
	  echo '$(COMPILE) $(LUA_CFLAGS) $(LDFLAGS)' >$@

-include $(sort $(CORE_OBJECTS:.o=.d) $(MPI_OBJECTS:.o=.d))

# The tool finds its Lua files and modules from where it lies.
define write_tool
sed -e '1s|lua5.4|$(LUA)|' \
  -e "s|@LUADIR@|$$(realpath -m --relative-to='$(1)' '$(2)')|" \
  -e "s|@LIBDIR@|$$(realpath -m --relative-to='$(1)' '$(3)')|" \
  lua/neuraldrummer.in >'$(4)' && chmod 755 '$(4)'
endef

$(TOOL): lua/neuraldrummer.in $(BUILD)/flags
	@mkdir -p $(@D)
	@$(call write_tool,$(BUILD)/bin,lua,$(BUILD)/lib,$@)

deps:
	@.ci/deps install $(BUILD_PACKAGES) $(RUN_PACKAGES) $(if $(MPI),$(MPI_PACKAGES))

test-deps:
	@.ci/deps install $(BUILD_PACKAGES) $(RUN_PACKAGES) $(TEST_PACKAGES)

demo: deps
	@$(MAKE) --no-print-directory all
	@$(LUA) examples/demo.lua $(TOOL) $(BUILD)/demo

# SPEC=spec/x_spec.lua runs that one alone.
test: test-deps
	@$(MAKE) --no-print-directory all replays $(HOST) $(RATES)
	@PRELOAD='$(PRELOAD)' $(LUA) spec/run.lua $(LUA) $(BUILD) $(SPEC)

# How fast the machine is: the benchmarks' own module.
RATES = $(BUILD)/bench/rates.so

$(RATES): spec/bench/rates.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(COMPILE) -fvisibility=default $(LUA_CFLAGS) $(CORE_CFLAGS) $(SHARED) $(LDFLAGS) -o $@ $< $(CORE_LIBS)

BENCH = BUILD='$(BUILD)' LUA_PATH='lua/?.lua;lua/?/init.lua;?.lua;;' \
  LUA_CPATH='$(BUILD)/lib/?.so;;'

bench: deps
	@$(MAKE) --no-print-directory all $(RATES)
	@$(BENCH) $(LUA) spec/bench/run.lua

bench-plots: deps
	@$(MAKE) --no-print-directory all $(RATES)
	@$(BENCH) $(LUA) spec/bench/plots.lua

# Where a training step's time goes: the module once more, with clocks around
# what profile.c names.
PROFILE = $(BUILD)/profile/neuraldrummer/core.so

bench-profile: deps
	@$(MAKE) --no-print-directory $(PROFILE)
	@LUA_PATH='lua/?.lua;lua/?/init.lua;;' LUA_CPATH='$(BUILD)/profile/?.so;$(BUILD)/lib/?.so;;' \
	  $(LUA) spec/bench/profile.lua

$(PROFILE): $(CORE_OBJECTS) $(LIBSMF) spec/bench/profile.c
	@mkdir -p $(@D)
	$(COMPILE) $(LUA_CFLAGS) -c -o $(BUILD)/profile/profile.o spec/bench/profile.c
	wrap=$$(nm $(BUILD)/profile/profile.o | sed -n 's/^ *U __real_/-Wl,--wrap=/p') && \
	$(CC) $(SHARED) $(LDFLAGS) $$wrap -o $@ $(CORE_OBJECTS) $(BUILD)/profile/profile.o \
	  $(LINK_LIBSMF) $(CORE_LIBS)

# Models and kit maps lie beside the Lua files, where the module looks for them.
install: all
	@mkdir -p '$(DESTDIR)$(BINDIR)' '$(DESTDIR)$(LUADIR)/neuraldrummer/models' \
	  '$(DESTDIR)$(LUADIR)/neuraldrummer/kits' '$(DESTDIR)$(LIBDIR)/neuraldrummer'
	for folder in $(LUA_FOLDERS); do \
	  mkdir -p '$(DESTDIR)$(LUADIR)'/$$folder && \
	  $(INSTALL) -m 644 lua/$$folder/*.lua '$(DESTDIR)$(LUADIR)'/$$folder || exit; done
	$(INSTALL) -m 644 models/* '$(DESTDIR)$(LUADIR)/neuraldrummer/models'
	$(INSTALL) -m 644 lua/neuraldrummer/kits/*.kit '$(DESTDIR)$(LUADIR)/neuraldrummer/kits'
	$(INSTALL) -m 755 $(MODULES) '$(DESTDIR)$(LIBDIR)/neuraldrummer'
	@$(call write_tool,$(BINDIR),$(LUADIR),$(LIBDIR),$(DESTDIR)$(BINDIR)/neuraldrummer)
	@$(if $(DATADIR),$(LUA) -e 'require "argparse"' 2>/dev/null || \
	  { echo 'No argparse here: no manual page and no completion.'; exit 0; }; \
	  $(call write_page,man,man/man1/neuraldrummer.1); \
	  $(call write_page,completion bash,bash-completion/completions/neuraldrummer); \
	  $(call write_page,completion zsh,zsh/site-functions/_neuraldrummer); \
	  $(call write_page,completion fish,fish/vendor_completions.d/neuraldrummer.fish))

# What the tool says of itself, below DATADIR; a rock has no place for it.
define write_page
mkdir -p "$$(dirname '$(DESTDIR)$(DATADIR)/$(2)')" && \
  $(TOOL) $(1) >'$(DESTDIR)$(DATADIR)/$(2)' || exit
endef

doc: all
	@mkdir -p $(BUILD)/doc
	@$(TOOL) man >$(BUILD)/doc/neuraldrummer.1
	@$(LUA) .ci/reference.lua $(BUILD)/doc/reference.html

VERSION = $(shell sed -n 's/.*ND_VERSION "\(.*\)"/\1/p' csrc/base/nd.h)
RELEASE = neuraldrummer-$(VERSION)

dist:
	@mkdir -p $(BUILD)/dist
	@rm -f $(BUILD)/dist/$(RELEASE)-1.src.rock
	@tar -czf $(BUILD)/dist/$(RELEASE).tar.gz --owner=0 --group=0 --transform 's,^,$(RELEASE)/,' \
	  .ci .gitignore .luacheckrc LICENSE Makefile README.md *.rockspec csrc examples lua models spec
	@cp $(RELEASE)-1.rockspec $(BUILD)/dist
	@cd $(BUILD)/dist && zip -q $(RELEASE)-1.src.rock $(RELEASE)-1.rockspec $(RELEASE).tar.gz

# BLAS=…, HOST=…, LUA_SRC=…: see there.
reaper reaper-index test-windows bench-live:
	@$(MAKE) --no-print-directory -f examples/reaper/Makefile $@ BUILD='$(BUILD)'

clean:
	rm -rf '$(BUILD)'
