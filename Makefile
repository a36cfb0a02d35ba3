# SPDX-License-Identifier: MIT
#
# make              build/duet
# make STATIC=1     build/static/duet, static against glibc
# make MUSL=1       build/musl/duet, static against musl
# make check        every test: units, payloads on /dev/kvm, one lab boot
# make compare      e1000 and virtio-net side by side in one stock guest
# make help         the rest
#
# V=1 shows commands, BUILD=dir builds elsewhere, CC=clang is fine too.

VERSION := 0.1.0

# Variant, its own build directory, its own flags.
VARIANT := $(if $(STATIC),static)$(if $(MUSL),musl)$(if $(ASAN),asan)$(if $(TSAN),tsan)$(if \
	$(FUZZ),fuzz)$(if $(COVERAGE),coverage)
BUILD   ?= build$(if $(VARIANT),/$(VARIANT))
# What runs in a guest is the same for every variant.
GUEST   := $(if $(VARIANT),build,$(BUILD))/guest

ifeq ($(origin CC),default)
CC := gcc
endif

CPPFLAGS += -I. -I$(BUILD) -D_GNU_SOURCE -DDUET_VERSION='"$(VERSION)"' -DDUET_VARIANT='"$(VARIANT)"'
CFLAGS   ?= -O2 -g
DUET_CFLAGS := -std=gnu11 -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wpointer-arith -Wwrite-strings -Wvla -fno-strict-aliasing -pthread -MMD -MP
LIBELF   := -lelf -lz
LIBSECCOMP := -lseccomp
# What unpacks kernels, vmm/boot_unpack.h. Without one: make CPPFLAGS=-DHAVE_LZ4=0 LIBUNPACK=...
LIBUNPACK := -llzma -llz4 -lzstd

ifdef STATIC
LDFLAGS += -static
endif
ifdef MUSL
CC := musl-gcc
# The kernel's and libelf's headers sit with glibc's; musl's own come first.
CPPFLAGS += -idirafter /usr/include -idirafter /usr/include/x86_64-linux-gnu
LDFLAGS  += -static
# By name: a search path would also find glibc's libc.a there.
LIBELF   := /usr/lib/x86_64-linux-gnu/libelf.a /usr/lib/x86_64-linux-gnu/libz.a
LIBUNPACK := $(patsubst %,/usr/lib/x86_64-linux-gnu/lib%.a,lzma lz4 zstd)
# glibc's __fprintf_chk() is wanted by seccomp_export_pfc() alone, which we do not call.
LIBSECCOMP := /usr/lib/x86_64-linux-gnu/libseccomp.a -Wl,--defsym=__fprintf_chk=abort
endif
ifdef ASAN
DUET_CFLAGS += -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
LDFLAGS     += -fsanitize=address,undefined
endif
ifdef TSAN
DUET_CFLAGS += -fsanitize=thread -fno-omit-frame-pointer
LDFLAGS     += -fsanitize=thread
endif

# What libFuzzer drives: it sees where an input gets to in the product, not in the tests.
ifdef FUZZ
CC := clang
DUET_CFLAGS += -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
GUIDANCE    := -fsanitize-coverage=inline-8bit-counters,pc-table
LDFLAGS     += -fsanitize=fuzzer,address,undefined
endif
ifdef COVERAGE
CC := clang
DUET_CFLAGS += -fprofile-instr-generate -fcoverage-mapping
LDFLAGS     += -fprofile-instr-generate
endif

LDLIBS += -pthread $(LIBUNPACK) $(LIBELF) $(LIBSECCOMP)

Q := $(if $(V),,@)
CPUS := $(shell nproc)
# Options of a make for what a target has just made possible, by installing what it needs.
AGAIN := --no-print-directory -j$(CPUS)
say = $(if $(V),,@printf '  %-7s %s\n' $(1) $(2))

