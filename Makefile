# SPDX-License-Identifier: BSD-3-Clause
# mayfly. `make help` lists the targets; docs/testing.md says what each test covers.

.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
include config.mk

HOST_ARCH := $(shell uname -m)
ARCH	?= $(HOST_ARCH)
ifeq ($(wildcard arch/$(ARCH)),)
$(error ARCH=$(ARCH): no such folder arch/$(ARCH))
endif
VARIANT	?= release
O	?= build/$(ARCH)/$(VARIANT)
PREFIX	?= /usr/local
DESTDIR	?=

ifeq ($(origin CC),default)
CC	:= gcc
endif
STRIP	?= strip
AR	?= ar

VERSION	:= $(shell cat VERSION)

# One short line a file; V=1 shows whole commands, -s shows nothing.
Q	:= $(if $(V),,@)
say	= $(if $(V)$(findstring s,$(filter-out --%,$(firstword -$(MAKEFLAGS)))),,@printf '  %-5s %s\n' $(1) $@)

WARN	:= -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wundef \
	   -Wvla -Wimplicit-fallthrough $(if $(WERROR),-Werror)
# What this compiler has of the rest: control-flow enforcement by architecture, for instance.
cc_option = $(shell $(CC) -Werror $(1) -x c -c -o /dev/null /dev/null 2>/dev/null && echo $(1))
HARDEN	= -fstack-protector-strong -fno-plt $(HARDEN_FOUND)
# Same input, same bits: no path of the build machine, no time, no random id.
REPRO	:= -ffile-prefix-map=$(CURDIR)=. -Wdate-time
CPPFLAGS += -I. -I$(O) -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 $(CONFIG_CPPFLAGS)
CFLAGS	?= -O2 -g
ALL_CFLAGS = -std=gnu17 $(CFLAGS) $(WARN) $(HARDEN) $(REPRO) $(VARIANT_CFLAGS) -MMD -MP
LDFLAGS_STATIC := -static-pie -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--build-id=sha1 -Wl,--gc-sections
LIBS	:= -luring -lpthread

ifeq ($(VARIANT),release)
VARIANT_CFLAGS := -fPIE -ffunction-sections -fdata-sections -D_FORTIFY_SOURCE=2
VARIANT_LDFLAGS := $(LDFLAGS_STATIC)
else ifeq ($(VARIANT),debug)
VARIANT_CFLAGS := -O0 -fPIE
VARIANT_LDFLAGS := $(LDFLAGS_STATIC)
else ifeq ($(VARIANT),asan)
VARIANT_CFLAGS := -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
VARIANT_LDFLAGS := -fsanitize=address,undefined
else ifeq ($(VARIANT),fuzz)
CC	:= clang
VARIANT_CFLAGS := -O1 -fno-omit-frame-pointer -fsanitize=address,undefined,fuzzer-no-link \
	-fno-sanitize-recover=all
VARIANT_LDFLAGS := -fsanitize=address,undefined,fuzzer
else
$(error VARIANT=$(VARIANT): release, debug, asan or fuzz)
endif

HARDEN_FOUND := $(foreach o,-ftrivial-auto-var-init=zero -fstack-clash-protection \
	-fcf-protection -mbranch-protection=standard,$(call cc_option,$(o)))

# Folders of the monitor, lowest layer first. Architecture by folder, hypervisor by linking.
DIRS	:= base bus acpi block memory devices loader virtio virtio-mmio arch/$(ARCH) vmm
SRCS	:= $(sort $(foreach d,$(DIRS),$(wildcard $(d)/*.c)))
LIB_SRCS := $(filter-out vmm/main.c,$(SRCS))
KVM_SRCS := $(sort $(wildcard hypervisor/kvm/*.c))
FAKE_SRCS := $(sort $(wildcard hypervisor/fake/*.c))
TEST_SRCS := $(sort $(wildcard tests/unit/test_*.c))
FUZZ_SRCS := $(sort $(wildcard tests/fuzz/fuzz_*.c))

obj	= $(patsubst %.c,$(O)/%.o,$(1))
LIB	:= $(O)/libmayfly.a
BIN	:= $(O)/mayfly
TESTS	:= $(patsubst %.c,$(O)/%,$(TEST_SRCS))
FUZZERS	:= $(patsubst %.c,$(O)/%,$(FUZZ_SRCS))

.PHONY: all
all: $(BIN)

$(O)/%.o: %.c $(O)/flags | $(O)/version.h
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -c -o $@ $<

# Flags and compiler are inputs too: a change rebuilds.
FLAGS_TEXT = $(CC) $(CPPFLAGS) $(ALL_CFLAGS) $(VARIANT_LDFLAGS)
$(O)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(FLAGS_TEXT)' | cmp -s - $@ || echo '$(FLAGS_TEXT)' >$@

$(O)/version.h: VERSION
	@mkdir -p $(@D)
	@printf '#pragma once\n#define MAYFLY_VERSION "%s"\n' "$(VERSION)" >$@

$(LIB): $(call obj,$(LIB_SRCS))
	@rm -f $@
	$(Q)$(AR) crD $@ $^

$(BIN): $(call obj,vmm/main.c $(KVM_SRCS)) $(LIB)
	$(call say,LINK)
	$(Q)$(CC) $(ALL_CFLAGS) $(VARIANT_LDFLAGS) -o $@ $^ $(LIBS)
	$(Q)$(STRIP) -o $@.stripped $@
	@printf '%s: %s bytes stripped\n' $@ $$(stat -c %s $@.stripped)

$(O)/tests/unit/%: $(O)/tests/unit/%.o $(call obj,$(FAKE_SRCS)) $(LIB)
	$(Q)$(CC) $(ALL_CFLAGS) $(filter-out $(LDFLAGS_STATIC),$(VARIANT_LDFLAGS)) -o $@ $^ -lcmocka $(LIBS)

# Under clang's VARIANT=fuzz a harness is a fuzzer; otherwise it replays files.
FUZZ_MAIN := $(if $(filter fuzz,$(VARIANT)),,$(O)/tests/fuzz/replay.o)
$(O)/tests/fuzz/fuzz_%: $(O)/tests/fuzz/fuzz_%.o $(FUZZ_MAIN) $(call obj,$(FAKE_SRCS)) $(LIB)
	$(Q)$(CC) $(ALL_CFLAGS) $(filter-out $(LDFLAGS_STATIC),$(VARIANT_LDFLAGS)) -o $@ $^ $(LIBS)

# Tests on the real KVM: linked with the backend, guests' code from a .S file.
PAYLOADS := $(patsubst %.c,$(O)/%,$(wildcard tests/payload/test_*_$(ARCH).c))
$(O)/tests/payload/payload_$(ARCH).o: tests/payload/payload_$(ARCH).S $(O)/flags
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -c -o $@ $<
$(O)/tests/payload/test_%: $(O)/tests/payload/test_%.o $(O)/tests/payload/payload_$(ARCH).o \
		$(call obj,$(KVM_SRCS)) $(LIB)
	$(Q)$(CC) $(ALL_CFLAGS) $(filter-out $(LDFLAGS_STATIC),$(VARIANT_LDFLAGS)) -o $@ $^ -lcmocka $(LIBS)

.PHONY: unit-tests fuzzers payload-tests
unit-tests: $(TESTS)
fuzzers: $(FUZZERS)
payload-tests: $(PAYLOADS)

.PHONY: print-TESTS print-FUZZERS print-PAYLOADS
print-TESTS:
	@echo $(TESTS)
print-FUZZERS:
	@echo $(FUZZERS)
print-PAYLOADS:
	@echo $(PAYLOADS)

# --- what people type

.PHONY: help run test check bench guest-images docs install
help:
	@sed -n 's/^#: //p' Makefile

#: make               the monitor, build/ARCH/release/mayfly
#: make run           boot a Linux guest and see it say so (installs what that needs)
run:
	@tools/setup run
	@+$(MAKE) --no-print-directory -j$$(nproc) all
	@tools/run $(ARCH)

#: make test          all tests (installs what they need; builds the guest kernel once)
test:
	@tools/setup test
	@tests/run $(ARCH)

#: make check         formatting, layering, sizes, static analysis
check:
	@tools/setup test
	@tools/check

#: make bench         figures beside other monitors, written to docs/bench.md
bench: all
	@tools/setup bench
	@tests/bench/run $(ARCH)

#: make guest-images  guest kernel, initramfs and root image, in build/guest-images/ARCH
guest-images:
	@tools/setup images
	@guest-images/build --link build/guest-images/$(ARCH) kernel distro initramfs tiny rootfs

#: make docs          docs/cli.md and docs/mayfly.1 from the option table
docs: all
	@tools/gen-docs $(BIN)

#: make install       DESTDIR, PREFIX=/usr/local
install: all
	install -D -m 755 $(BIN).stripped $(DESTDIR)$(PREFIX)/bin/mayfly
	install -D -m 644 docs/mayfly.1 $(DESTDIR)$(PREFIX)/share/man/man1/mayfly.1

#: make clean         remove build/ (images stay in their cache)
.PHONY: FORCE clean
FORCE:
clean:
	rm -rf build

.SECONDARY:
-include $(patsubst %.c,$(O)/%.d,$(SRCS) $(KVM_SRCS) $(FAKE_SRCS) $(TEST_SRCS) $(FUZZ_SRCS) tests/fuzz/replay.c \
	$(wildcard tests/payload/*.c))
