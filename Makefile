# runtime - a Lua-scriptable trading runtime
#
#   make              build build/runtime
#   make run          set up, build, and paper-trade strategies/momentum.lua on the sim market
#   make test         set up, and run every test under the address and undefined sanitizers
#   make smoke        the five critical paths, in seconds
#   make simulate     seeded worlds against the whole runtime, SEEDS=2000
#   make mutants      seeded bugs, each of which must be found: ONLY=3-12, SEEDS=200, ROTATE=5 COUNT=10
#   make mutate       small changes to each line of runtime/risk, each of which its unit tests must find
#   make mutate-engine  the same for the gate, halts and stops of the engine: it reports what is not found
#   make bench        speed as ratios measured in one run
#   make lint         formatting, static checks, layering
#   make asan         build/asan/runtime, with sanitizers
#   make fuzz         every parser of outside bytes, SECONDS=60 each
#   make cover        branch coverage of the C tests
#   make hooks        run lint before each commit
#   make install      to $(PREFIX)/bin and $(PREFIX)/share, under DESTDIR
#   make clean        remove build/
#
# A flavour is these same rules under another directory: make B=build/asan CFLAGS=...

PREFIX ?= /usr/local
DESTDIR ?=
B ?= build
SECONDS ?= 60
SEEDS ?= 2000
VERSION := 0.1.0

CC ?= cc
CFLAGS ?= -O2 -g
WARN := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla \
        -Wpointer-arith -Wcast-qual
WERROR ?=
SANITIZE := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

PACKAGES := libcrypto yaml-0.1 sqlite3 libuv yajl libarchive
PKG_CFLAGS = $(shell pkg-config --cflags $(PACKAGES) lua5.4)
PKG_LIBS = $(shell pkg-config --libs $(PACKAGES))
LUA_STATIC = $(shell pkg-config --variable=libdir lua5.4)/liblua5.4.a

# -ffp-contract=off: the same numbers on every machine. DECISIONS of rounding are ours alone.
ALL_CFLAGS = -std=c11 -D_GNU_SOURCE $(WARN) $(WERROR) $(CFLAGS) -ffp-contract=off -pthread -I. \
             -ffile-prefix-map=$(CURDIR)=. -DRUNTIME_VERSION='"$(VERSION)"' $(PKG_CFLAGS)
LIBS = $(LUA_STATIC) $(PKG_LIBS) -lm -ldl -pthread

