/* SPDX-License-Identifier: MIT */
/* test_vcpu_exit.c: the exit table of vmm/vcpu_exit.c, on exits filled in by hand. */
#include "tests/check_main.h"
#include "tests/rig/fake_accel.h"
#include "tests/rig/fake_machine.h"
#include "vmm/vcpu.h"

#include <string.h>

#define ECHO_PORT 0x100
#define ECHO_MMIO UINT64_C(0xd0000000)
#define ECHO_MAX  16
#define IO_DATA   sizeof(struct kvm_run) /* where the test keeps port data */

/* A device that writes down what it was asked, and answers with a running number. */
struct echo {
	struct region pio, mmio;
	unsigned n;
	struct {
		uint64_t off, val;
		unsigned size;
		bool write;
	} seen[ECHO_MAX];
};

static struct fake_machine *f;
static struct echo echo;
static struct vcpu cpu;
static union {
	struct kvm_run run;
	uint8_t bytes[sizeof(struct kvm_run) + 4096];
} area;

static void echo_note(bool write, uint64_t off, unsigned size, uint64_t val)
{
	ck_assert_uint_lt(echo.n, ECHO_MAX);
	echo.seen[echo.n].write = write;
	echo.seen[echo.n].off = off;
	echo.seen[echo.n].size = size;
	echo.seen[echo.n++].val = val;
}

static uint64_t echo_read(void *dev, uint64_t off, unsigned size)
{
	(void)dev;
	echo_note(false, off, size, 0);
	return UINT64_C(0xf0e0d0c0b0a09080) + echo.n;
}

static void echo_write(void *dev, uint64_t off, unsigned size, uint64_t val)
{
	(void)dev;
	echo_note(true, off, size, val);
}

static const struct region_ops echo_ops = { .read = echo_read,
					    .write = echo_write,
					    .sizes = 1 | 2 | 4 | 8 };

static void setup(void)
{
	f = fake_machine_new(1 << 20);
	memset(&echo, 0, sizeof(echo));
	memset(&area, 0, sizeof(area));
	echo.pio = (struct region){ .name = "echo", .ops = &echo_ops, .size = 8 };
	echo.mmio = (struct region){ .name = "echo", .ops = &echo_ops, .size = 64 };
	ck_assert_int_eq(bus_map(&f->m.pio, &echo.pio, ECHO_PORT), 0);
	ck_assert_int_eq(bus_map(&f->m.mmio, &echo.mmio, ECHO_MMIO), 0);
	cpu = (struct vcpu){ .id = 3, .fd = -1, .m = &f->m };
}

static enum verdict exit_with(uint32_t reason)
{
	area.run.exit_reason = reason;
	return vcpu_exit(&cpu, &area.run);
}

static enum verdict exit_port(bool out, uint16_t port, unsigned size, unsigned count)
{
	area.run.io.direction = out ? KVM_EXIT_IO_OUT : KVM_EXIT_IO_IN;
	area.run.io.port = port;
	area.run.io.size = (uint8_t)size;
	area.run.io.count = count;
	area.run.io.data_offset = IO_DATA;
	return exit_with(KVM_EXIT_IO);
}

static enum verdict exit_memory(bool write, uint64_t addr, unsigned len)
{
	area.run.mmio.is_write = write;
	area.run.mmio.phys_addr = addr;
	area.run.mmio.len = len;
	return exit_with(KVM_EXIT_MMIO);
}

START_TEST(port_write_of_each_size_reaches_the_device)
{
	unsigned size = 1U << _i;
	uint32_t val = 0x44332211;

	setup();
	memcpy(area.bytes + IO_DATA, &val, sizeof(val));
	ck_assert_int_eq(exit_port(true, ECHO_PORT + 1, size, 1), VERDICT_RUN);
	ck_assert_uint_eq(echo.n, 1);
	ck_assert_uint_eq(echo.seen[0].off, 1);
	ck_assert_uint_eq(echo.seen[0].size, size);
	ck_assert_uint_eq(echo.seen[0].val, val & bus_ones(size));
	fake_machine_free(f);
}
END_TEST