SRC := $(wildcard vmm/*.c devices/*.c devices/net/*.c firmware/*.c)
OBJ := $(SRC:%.c=$(BUILD)/obj/%.o)
# Everything that needs no /dev/kvm; what tests and fuzzers link with.
DEV_OBJ := $(filter-out $(BUILD)/obj/vmm/main.o,$(OBJ))

TEST_SRC := $(wildcard tests/test_*.c)
TESTS    := $(TEST_SRC:tests/%.c=$(BUILD)/tests/%)
# What both NICs have to pass on every rung of the ladder; rungs prints those.
NIC_TESTS := $(foreach t,test_nic_% test_e1000% test_virtio_net%,$(filter $(BUILD)/tests/$t,$(TESTS)))
KVM_TESTS := $(patsubst tests/kvm/%.c,$(BUILD)/tests/kvm/%,$(wildcard tests/kvm/test_*.c))
RIG_OBJ  := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tests/rig/*.c))
FUZZERS  := $(patsubst tests/fuzz/%.c,$(BUILD)/tests/%,$(wildcard tests/fuzz/fuzz_*.c))
# Shared by the fuzzers; the loop comes before libduet.a's. Without libFuzzer, a main().
FUZZ_OBJ := $(addprefix $(BUILD)/obj/tests/fuzz/,loop.o machine.o pool.o quiet.o wire.o $(if $(FUZZ),,replay.o))
PAYLOADS := $(patsubst guest/payload/%.S,$(BUILD)/payload/%.bin,$(wildcard guest/payload/*.S))
PVH_GUESTS := $(patsubst guest/pvh/%.S,$(BUILD)/pvh/%.elf,$(wildcard guest/pvh/*.S))
HOSTILE_OBJ := $(patsubst %,$(BUILD)/obj/%.o,$(basename $(wildcard guest/hostile/*.[cS])))
PRELOAD := $(if $(STATIC)$(MUSL)$(ASAN)$(TSAN),,$(BUILD)/tests/preload/faults.so)
CHECK_LIBS = $(shell pkg-config --libs check)

.PHONY: all help install uninstall deb clean fmt tags lint asan tsan payloads guest-agent lab-leave boot-watch tests measured \
	check check-unit course course-build check-rungs check-kvm check-cli check-install check-hostile check-hostfaults check-lab check-all \
	fuzz fuzzers stress guests idle integrity compare report calibrate peers diagrams bench-boot \
	determinism regress regress-renew registers
.DELETE_ON_ERROR:

all: $(BUILD)/duet

help:
	@sed -n 's/^#\( \|$$\)//p' Makefile | sed -n '2,9p'
	@echo 'make check-unit   unit tests only            make asan   units under ASan and UBSan'
	@echo 'make check-kvm    payloads on /dev/kvm       make tsan   units under TSan'
	@echo 'make check-rungs  NICs on each rung          make fmt    reformat the source'
	@echo 'make check-cli    bad input, console         make lint   layers, format, cppcheck'
	@echo 'make check-hostile  a guest that attacks its cards'
	@echo 'make check-hostfaults  a host that misbehaves'
	@echo 'make check-lab    stock guests in the lab    make install PREFIX=/usr/local'
	@echo 'make check-all    check, the package in a fresh Debian, a whole Debian from a disk'
	@echo 'make calibrate    what each kind of exit costs, here and in the counted lab'
	@echo 'make determinism  same input, same output?    make regress  any figure 1 % worse?'
	@echo 'make fuzz         hostile input, 60 s for each target (T=20: 20 s)'
	@echo 'make report       measures all, build/report/report.md with plots'
	@echo 'make integrity    every byte checked          make stress    drivers under stress, N=5: briefly'
	@echo 'make guests       stock guests of many shapes  make course    exercises of docs/course'
	@echo 'make registers    docs/e1000-registers.md    make uninstall PREFIX=/usr/local'
	@echo 'make deb          a Debian package'
	@echo 'make peers        duet beside QEMU           make diagrams  docs/img, out of traces'
	@echo 'make idle         what an idle guest costs   make bench-boot  boot times beside QEMU'

$(BUILD)/duet: $(OBJ)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/obj/%.o: %.c Makefile
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(DUET_CFLAGS) $(GUIDANCE) $(CFLAGS) -c -o $@ $<

$(BUILD)/obj/tests/%.o: GUIDANCE :=
# Files and words have magic values, which it finds by watching comparisons; that is slow.
$(BUILD)/obj/vmm/boot%.o $(BUILD)/obj/vmm/opts%.o: GUIDANCE := $(if $(FUZZ),-fsanitize=fuzzer-no-link)

# --- firmware -----------------------------------------------------------------

$(BUILD)/firmware/dsdt.hex: firmware/dsdt.asl
	$(call say,IASL,$<)
	$(Q)mkdir -p $(@D)
	$(Q)iasl -we -tc -p $(BUILD)/firmware/dsdt $< >$(BUILD)/firmware/dsdt.log || \
		{ cat $(BUILD)/firmware/dsdt.log; exit 1; }

$(BUILD)/obj/firmware/acpi.o: $(BUILD)/firmware/dsdt.hex

# --- what runs inside a guest ---------------------------------------------------

$(BUILD)/payload/%.bin: guest/payload/%.S $(wildcard guest/payload/*.h guest/payload/*.inc)
	$(call say,AS,$<)
	$(Q)mkdir -p $(@D)
	$(Q)gcc -I. -c -o $(@:.bin=.o) $<
	$(Q)ld -m elf_x86_64 -Ttext 0x1000 -e 0x1000 --oformat binary -o $@ $(@:.bin=.o)

# The guest of `duet calibrate`, as C's words for bytes.
$(BUILD)/payload/calibrate.hex: $(BUILD)/payload/calibrate.bin
	$(Q)od -An -v -tx1 $< | sed 's/ \(..\)/0x\1,/g' >$@

$(BUILD)/obj/vmm/calibrate.o: $(BUILD)/payload/calibrate.hex

# Process 1 of the guest of `duet exec`, the same.
$(BUILD)/guest/exec-init.hex: guest/exec-init
	$(Q)mkdir -p $(@D)
	$(Q)od -An -v -tx1 $< | sed 's/ \(..\)/0x\1,/g' >$@

$(BUILD)/obj/vmm/exec.o: $(BUILD)/guest/exec-init.hex

# ELF files with a PVH note: bare metal that `duet run -k` takes as it takes a kernel.
$(BUILD)/pvh/%.elf: guest/pvh/%.S $(wildcard guest/pvh/*.inc)
	$(call say,AS,$<)
	$(Q)mkdir -p $(@D)
	$(Q)gcc -I. -c -o $(@:.elf=.o) $<
	$(Q)ld -m elf_x86_64 -n --no-warn-rwx-segments -Ttext 0x100000 -e start -o $@ $(@:.elf=.o)

# The guest that attacks its cards: 32-bit code in a 64-bit file, as the loader wants one. Above
# what its attacks may make a card write to.
$(BUILD)/obj/guest/hostile/%.o: guest/hostile/%.c guest/hostile/hostile.h
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)gcc -m32 -std=gnu11 -O2 -Wall -Wextra -Werror -ffreestanding -fno-pic -mgeneral-regs-only \
		-fno-stack-protector -I. -idirafter /usr/include/x86_64-linux-gnu -c -o $@ $<

$(BUILD)/obj/guest/hostile/%.o: guest/hostile/%.S
	$(call say,AS,$<)
	$(Q)mkdir -p $(@D)
	$(Q)gcc -m32 -c -o $@ $<

$(BUILD)/pvh/hostile.elf: $(HOSTILE_OBJ)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)ld -m elf_i386 -n --no-warn-rwx-segments -z noexecstack --section-start=.note.pvh=0x27ff000 \
		-Ttext 0x2800000 -e start -o $(@:.elf=.elf32) $^
	$(Q)objcopy -I elf32-i386 -O elf64-x86-64 $(@:.elf=.elf32) $@

payloads: $(PAYLOADS) $(PVH_GUESTS) $(BUILD)/pvh/hostile.elf

$(GUEST)/agent: $(wildcard guest/agent*.c guest/agent*.h)
	$(call say,MUSL,$@)
	$(Q)mkdir -p $(@D)
	$(Q)musl-gcc -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Werror -O2 -static -I. \
		-idirafter /usr/include -idirafter /usr/include/x86_64-linux-gnu \
		-pthread -o $@ $(filter %.c,$^)

guest-agent: $(GUEST)/agent

# Run in the lab, on top of whose emulated SVM the guests run; boot-watch elsewhere, too.
$(GUEST)/lab-leave $(GUEST)/boot-watch: $(GUEST)/%: tools/%.c
	$(call say,MUSL,$@)
	$(Q)mkdir -p $(@D)
	$(Q)musl-gcc -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Werror -O2 -static \
		-idirafter /usr/include -idirafter /usr/include/x86_64-linux-gnu -o $@ $<

lab-leave boot-watch: %: $(GUEST)/%

# --- tests ------------------------------------------------------------------------

$(BUILD)/libduet.a: $(DEV_OBJ) $(RIG_OBJ)
	$(Q)rm -f $@ && ar rcs $@ $^

$(BUILD)/tests/%: $(BUILD)/obj/tests/%.o $(BUILD)/libduet.a
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(CHECK_LIBS) $(LDLIBS)

$(BUILD)/tests/fuzz_%: $(BUILD)/obj/tests/fuzz/fuzz_%.o $(FUZZ_OBJ) $(BUILD)/libduet.a
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -Wl,--wrap=calloc,--wrap=free -o $@ $^ $(LDLIBS)

fuzzers: $(FUZZERS)

tests: $(FUZZERS) $(TESTS) $(KVM_TESTS) $(BUILD)/tests/rungs $(PRELOAD) payloads

# Each exercise of docs/course, with what the reader is given and with an answer.
EXERCISES := $(patsubst docs/course/exercises/%/test.c,%,$(wildcard docs/course/exercises/*/test.c))
COURSE := $(BUILD)/course/vm200 $(foreach e,$(EXERCISES),$(addprefix $(BUILD)/course/$e/,skeleton solution))

