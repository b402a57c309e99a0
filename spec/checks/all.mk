# What takes minutes: songs by the thousand, kills, long runs. Included by the
# Makefile.
#
#   make check-corpus SONGS=folder   every song there and back, and spoilt; with
#                    MUTATIONS=10 of each, and PYTHON=… that has mido, compared by it
#   make check-commands  RUNS=1000 of the tool, with the files that it takes spoilt
#   make check-kill  KILLS=30 of preprocessing and training, at random moments
#   make check-same OLD=../other/build SONGS=folder  compared with an older build: the
#                    same result files; QUICK=1 with a few songs
#   make check-long  memory over 10,000 songs and 100,000 steps

KILLS ?= 30
RUNS ?= 1000
MUTATIONS ?= 10

check-corpus check-commands check-kill check-long: PATHS = LUA_PATH='lua/?.lua;lua/?/init.lua;?.lua;;' \
  LUA_CPATH='$(BUILD)/lib/?.so;;'

check-corpus: deps
	@test -d '$(SONGS)' || { echo 'make check-corpus SONGS=folder' >&2; exit 2; }
	@$(MAKE) --no-print-directory all
	@$(PATHS) $(LUA) spec/checks/songs.lua '$(SONGS)' $(MUTATIONS) $(PYTHON)

check-commands: deps
	@$(MAKE) --no-print-directory all
	@$(PATHS) $(LUA) spec/checks/commands.lua $(TOOL) $(RUNS)

check-kill: deps
	@$(MAKE) --no-print-directory all
	@$(PATHS) $(LUA) spec/checks/kill.lua $(TOOL) $(KILLS)

check-long: deps
	@$(MAKE) --no-print-directory all
	@$(PATHS) $(LUA) spec/checks/long.lua

check-same: deps
	@test -d '$(OLD)' -a -d '$(SONGS)' || \
	  { echo 'make check-same OLD=../other/build SONGS=folder' >&2; exit 2; }
	@$(MAKE) --no-print-directory all
	@LUA_PATH='?.lua;;' $(LUA) spec/checks/same.lua '$(OLD)' '$(BUILD)' '$(SONGS)' \
	  $(if $(QUICK),--quick)

.PHONY: check-corpus check-commands check-kill check-same check-long