START_TEST(port_read_of_each_size_fills_its_bytes_only)
{
	unsigned size = 1U << _i;
	uint8_t *p = area.bytes + IO_DATA;

	setup();
	memset(p, 0xee, 8);
	ck_assert_int_eq(exit_port(false, ECHO_PORT, size, 1), VERDICT_RUN);
	ck_assert_uint_eq(p[0], 0x81);
	ck_assert_uint_eq(p[size], 0xee);
	fake_machine_free(f);
}
END_TEST

START_TEST(string_output_keeps_the_port_and_moves_the_data)
{
	static const uint16_t words[3] = { 0x1111, 0x2222, 0x3333 };

	setup();
	memcpy(area.bytes + IO_DATA, words, sizeof(words));
	ck_assert_int_eq(exit_port(true, ECHO_PORT + 2, 2, 3), VERDICT_RUN);
	ck_assert_uint_eq(echo.n, 3);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_uint_eq(echo.seen[i].off, 2);
		ck_assert_uint_eq(echo.seen[i].size, 2);
		ck_assert_uint_eq(echo.seen[i].val, words[i]);
	}
	fake_machine_free(f);
}
END_TEST

START_TEST(string_input_keeps_the_port_and_moves_the_data)
{
	const uint8_t *p = area.bytes + IO_DATA;

	setup();
	ck_assert_int_eq(exit_port(false, ECHO_PORT + 3, 1, 4), VERDICT_RUN);
	ck_assert_uint_eq(echo.n, 4);
	for (unsigned i = 0; i < 4; i++) {
		ck_assert_uint_eq(echo.seen[i].off, 3);
		ck_assert_uint_eq(p[i], 0x81 + i);
	}
	ck_assert_uint_eq(p[4], 0);
	fake_machine_free(f);
}
END_TEST

START_TEST(unclaimed_port_reads_all_ones)
{
	uint32_t val = 0;

	setup();
	ck_assert_int_eq(exit_port(false, 0x3000, 4, 1), VERDICT_RUN);
	memcpy(&val, area.bytes + IO_DATA, sizeof(val));
	ck_assert_uint_eq(val, 0xffffffff);
	ck_assert_uint_eq(f->m.pio.unclaimed, 1);
	fake_machine_free(f);
}
END_TEST

static uint64_t mmio_data(void)
{
	uint64_t val;

	memcpy(&val, area.run.mmio.data, sizeof(val));
	return val;
}

START_TEST(memory_read_of_each_size_is_zero_extended)
{
	unsigned size = 1U << _i;

	setup();
	memset(area.run.mmio.data, 0xee, sizeof(area.run.mmio.data));
	ck_assert_int_eq(exit_memory(false, ECHO_MMIO + 8, size), VERDICT_RUN);
	ck_assert_uint_eq(echo.n, 1);
	ck_assert_uint_eq(echo.seen[0].off, 8);
	ck_assert_uint_eq(mmio_data(), UINT64_C(0xf0e0d0c0b0a09081) & bus_ones(size));
	fake_machine_free(f);
}
END_TEST

START_TEST(memory_write_of_each_size_reaches_the_device)
{
	unsigned size = 1U << _i;
	uint64_t val = UINT64_C(0x8877665544332211);

	setup();
	memcpy(area.run.mmio.data, &val, sizeof(val));
	ck_assert_int_eq(exit_memory(true, ECHO_MMIO, size), VERDICT_RUN);
	ck_assert_uint_eq(echo.n, 1);
	ck_assert_uint_eq(echo.seen[0].size, size);
	ck_assert_uint_eq(echo.seen[0].val, val & bus_ones(size));
	fake_machine_free(f);
}
END_TEST

START_TEST(odd_length_is_split_into_powers_of_two)
{
	static const unsigned sizes[] = { 4, 2, 1 };
	uint64_t val = UINT64_C(0x0077665544332211);
	unsigned off = 0;

	setup();
	memcpy(area.run.mmio.data, &val, sizeof(val));
	ck_assert_int_eq(exit_memory(true, ECHO_MMIO, 7), VERDICT_RUN);
	ck_assert_uint_eq(echo.n, 3);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_uint_eq(echo.seen[i].off, off);
		ck_assert_uint_eq(echo.seen[i].size, sizes[i]);
		ck_assert_uint_eq(echo.seen[i].val, (val >> 8 * off) & bus_ones(sizes[i]));
		off += sizes[i];
	}
	fake_machine_free(f);
}
END_TEST

