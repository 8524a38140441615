# SPDX-License-Identifier: BSD-3-Clause
# mayfly. `make help` lists the targets; docs/testing.md says what each test covers.

.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

HOST_ARCH := $(shell uname -m)
ARCH	?= $(HOST_ARCH)
ifeq ($(wildcard arch/$(ARCH)),)
$(error ARCH=$(ARCH): no such folder arch/$(ARCH))
endif
VARIANT	?= release
include config.mk
O	?= build/$(ARCH)/$(VARIANT)
PREFIX	?= /usr/local
DESTDIR	?=

# Building for another machine: the distribution's cross compiler, and static libraries that
# guest-images/build unpacks into its cache. CROSS and SYSROOT name others.
ifneq ($(ARCH),$(HOST_ARCH))
CROSS	?= $(ARCH)-linux-gnu-
ifeq ($(origin SYSROOT),undefined)
# When it is first needed, and once: before that there may be nothing to make it with.
SYSROOT = $(eval SYSROOT := $$(shell GI_ARCH=$(ARCH) guest-images/build sysroot | sed -n 's/^sysroot //p'))$(SYSROOT)
endif
endif
ifeq ($(origin CC),default)
CC	:= $(CROSS)gcc
endif
STRIP	?= $(CROSS)strip
ifeq ($(origin AR),default)
AR	:= $(CROSS)ar
endif

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
REPRO	= -ffile-prefix-map=$(CURDIR)=. $(if $(SYSROOT),-ffile-prefix-map=$(SYSROOT)=sysroot) -Wdate-time
# musl lacks some of glibc's names.
NOT_GLIBC := $(shell $(CC) -E -dM -include features.h -x c /dev/null 2>/dev/null | grep -q __GLIBC__ || echo -include base/musl.h)
CPPFLAGS += $(NOT_GLIBC) -I. -I$(O) $(if $(SYSROOT),-isystem $(SYSROOT)/include) -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64
CFLAGS	?= -O2 -g
ALL_CFLAGS = -std=gnu17 $(CFLAGS) $(WARN) $(HARDEN) $(REPRO) $(VARIANT_CFLAGS) -MMD -MP
# Not every C library has what a static program at any address starts with.
STATIC	:= $(shell echo 'int main(void) { return 0; }' | $(CC) -static-pie -x c -o /dev/null - 2>/dev/null && \
	echo -static-pie || echo -static)
LDFLAGS_STATIC := $(STATIC) -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--build-id=sha1 -Wl,--gc-sections
LIBS	= $(if $(SYSROOT),-L$(SYSROOT)/lib) -luring -lfdt -lpthread $(if $(filter 1,$(CONFIG_UNPACK)),-lz -llz4 -lzstd)

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

# Tests find their libraries on this machine; on the one they are built for there may be none.
TEST_LDFLAGS = $(if $(CROSS),$(VARIANT_LDFLAGS),$(filter-out $(LDFLAGS_STATIC),$(VARIANT_LDFLAGS)))

HARDEN_FOUND := $(foreach o,-ftrivial-auto-var-init=zero -fstack-clash-protection \
	-fcf-protection -mbranch-protection=standard,$(call cc_option,$(o)))

# Folders of the monitor, lowest layer first. Architecture by folder, hypervisor by linking.
# What an architecture needs beside its own folder.
-include arch/$(ARCH)/build.mk
DIRS	:= base bus acpi fdt block net share sandbox memory devices loader virtio vhost-user vhost virtio-mmio $(ARCH_DIRS) arch/$(ARCH) vmm
SRCS	:= $(sort $(foreach d,$(DIRS),$(wildcard $(d)/*.c)))
UNPACK_SRCS := $(addprefix loader/unpack_,gzip.c lz4.c zstd.c)
NOT_SRCS := $(if $(filter 1,$(CONFIG_UNPACK)),loader/unpack_none.c,$(UNPACK_SRCS))
LIB_SRCS := $(filter-out vmm/main.c $(NOT_SRCS),$(SRCS))
KVM_SRCS := $(sort $(wildcard hypervisor/kvm/*.c))
FAKE_SRCS := $(sort $(wildcard hypervisor/fake/*.c))
# Tests of other architectures' folders do not link here.
OTHER_ARCHES := $(filter-out $(ARCH) $(notdir $(ARCH_DIRS)),$(notdir $(patsubst %/,%,$(wildcard arch/*/))))
NOT_TESTS := $(if $(filter 1,$(CONFIG_UNPACK)),,$(wildcard tests/unit/test_loader_unpack*.c))
TEST_SRCS := $(filter-out $(NOT_TESTS) $(foreach a,$(OTHER_ARCHES),tests/unit/test_arch_$(a)_%.c),\
	$(sort $(wildcard tests/unit/test_*.c)))