SOURCES := $(wildcard runtime/*/*.c bindings/*.c)
OBJECTS := $(SOURCES:%.c=$(B)/obj/%.o)
UNIT := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/*_test.c))
SIMULATION := $(filter-out tests/simulation/simulate.c,$(wildcard tests/simulation/*.c))
BENCH := $(patsubst tests/bench/%.c,$(B)/bench/%,$(wildcard tests/bench/*_bench.c))
TOOLS := $(patsubst tests/tools/%.c,$(B)/tools/%,$(wildcard tests/tools/*.c))

# make V=1 shows the commands.
ifeq ($(V),1)
Q :=
else
Q := @
endif

.PHONY: all run test smoke simulate mutants mutate mutate-engine bench lint asan fuzz cover hooks install clean deps format

all: $(B)/runtime

$(B)/runtime: $(B)/obj/runtime/main.o $(B)/libruntime.a
	@echo "  LINK $@"
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $< $(B)/libruntime.a $(LIBS)

$(B)/libruntime.a: $(OBJECTS)
	@rm -f $@
	$(Q)ar rcs $@ $(OBJECTS)

$(B)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	@echo "  CC   $@"
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# What the simulator is made of, but for its main: unit tests use parts of it.
$(B)/libsimulation.a: $(SIMULATION:%.c=$(B)/obj/%.o)
	@rm -f $@
	$(Q)ar rcs $@ $^

# The one file that knows where it will be installed is made again for another PREFIX.
$(B)/obj/runtime/config/places.o: ALL_CFLAGS += -DRUNTIME_PREFIX='"$(PREFIX)"'
$(B)/obj/runtime/config/places.o: $(B)/prefix
$(B)/prefix: FORCE
	@mkdir -p $(@D)
	@echo '$(PREFIX)' | cmp -s - $@ || echo '$(PREFIX)' >$@

$(B)/unit/%: $(B)/obj/tests/unit/%.o $(B)/libsimulation.a $(B)/libruntime.a
	@mkdir -p $(@D)
	@echo "  LINK $@"
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $< $(B)/libsimulation.a $(B)/libruntime.a $(LIBS) -lcmocka

$(B)/bench/%: $(B)/obj/tests/bench/%.o $(B)/libruntime.a
	@mkdir -p $(@D)
	@echo "  LINK $@"
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $< $(B)/libruntime.a $(LIBS)

$(B)/tools/%: $(B)/obj/tests/tools/%.o $(B)/libruntime.a
	@mkdir -p $(@D)
	@echo "  LINK $@"
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $< $(B)/libruntime.a $(LIBS)

# Scripted conversations between strategy, runtime and venue.
SCENARIO := $(patsubst %.c,$(B)/obj/%.o,$(wildcard tests/scenario/*.c))
$(B)/scenario: $(SCENARIO) $(B)/libruntime.a
	@echo "  LINK $@"
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $^ $(LIBS)

# The ledger's port is taken on its way to the engine: what is committed can be looked at.
$(B)/simulate: $(B)/obj/tests/simulation/simulate.o $(B)/libsimulation.a $(B)/libruntime.a
	@echo "  LINK $@"
	$(Q)$(CC) $(ALL_CFLAGS) -Wl,--wrap=ledger_port -o $@ $^ $(LIBS)

# The program as a Lua module, for the busted specs: the same code, position independent. Lua itself is
# the interpreter's that loads it.
$(B)/runtime_testing.so: $(B)/obj/tests/testing/runtime_testing.o $(OBJECTS)
	@mkdir -p $(@D)
	@echo "  LINK $@"
	$(Q)$(CC) $(ALL_CFLAGS) -shared -o $@ $^ $(PKG_LIBS) -lm -pthread

-include $(OBJECTS:.o=.d) $(B)/obj/runtime/main.d $(B)/obj/tests/testing/runtime_testing.d
-include $(patsubst tests/%.c,$(B)/obj/tests/%.d,$(wildcard tests/unit/*.c tests/bench/*.c tests/tools/*.c tests/simulation/*.c tests/scenario/*.c))

unit: $(UNIT)
tools: $(TOOLS)
module: $(B)/runtime_testing.so
.PHONY: unit tools module
.SECONDARY: # keep the objects of tests

deps:
	@sh tests/tools/deps.sh

run: deps
	@$(MAKE) --no-print-directory all
	$(B)/runtime strategies/momentum.lua --paper --speed 60

asan:
	@$(MAKE) --no-print-directory B=build/asan CFLAGS="$(SANITIZE)" all unit tools build/asan/scenario build/asan/simulate

ifneq ($(B),build/module) # inside that flavour the rule above makes it
build/module/runtime_testing.so: FORCE
	@$(MAKE) --no-print-directory B=build/module CFLAGS="-O1 -g -fPIC" module
endif
FORCE:
.PHONY: FORCE

test: deps
	@$(MAKE) --no-print-directory all asan build/simulate build/scenario build/module/runtime_testing.so
	@sh tests/run.sh all

smoke: deps
	@$(MAKE) --no-print-directory all
	@sh tests/run.sh smoke

bench: deps
	@$(MAKE) --no-print-directory all $(BENCH)
	@for bench in $(BENCH); do $$bench || exit 1; done

simulate: deps
	@$(MAKE) --no-print-directory $(B)/simulate
	$(B)/simulate --seeds 1-$(SEEDS) --jobs $(shell nproc)

mutants: deps
	@$(MAKE) --no-print-directory $(B)/simulate $(B)/scenario
	@ONLY=$(ONLY) ROTATE=$(ROTATE) COUNT=$(COUNT) SEEDS=$(SEEDS) CC="$(CC)" sh tests/mutants/run.sh

# A file of the risk room and the tests that answer for it.
comma := ,
MUTATE := $(foreach pair,breaker=breaker_test throttle=throttle_test volatility=volatility_test \
            rollout=rollout_test limits=limits_test \
            check=check_test$(comma)check_numbers_test$(comma)check_range_test$(comma)risk_test$(comma)check_property_test, \
            runtime/risk/$(subst =,.c=,$(pair)))
MUTATE_ENGINE := $(foreach pair,stops=stops_test rollout_watch=rollout_watch_test \
            operator=operator_test$(comma)leaving_test halts=halts_test$(comma)operator_test$(comma)guards_test$(comma)scopes_test \
            gate=gate_test$(comma)leaving_test$(comma)guards_test$(comma)portfolio_risk_test$(comma)scopes_test$(comma)engine_test$(comma)exposure_test, \
            runtime/engine/$(subst =,.c=,$(pair)))
MUTATE_RUN = CC="$(CC)" PKG_CFLAGS="$(PKG_CFLAGS)" LIBS="$(LIBS)" lua5.4 tests/tools/mutate.lua
mutate: deps
	@$(MUTATE_RUN) $(MUTATE)
mutate-engine: deps
	@$(MUTATE_RUN) $(MUTATE_ENGINE) || [ $$? = 1 ]

lint: deps
	@sh tests/tools/lint.sh

format:
	clang-format -i $$(git ls-files '*.c' '*.h')

fuzz: deps
	@sh tests/fuzz/run.sh $(SECONDS)

cover: deps
	@$(MAKE) --no-print-directory B=build/cover CFLAGS="-O0 -g --coverage" all unit tools
	@sh tests/tools/cover.sh

hooks:
	@printf '#!/bin/sh\nexec make lint\n' > .git/hooks/pre-commit && chmod +x .git/hooks/pre-commit

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/runtime/config $(DESTDIR)$(PREFIX)/share/runtime/strategies \
		$(DESTDIR)$(PREFIX)/share/runtime/calendars
	install -m 755 $(B)/runtime $(DESTDIR)$(PREFIX)/bin/runtime
	install -m 644 config/runtime.yaml $(DESTDIR)$(PREFIX)/share/runtime/config/runtime.yaml
	install -m 644 config/calendars/*.yaml $(DESTDIR)$(PREFIX)/share/runtime/calendars/
	install -m 644 strategies/*.lua $(DESTDIR)$(PREFIX)/share/runtime/strategies/

clean:
	rm -rf build