START_TEST(length_beyond_the_data_is_bounded)
{
	setup();
	ck_assert_int_eq(exit_memory(true, ECHO_MMIO, 200), VERDICT_RUN);
	ck_assert_uint_eq(echo.n, 1);
	ck_assert_uint_eq(echo.seen[0].size, 8);
	fake_machine_free(f);
}
END_TEST

START_TEST(unclaimed_memory_reads_all_ones_not_what_was_there)
{
	setup();
	memset(area.run.mmio.data, 0x5a, sizeof(area.run.mmio.data));
	ck_assert_int_eq(exit_memory(false, ECHO_MMIO + 0x1000, 4), VERDICT_RUN);
	ck_assert_uint_eq(mmio_data(), 0xffffffff);
	ck_assert_uint_eq(f->m.mmio.unclaimed, 1);
	fake_machine_free(f);
}
END_TEST

START_TEST(harmless_exits_enter_the_guest_again)
{
	static const uint32_t reasons[] = { KVM_EXIT_HLT, KVM_EXIT_INTR, KVM_EXIT_IRQ_WINDOW_OPEN };

	setup();
	ck_assert_int_eq(exit_with(reasons[_i]), VERDICT_RUN);
	ck_assert_uint_eq(counter_get(&cpu.exits[reasons[_i]]), 1);
	ck_assert_str_eq(cpu.why, "");
	fake_machine_free(f);
}
END_TEST

START_TEST(shutdown_is_a_triple_fault)
{
	setup();
	ck_assert_int_eq(exit_with(KVM_EXIT_SHUTDOWN), VERDICT_CRASH);
	ck_assert_ptr_nonnull(strstr(cpu.why, "triple fault"));
	ck_assert_ptr_nonnull(strstr(cpu.why, "vcpu3"));
	ck_assert_ptr_nonnull(strstr(cpu.why, "RIP"));
	fake_machine_free(f);
}
END_TEST

static void fail_emulation(unsigned insn_size)
{
	static const uint8_t insn[] = { 0x48, 0x0f, 0xc7, 0x0f };

	area.run.emulation_failure.suberror = KVM_INTERNAL_ERROR_EMULATION;
	area.run.emulation_failure.ndata = 3;
	area.run.emulation_failure.flags = KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES;
	area.run.emulation_failure.insn_size = (uint8_t)insn_size;
	memcpy(area.run.emulation_failure.insn_bytes, insn, sizeof(insn));
}

START_TEST(internal_error_names_suberror_and_instruction)
{
	setup();
	fail_emulation(4);
	ck_assert_int_eq(exit_with(KVM_EXIT_INTERNAL_ERROR), VERDICT_CRASH);
	ck_assert_ptr_nonnull(strstr(cpu.why, "internal error 1"));
	ck_assert_ptr_nonnull(strstr(cpu.why, "48 0f c7 0f"));
	ck_assert_ptr_nonnull(strstr(cpu.why, "vcpu3"));
	fake_machine_free(f);
}
END_TEST

START_TEST(instruction_size_beyond_the_bytes_is_bounded)
{
	setup();
	fail_emulation(255);
	ck_assert_int_eq(exit_with(KVM_EXIT_INTERNAL_ERROR), VERDICT_CRASH);
	ck_assert_ptr_nonnull(strstr(cpu.why, "48 0f c7 0f 00 00 00 00 00 00 00 00 00 00 00"));
	fake_machine_free(f);
}
END_TEST

START_TEST(internal_error_without_bytes_says_unknown)
{
	setup();
	fail_emulation(4);
	area.run.emulation_failure.flags = 0;
	ck_assert_int_eq(exit_with(KVM_EXIT_INTERNAL_ERROR), VERDICT_CRASH);
	ck_assert_ptr_nonnull(strstr(cpu.why, "bytes unknown"));
	fake_machine_free(f);
}
END_TEST

START_TEST(failed_entry_gives_the_hardware_reason)
{
	setup();
	area.run.fail_entry.hardware_entry_failure_reason = 0x80000021;
	ck_assert_int_eq(exit_with(KVM_EXIT_FAIL_ENTRY), VERDICT_CRASH);
	ck_assert_ptr_nonnull(strstr(cpu.why, "0x80000021"));
	fake_machine_free(f);
}
END_TEST