FUZZ_SRCS := $(filter-out $(foreach a,$(OTHER_ARCHES),tests/fuzz/fuzz_$(a)_%.c),\
	$(sort $(wildcard tests/fuzz/fuzz_*.c)))

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

# Filters of system calls, compiled by a program of the building machine's own.
HOSTCC	?= gcc
POLICIES := $(sort $(wildcard sandbox/policies/*.policy))
$(O)/mkpolicy: tools/mkpolicy.c
	@mkdir -p $(@D)
	$(call say,HOST)
	$(Q)$(HOSTCC) -std=gnu17 -O1 -Wall -Wextra $(if $(WERROR),-Werror) -o $@ $< -lseccomp
$(O)/sandbox/policies.c: $(O)/mkpolicy $(POLICIES) $(wildcard sandbox/policies/*.inc)
	@mkdir -p $(@D)
	$(call say,GEN)
	$(Q)$< $(ARCH) $(POLICIES) >$@
$(O)/sandbox/policies.o: $(O)/sandbox/policies.c $(O)/flags
	$(call say,CC)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -c -o $@ $<

# The guest's first program for `mayfly exec`, which the monitor has in it: no C library, and no
# flags of the monitor's.
INIT_SRCS := $(sort $(wildcard guest-images/init/*.c))
INIT_CFLAGS = -std=gnu17 -Os $(WARN) -ffreestanding -fno-stack-protector -fno-pie \
	-fno-asynchronous-unwind-tables -fno-ident -ffile-prefix-map=$(CURDIR)=.
INIT_LDFLAGS := -nostdlib -static -Wl,--build-id=none -Wl,-z,noseparate-code -Wl,-z,norelro \
	-Wl,-z,max-page-size=4096
$(O)/guest-images/init/init: $(INIT_SRCS) $(wildcard guest-images/init/*.h guest-images/init/*.inc) $(O)/flags
	@mkdir -p $(@D)
	$(call say,GUEST)
	$(Q)$(CC) -I. $(if $(SYSROOT),-isystem $(SYSROOT)/include) $(INIT_CFLAGS) \
		$(call cc_option,-fcf-protection=none) $(call cc_option,-fno-tree-loop-distribute-patterns) \
		-DINIT_ARCH='"guest-images/init/sys-$(ARCH).inc"' $(INIT_LDFLAGS) -o $@ $(INIT_SRCS)
	$(Q)$(STRIP) -s $@
$(O)/guest-images/init/blob.o: guest-images/init/blob.S $(O)/guest-images/init/init
	$(Q)$(CC) -DINIT_PATH='"$(O)/guest-images/init/init"' -c -o $@ $<

$(LIB): $(call obj,$(LIB_SRCS)) $(O)/sandbox/policies.o $(O)/guest-images/init/blob.o
	@rm -f $@
	$(Q)$(AR) crD $@ $^

$(BIN): $(call obj,vmm/main.c $(KVM_SRCS)) $(LIB)
	$(call say,LINK)
	$(Q)$(CC) $(ALL_CFLAGS) $(VARIANT_LDFLAGS) -o $@ $^ $(LIBS)
	$(Q)$(STRIP) -o $@.stripped $@
	@printf '%s: %s bytes stripped\n' $@ $$(stat -c %s $@.stripped)

$(O)/tests/unit/%: $(O)/tests/unit/%.o $(call obj,$(FAKE_SRCS)) $(LIB)
	$(Q)$(CC) $(ALL_CFLAGS) $(TEST_LDFLAGS) -o $@ $^ -lcmocka $(LIBS)

# Under clang's VARIANT=fuzz a harness is a fuzzer; otherwise it replays files.
FUZZ_MAIN := $(if $(filter fuzz,$(VARIANT)),,$(O)/tests/fuzz/replay.o)
$(O)/tests/fuzz/fuzz_%: $(O)/tests/fuzz/fuzz_%.o $(FUZZ_MAIN) $(call obj,$(FAKE_SRCS)) $(LIB)
	$(Q)$(CC) $(ALL_CFLAGS) $(TEST_LDFLAGS) -o $@ $^ $(LIBS)

# Tests on the real KVM: linked with the backend, guests' code from a .S file.
PAYLOADS := $(patsubst %.c,$(O)/%,$(wildcard tests/payload/test_*_$(ARCH).c))
$(O)/tests/payload/payload_$(ARCH).o: tests/payload/payload_$(ARCH).S $(O)/flags
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -c -o $@ $<
$(O)/tests/payload/test_%: $(O)/tests/payload/test_%.o $(O)/tests/payload/payload_$(ARCH).o \
		$(call obj,$(KVM_SRCS)) $(LIB)
	$(Q)$(CC) $(ALL_CFLAGS) $(TEST_LDFLAGS) -o $@ $^ -lcmocka $(LIBS)

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
	@tools/setup --arch $(ARCH) run
	@+$(MAKE) --no-print-directory -j$$(nproc) all
	@tools/run $(ARCH)

#: make test          all tests (installs what they need; builds the guest kernels once)
test:
	@tools/setup test
	@tests/run $(ARCH)

#: make check         formatting, layering, sizes, static analysis
check:
	@tools/setup test
	@tools/check

#: make bench         figures beside other monitors, written to docs/bench.md or bench-ARCH.md; tests/bench/share: docs/bench-share.md
bench: all
	@tools/setup --arch $(ARCH) bench
	@tests/bench/run $(ARCH)

#: make ARCH=...      the same for aarch64, riscv64 or x86_64, on any machine; so run and guest-images
#: make guest-images  guest kernel, initramfs and root image, in build/guest-images/ARCH
guest-images:
	@tools/setup --arch $(ARCH) images
	@GI_ARCH=$(ARCH) guest-images/build --link build/guest-images/$(ARCH) kernel distro initramfs tiny rootfs

#: make reproduce     build all products twice in different surroundings, compare every byte (long)
.PHONY: reproduce manifest
reproduce:
	@tools/setup reproduce
	@tools/reproduce

#: make reprotest     the monitor, by Debian's reprotest
.PHONY: reprotest
reprotest:
	@tools/setup reproduce
	@tools/reproduce --reprotest

#: make manifest      SHA-256 of every product and every input as JSON, in build/manifest.json
manifest:
	@tools/setup reproduce
	@tools/manifest build/manifest.json

#: make docs          docs/cli.md and docs/mayfly.1 from the option table
docs: all
	@tools/gen-docs $(BIN)

#: make install       DESTDIR, PREFIX=/usr/local; the guest kernel, too, after make guest-images
install: all
	install -D -m 755 $(BIN).stripped $(DESTDIR)$(PREFIX)/bin/mayfly
	install -D -m 755 $(O)/guest-images/init/init $(DESTDIR)$(PREFIX)/lib/mayfly/init
	install -D -m 644 docs/mayfly.1 $(DESTDIR)$(PREFIX)/share/man/man1/mayfly.1
	for k in build/guest-images/$(ARCH)/bzImage build/guest-images/$(ARCH)/Image; do \
		[ ! -e $$k ] || install -D -m 644 $$k $(DESTDIR)$(PREFIX)/share/mayfly/$(ARCH)/$${k##*/}; done

#: make clean         remove build/ (images stay in their cache)
.PHONY: FORCE clean
FORCE:
clean:
	rm -rf build

.SECONDARY:
-include $(O)/sandbox/policies.d $(patsubst %.c,$(O)/%.d,$(SRCS) $(KVM_SRCS) $(FAKE_SRCS) $(TEST_SRCS) $(FUZZ_SRCS) tests/fuzz/replay.c \
	$(wildcard tests/payload/*.c))