define exercise
$(BUILD)/course/$1/$2: $(addprefix $(BUILD)/obj/docs/course/exercises/$1/,test.o $2.o) $(BUILD)/libduet.a
	$$(call say,LD,$$@)
	$$(Q)mkdir -p $$(@D)
	$$(Q)$$(CC) $$(LDFLAGS) -o $$@ $$^ $$(CHECK_LIBS) $$(LDLIBS)
endef
$(foreach e,$(EXERCISES),$(foreach p,skeleton solution,$(eval $(call exercise,$e,$p))))

$(BUILD)/course/vm200: $(BUILD)/obj/docs/course/vm200.o
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^

course-build: $(COURSE)

course: course-build
	$(Q)BUILD=$(BUILD) tests/course.sh

check-unit: tests
	$(Q)tests/run.sh -j $(CPUS) $(TESTS) $(FUZZERS) tests/docs.py tests/figures.py tests/trace2svg.py

check-rungs: $(NIC_TESTS) $(BUILD)/tests/rungs
	$(Q)tests/rungs.sh $(BUILD)/tests/rungs $(NIC_TESTS)

check-kvm: all tests
	$(Q)tests/on_kvm.sh tests/run.sh $(KVM_TESTS)

check-install: all
	$(Q)BUILD=$(BUILD) tests/install.py