START_TEST(system_events_stop_the_machine)
{
	static const struct {
		uint32_t type;
		enum stop_reason why;
	} events[] = { { KVM_SYSTEM_EVENT_SHUTDOWN, STOP_POWEROFF },
		       { KVM_SYSTEM_EVENT_RESET, STOP_RESET } };

	setup();
	area.run.system_event.type = events[_i].type;
	ck_assert_int_eq(exit_with(KVM_EXIT_SYSTEM_EVENT), VERDICT_STOP);
	ck_assert_uint_eq(f->stops, 1);
	ck_assert_int_eq(f->why, events[_i].why);
	fake_machine_free(f);
}
END_TEST

START_TEST(other_system_events_are_a_crash)
{
	setup();
	area.run.system_event.type = KVM_SYSTEM_EVENT_CRASH;
	ck_assert_int_eq(exit_with(KVM_EXIT_SYSTEM_EVENT), VERDICT_CRASH);
	ck_assert_ptr_nonnull(strstr(cpu.why, "system event 3"));
	fake_machine_free(f);
}
END_TEST

START_TEST(unknown_reason_is_a_crash_with_its_number)
{
	static const uint32_t reasons[] = { 0, 40, 63, 64, 4000000000 };
	char number[32];

	setup();
	snprintf(number, sizeof(number), "KVM exit %u,", reasons[_i]);
	ck_assert_int_eq(exit_with(reasons[_i]), VERDICT_CRASH);
	ck_assert_ptr_nonnull(strstr(cpu.why, number));
	fake_machine_free(f);
}
END_TEST

START_TEST(exits_are_counted_by_name)
{
	char text[1024] = "";
	struct json j = { .f = fmemopen(text, sizeof(text), "w") };
	struct acct_moment now;

	setup();
	exit_port(false, ECHO_PORT, 1, 1);
	exit_port(false, ECHO_PORT, 1, 8);
	exit_memory(false, ECHO_MMIO, 4);
	json_open(&j, NULL, '{');
	now = acct_moment();
	vcpu_stats_json(&cpu, &now, &j);
	json_close(&j, '}');
	fclose(j.f);
	ck_assert_ptr_nonnull(strstr(text, "\"io\": 2"));
	ck_assert_ptr_nonnull(strstr(text, "\"mmio\": 1"));
	ck_assert_ptr_null(strstr(text, "hlt"));
	fake_machine_free(f);
}
END_TEST

/* Known reasons, and one beyond the table. */
START_TEST(turn_is_split_without_a_rest)
{
	static const uint32_t reasons[] = { KVM_EXIT_MMIO, KVM_EXIT_IO, 4000000000 };
	unsigned slot = reasons[_i] < VCPU_EXITS ? reasons[_i] : KVM_EXIT_UNKNOWN;
	struct vcpu_time *t;
	uint64_t mark;

	setup();
	t = &cpu.time[slot];
	mark = acct_now() - 1000;
	cpu.mark = mark;
	vcpu_time_exit(&cpu, reasons[_i], mark + 600);
	ck_assert_uint_eq(counter_get(&t->kvm), 600);
	ck_assert_uint_eq(counter_get(&t->handler), 0);
	vcpu_time_handled(&cpu, reasons[_i], 100);
	ck_assert_uint_eq(counter_get(&t->kvm), 600);
	ck_assert_uint_eq(counter_get(&t->wait), 100);
	ck_assert_uint_ge(counter_get(&t->handler), 300);
	ck_assert_uint_eq(counter_get(&t->kvm) + counter_get(&t->handler) + counter_get(&t->wait),
			  counter_get(&cpu.mark) - mark);
	vcpu_time_exit(&cpu, reasons[_i], counter_get(&cpu.mark) + 7);
	vcpu_time_handled(&cpu, reasons[_i], UINT64_MAX);
	ck_assert_uint_eq(counter_get(&t->kvm), 607);
	ck_assert_uint_eq(counter_get(&t->kvm) + counter_get(&t->handler) + counter_get(&t->wait),
			  counter_get(&cpu.mark) - mark);
	fake_machine_free(f);
}
END_TEST

/* However late it is made: its thread may have waited for a processor. */
START_TEST(report_adds_up_to_the_moment_it_is_of)
{
	const struct acct_moment birth = acct_moment(), now = { birth.ticks + 1000, birth.ns + 77 };
	struct vcpu_report r;

	setup();
	cpu.start_ns = birth.ns;
	cpu.mark = birth.ticks;
	vcpu_time_exit(&cpu, KVM_EXIT_IO, birth.ticks + 600);
	while (acct_moment().ns < birth.ns + 20000000)
		;
	r = vcpu_report(&cpu, &now);
	ck_assert_uint_eq(r.wall, 77);
	ck_assert_uint_le(r.kvm - acct_ns(599), 2); /* the clocks' ratio is measured each time */
	ck_assert_uint_le(r.pending - acct_ns(399), 2);
	ck_assert_uint_eq(r.handler + r.wait, 0);
	/* It has gone on since, for 20 ms: nothing of that is beyond its wall time. */
	vcpu_time_handled(&cpu, KVM_EXIT_IO, 0);
	r = vcpu_report(&cpu, &now);
	ck_assert_uint_ge(r.wall, 20000000);
	ck_assert_uint_le(r.kvm + r.handler + r.pending, r.wall + 1000000);
	vcpu_time_end(&cpu);
	r = vcpu_report(&cpu, &now);
	ck_assert_uint_eq(r.pending, 0);
	ck_assert_uint_ge(r.kvm + r.handler + 1000000, r.wall);
	fake_machine_free(f);
}
END_TEST

START_TEST(queued_writes_come_before_the_exit_whatever_it_is)
{
	struct fake_accel accel;

	setup();
	bus_unmap(&f->m.mmio, &echo.mmio);
	fake_accel_init(&accel, &f->m.mmio);
	ck_assert_int_eq(bus_map(&f->m.mmio, &echo.mmio, ECHO_MMIO), 0);
	ck_assert_int_eq(bus_coalesce(&f->m.mmio, &echo.mmio, 0, 8, true), 0);
	fake_store(&accel, ECHO_MMIO, 4, 1);
	fake_store(&accel, ECHO_MMIO + 4, 4, 2);
	ck_assert_uint_eq(echo.n, 0);
	ck_assert_int_eq(exit_port(false, ECHO_PORT, 4, 1), VERDICT_RUN);
	ck_assert_uint_eq(echo.n, 3);
	ck_assert_uint_eq(echo.seen[0].val, 1);
	ck_assert_uint_eq(echo.seen[1].val, 2);
	ck_assert(!echo.seen[2].write);
	fake_accel_fini(&accel);
}
END_TEST

static const struct test_entry tests[] = {
	T(queued_writes_come_before_the_exit_whatever_it_is),
	TLOOP(port_write_of_each_size_reaches_the_device, 0, 3),
	TLOOP(port_read_of_each_size_fills_its_bytes_only, 0, 3),
	T(string_output_keeps_the_port_and_moves_the_data),
	T(string_input_keeps_the_port_and_moves_the_data),
	T(unclaimed_port_reads_all_ones),
	TLOOP(memory_read_of_each_size_is_zero_extended, 0, 4),
	TLOOP(memory_write_of_each_size_reaches_the_device, 0, 4),
	T(odd_length_is_split_into_powers_of_two),
	T(length_beyond_the_data_is_bounded),
	T(unclaimed_memory_reads_all_ones_not_what_was_there),
	TLOOP(harmless_exits_enter_the_guest_again, 0, 3),
	T(shutdown_is_a_triple_fault),
	T(internal_error_names_suberror_and_instruction),
	T(instruction_size_beyond_the_bytes_is_bounded),
	T(internal_error_without_bytes_says_unknown),
	T(failed_entry_gives_the_hardware_reason),
	TLOOP(system_events_stop_the_machine, 0, 2),
	T(other_system_events_are_a_crash),
	TLOOP(unknown_reason_is_a_crash_with_its_number, 0, 5),
	T(exits_are_counted_by_name),
	TLOOP(turn_is_split_without_a_rest, 0, 3),
	T(report_adds_up_to_the_moment_it_is_of),
};

CHECK_MAIN("vcpu_exit", tests)