check-cli: all payloads
	$(Q)tests/on_kvm.sh sh -ec 'for what in cli console exec net; do tests/$$what.py $(BUILD); done'

# With ASAN=1 or TSAN=1: the same under the sanitizer.
check-hostile: all payloads
	$(Q)BUILD=$(BUILD) tests/on_kvm.sh tests/hostile.py

# DUET_LONG=1: for longer. The library goes under duet by LD_PRELOAD, so not into a static one.
check-hostfaults: all payloads $(PRELOAD)
	$(Q)BUILD=$(BUILD) tests/on_kvm.sh tests/hostfaults.py

$(BUILD)/tests/preload/%.so: tests/preload/%.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)gcc $(DUET_CFLAGS) -D_GNU_SOURCE -O2 -fPIC -shared -o $@ $<

check-lab: all $(BUILD)/course/vm200
	$(Q)tests/lab.sh

check:
	$(Q)tools/deps check
	$(Q)$(MAKE) $(AGAIN) tests all guest-agent course-build
	$(Q)tests/check.sh

# What takes minutes more than check.
check-all: check
	$(Q)tools/deps debian
	$(Q)tests/on_kvm.sh tests/net.py $(BUILD) pcap_in_tshark
	$(Q)BUILD=$(BUILD) tests/deb.sh $(VERSION)-1
	$(Q)tools/mkdebian >/dev/null
	$(Q)tools/mkdpdk >/dev/null
	$(Q)tests/lab.sh debian
	$(Q)tests/lab.sh dpdk vhost vhost_line vhost_drivers vhost_reboot vhost_hostile

# What the tools below boot and run.
measured:
	$(Q)tools/deps compare
	$(Q)$(MAKE) $(AGAIN) all guest-agent

compare peers diagrams integrity guests idle: measured
	$(Q)tools/$@

# Its watcher needs a compiler that `measured` installs first.
bench-boot: measured
	$(Q)$(MAKE) $(AGAIN) boot-watch
	$(Q)tools/$@

# Exit status 3: there is no /dev/kvm here, which was said.
calibrate:
	$(Q)tools/deps build lab
	$(Q)$(MAKE) $(AGAIN) all
	$(Q)$(BUILD)/duet calibrate || [ $$? -eq 3 ]
	$(Q)echo
	$(Q)tools/lab --counted -p $(BUILD)/duet -- duet calibrate

# REPORT="--quick", "--from FILE"...: options of tools/report.
report: measured
	$(Q)tools/deps report
	$(Q)tools/report $(REPORT)

# N=5: five rounds of each step, and the rest in proportion. STRESS: options of tools/stress.
stress:
	$(Q)tools/deps check
	$(Q)$(MAKE) $(AGAIN) all guest-agent $(BUILD)/tests/rungs
	$(Q)tools/stress $(if $(N),--rounds $(N)) $(STRESS)

# N=5: five runs instead of two.
determinism: measured
	$(Q)tools/determinism -n $(or $(N),2)

regress regress-renew: measured
	$(Q)tools/regress $(if $(filter regress-renew,$@),--renew)

# A page, out of the table of registers.
registers:
	$(Q)tools/mkregisters >docs/e1000-registers.md.new
	$(Q)mv docs/e1000-registers.md.new docs/e1000-registers.md

asan:
	$(Q)tools/deps check
	$(Q)$(MAKE) $(AGAIN) ASAN=1 check-unit

# T=20: seconds for each target; FUZZ_TARGETS="e1000 opts": only those.
fuzz:
	$(Q)tools/deps fuzz
	$(Q)tools/fuzz -t $(or $(T),60) $(FUZZ_TARGETS)

tsan:
	$(Q)tools/deps check
	$(Q)$(MAKE) $(AGAIN) TSAN=1 check-unit

lint:
	$(Q)tools/deps build lint
	$(Q)$(MAKE) $(AGAIN) $(BUILD)/firmware/dsdt.hex $(BUILD)/payload/calibrate.hex \
		$(BUILD)/guest/exec-init.hex
	$(Q)tools/lint.sh

fmt:
	$(Q)clang-format -i $$(git ls-files '*.c' '*.h')

tags:
	$(Q)ctags -R vmm devices firmware guest tests

PREFIX ?= /usr/local
DOC    := $(PREFIX)/share/doc/duet
PAGES  := LICENSE README.md $(shell find docs -name '*.md' -o -name '*.svg' -o -name '*.yml' -o -path 'docs/course/*.[ch]')
install: all
	$(Q)tools/mkman $(BUILD)/duet docs/duet.1.in $(DOC) >$(BUILD)/duet.1
	install -D -m 755 $(BUILD)/duet $(DESTDIR)$(PREFIX)/bin/duet
	install -D -m 644 $(BUILD)/duet.1 $(DESTDIR)$(PREFIX)/share/man/man1/duet.1
	install -D -m 644 tools/duet.bash-completion $(DESTDIR)$(PREFIX)/share/bash-completion/completions/duet
	$(Q)for page in $(PAGES); do install -D -m 644 $$page $(DESTDIR)$(DOC)/$$page || exit 1; done

uninstall:
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/,bin/duet share/man/man1/duet.1 share/bash-completion/completions/duet)
	rm -rf $(DESTDIR)$(DOC)

# DEB=0.1.0-2: another version.
DEB ?= $(VERSION)-1
deb: all
	$(Q)tools/deps deb
	$(Q)BUILD=$(BUILD) tools/mkdeb $(DEB)

clean:
	rm -rf build

-include $(OBJ:.o=.d) $(RIG_OBJ:.o=.d) $(TEST_SRC:%.c=$(BUILD)/obj/%.d) \
	$(BUILD)/obj/tests/rungs.d \
	$(patsubst %.c,$(BUILD)/obj/%.d,$(wildcard tests/kvm/*.c tests/fuzz/*.c \
		docs/course/*.c docs/course/exercises/*/*.c))
.SECONDARY:
