/* SPDX-License-Identifier: MIT */
/* test_opts.c: the command line: what is understood, and what a mistake is told. */
#include "devices/ladder.h"
#include "tests/check_main.h"
#include "tests/rig/opts_line.h"
#include "vmm/util.h"

#include <string.h>

START_TEST(run_has_defaults)
{
	ck_assert_int_eq(parse("run -k vmlinuz"), 0);
	ck_assert_int_eq(o.command, OPTS_RUN);
	ck_assert_str_eq(o.kernel, "vmlinuz");
	ck_assert_uint_eq(o.memory, UINT64_C(512) << 20);
	ck_assert_uint_eq(o.cpus, 1);
	ck_assert_int_eq(o.unpack, BOOT_UNPACK_AUTO);
	ck_assert_uint_eq(o.n_nics, 0);
	ck_assert_int_eq(o.serial2_fd, -1);
	ck_assert_ptr_null(o.initrd);
	ck_assert(!o.stats_table);
	ck_assert(!o.no_accounting);
	ck_assert_int_eq(o.sandbox, OPTS_SANDBOX_IF_BUILT_IN);
	ck_assert(!o.user && !o.chroot);
	ck_assert_uint_eq(o.n_disks, 0);
	ck_assert(!o.rng && !o.dry_run);
}
END_TEST

START_TEST(run_takes_every_option_in_both_forms)
{
	static const char *const lines[] = {
		"run -k K -i I -a A -m 1G -c 4 -n e1000,null --stats S --stats - --marks M "
		"--trace net,irq --trace-file F --serial2 O --accounting off --user U --chroot C "
		"--sandbox off -d D,ro -d E --rng -q --unpack host --dry-run",
		"run --kernel K --initrd I --append A --memory 1G --cpus 4 --net e1000,null "
		"--stats=S --marks=M --stats-table --trace=net,irq --trace-file=F --serial2=O "
		"--accounting=off --user=U --chroot=C --sandbox=off --disk=D,ro --disk E "
		"--rng --log-level warning --unpack=host --dry-run",
	};

	ck_assert_int_eq(parse(lines[_i]), 0);
	ck_assert_str_eq(o.kernel, "K");
	ck_assert_str_eq(o.initrd, "I");
	ck_assert_str_eq(o.append, "A");
	ck_assert_uint_eq(o.memory, UINT64_C(1) << 30);
	ck_assert_uint_eq(o.cpus, 4);
	ck_assert_uint_eq(o.n_nics, 1);
	ck_assert_str_eq(o.stats, "S");
	ck_assert_str_eq(o.marks, "M");
	ck_assert(o.stats_table);
	ck_assert(o.no_accounting);
	ck_assert_str_eq(o.trace, "net,irq");
	ck_assert_str_eq(o.trace_file, "F");
	ck_assert_str_eq(o.serial2, "O");
	ck_assert_str_eq(o.user, "U");
	ck_assert_str_eq(o.chroot, "C");
	ck_assert_int_eq(o.sandbox, OPTS_SANDBOX_OFF);
	ck_assert_uint_eq(o.n_disks, 2);
	ck_assert_str_eq(o.disk[0].path, "D");
	ck_assert(o.disk[0].readonly);
	ck_assert_str_eq(o.disk[1].path, "E");
	ck_assert(!o.disk[1].readonly);
	ck_assert(o.rng);
	ck_assert_int_eq(o.log_level, LOG_LEVEL_WARNING);
	ck_assert_int_eq(o.unpack, BOOT_UNPACK_HOST);
	ck_assert(o.dry_run);
}
END_TEST

static const char *const kernels[] = { "run K",     "run K -q",    "run -q K",
				       "run -- K",  "run -q -- K", "run -k L -q --kernel K",
				       "run L -k K" };

START_TEST(kernel_is_a_word_or_an_option)
{
	ck_assert_int_eq(parse(kernels[_i]), 0);
	ck_assert_str_eq(o.kernel, "K");
}
END_TEST

static const struct {
	const char *text;
	uint64_t bytes;
} sizes[] = {
	{ "512M", UINT64_C(512) << 20 }, { "512", UINT64_C(512) << 20 },
	{ "4G", UINT64_C(4) << 30 },     { "4g", UINT64_C(4) << 30 },
	{ "1T", UINT64_C(1) << 40 },     { "65536K", UINT64_C(64) << 20 },
	{ "2GiB", UINT64_C(2) << 30 },   { "16M", UINT64_C(16) << 20 },
};

START_TEST(memory_has_units)
{
	char line[64];

	snprintf(line, sizeof(line), "run -k K -m %s", sizes[_i].text);
	ck_assert_int_eq(parse(line), 0);
	ck_assert_uint_eq(o.memory, sizes[_i].bytes);
}
END_TEST

START_TEST(nics_keep_their_order_and_get_addresses)
{
	static const uint8_t first[] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 };
	static const uint8_t given[] = { 0x02, 0, 0, 0, 0, 1 };

	ck_assert_int_eq(parse("run -k K -n e1000,tap=tap0 -n virtio,loop -n "
			       "virtio,null,mac=02:00:00:00:00:01,mtu=9000"),
			 0);
	ck_assert_uint_eq(o.n_nics, 3);
	ck_assert_int_eq(o.nic[0].model, OPTS_E1000);
	ck_assert_str_eq(o.nic[0].backend, "tap");
	ck_assert_str_eq(o.nic[0].arg, "tap0");
	ck_assert_mem_eq(o.nic[0].mac, first, 6);
	ck_assert_uint_eq(o.nic[0].mtu, 0);
	ck_assert_int_eq(o.nic[1].model, OPTS_VIRTIO);
	ck_assert_str_eq(o.nic[1].backend, "loop");
	ck_assert_uint_eq(o.nic[1].mac[5], 0x57);
	ck_assert_str_eq(o.nic[2].backend, "null");
	ck_assert_mem_eq(o.nic[2].mac, given, 6);
	ck_assert_uint_eq(o.nic[2].mtu, 9000);
	ck_assert_str_eq(o.nic[0].pcap, "");
	ck_assert_int_eq(parse("run -k K -n e1000,null,pcap=/tmp/a=b"), 0);
	ck_assert_str_eq(o.nic[0].pcap, "/tmp/a=b");
	ck_assert_int_eq(parse("run -k K -n e1000,user,hostfwd=tcp:2222:22,hostfwd=udp:::1:5:6"),
			 0);
	ck_assert_str_eq(o.nic[0].backend, "user");
	ck_assert_str_eq(o.nic[0].arg, "tcp:127.0.0.1/2222:22,udp:::1/5:6");
}
END_TEST

#define RUNG(name) BIT(RUNG_##name)

static const struct {
	const char *net;
	unsigned rungs;
} ladders[] = {
	{ "e1000,null", LADDER_BEST },
	{ "virtio,null", LADDER_BEST &LADDER_VIRTIO },
	{ "e1000,null,ladder=best", LADDER_BEST },
	{ "e1000,null,ladder=qemu", LADDER_QEMU },
	{ "virtio,null,ladder=qemu", LADDER_QEMU },
	{ "e1000,ladder=zero-copy,null", RUNG(OFFLOAD_TX) | RUNG(OFFLOAD_RX) | RUNG(ZERO_COPY) },
	{ "e1000,null,ladder=irq-page", LADDER_ALL },
	{ "virtio,null,ladder=irq-page", LADDER_VIRTIO },
	{ "e1000,null,ladder=qemu,offload-tx=on", RUNG(OFFLOAD_TX) },
	{ "e1000,null,ladder=qemu,worker=on,kick=on,worker=off", RUNG(KICK) },
	{ "e1000,null,offload-tx=on,ladder=qemu", LADDER_QEMU }, /* the last word counts */
	{ "e1000,null,itr=off", LADDER_BEST & ~RUNG(ITR) },
	{ "e1000,null,irq=on,irq-page=on", LADDER_ALL },
	{ "e1000,null,ladder=qemu,irq-page=on", RUNG(IRQ_PAGE) },
	{ "virtio,null,zero-copy=off", LADDER_BEST &LADDER_VIRTIO & ~RUNG(ZERO_COPY) },
};

START_TEST(ladder_is_a_word_and_switches)
{
	char line[128];

	snprintf(line, sizeof(line), "run -k K -n %s", ladders[_i].net);
	ck_assert_msg(parse(line) == 0, "%s: %s", line, o.why);
	ck_assert_uint_eq(o.nic[0].rungs, ladders[_i].rungs);
}
END_TEST

START_TEST(rung_of_one_card_is_no_other_cards)
{
	ck_assert_int_eq(parse("run -k K -n e1000,null,ladder=qemu -n virtio,null -n e1000,null"),
			 0);
	ck_assert_uint_eq(o.nic[0].rungs, LADDER_QEMU);
	ck_assert_uint_eq(o.nic[1].rungs, LADDER_BEST & LADDER_VIRTIO);
	ck_assert_uint_eq(o.nic[2].rungs, LADDER_BEST);
}
END_TEST

START_TEST(polling_time_has_a_default_and_bounds)
{
	ck_assert_int_eq(parse("run -k K -n e1000,null -n virtio,null,poll-us=1 "
			       "-n virtio,null,poll-us=100000"),
			 0);
	ck_assert_uint_eq(o.nic[0].poll_us, 4000);
	ck_assert_uint_eq(o.nic[1].poll_us, 1);
	ck_assert_uint_eq(o.nic[2].poll_us, 100000);
}
END_TEST

START_TEST(nics_make_artificial_exits_when_asked)
{
	ck_assert_int_eq(parse("run -k K -n e1000,null -n virtio,null,exits=0 -n "
			       "e1000,exits=1000,loop -n virtio,null,exits=20"),
			 0);
	ck_assert_uint_eq(o.nic[0].exits, 0);
	ck_assert_uint_eq(o.nic[1].exits, 0);
	ck_assert_uint_eq(o.nic[2].exits, 1000);
	ck_assert_uint_eq(o.nic[3].exits, 20);
}
END_TEST

START_TEST(virtio_on_a_tap_may_have_the_kernel_move_frames)
{
	ck_assert_int_eq(parse("run -k K -n virtio,tap=a,vhost=on,mtu=9000 -n vhost=off,null"), -1);
	ck_assert_int_eq(parse("run -k K -n virtio,tap=a,vhost=on,mtu=9000 -n virtio,vhost=on,fd=3 "
			       "-n virtio,vhost=off,null,kick=off -n e1000,tap=b,vhost=off"),
			 0);
	ck_assert(o.nic[0].vhost && o.nic[1].vhost);
	ck_assert(!o.nic[2].vhost && !o.nic[3].vhost);
}
END_TEST

START_TEST(calibrate_has_a_number_of_samples)
{
	ck_assert_int_eq(parse("calibrate"), 0);
	ck_assert_uint_eq(o.samples, 51);
	ck_assert(!o.json);
	ck_assert_int_eq(parse("calibrate -n 1"), 0);
	ck_assert_uint_eq(o.samples, 1);
	ck_assert_int_eq(parse("calibrate --json --samples=10000"), 0);
	ck_assert_uint_eq(o.samples, 10000);
	ck_assert(o.json);
}
END_TEST

START_TEST(disk_may_have_commas_in_its_name)
{
	ck_assert_int_eq(parse("run -k K -d a,b -d a,ro,ro -d ro -d a,row"), 0);
	ck_assert_str_eq(o.disk[0].path, "a,b");
	ck_assert(!o.disk[0].readonly);
	ck_assert_str_eq(o.disk[1].path, "a,ro");
	ck_assert(o.disk[1].readonly);
	ck_assert_str_eq(o.disk[2].path, "ro");
	ck_assert(!o.disk[2].readonly);
	ck_assert_str_eq(o.disk[3].path, "a,row");
	ck_assert(!o.disk[3].readonly);
}
END_TEST

START_TEST(serial2_takes_a_descriptor)
{
	ck_assert_int_eq(parse("run -k K --serial2 fd:5"), 0);
	ck_assert_int_eq(o.serial2_fd, 5);
}
END_TEST

static const struct {
	const char *line;
	enum opts_command command;
	const char *topic;
} commands[] = {
	{ "help", OPTS_HELP, NULL },
	{ "-h", OPTS_HELP, NULL },
	{ "--help", OPTS_HELP, NULL },
	{ "help run", OPTS_HELP, "run" },
	{ "help probe", OPTS_HELP, "probe" },
	{ "run -h", OPTS_HELP, "run" },
	{ "run --help", OPTS_HELP, "run" },
	{ "run -m 0G -h", -1, NULL },
	{ "probe -h", OPTS_HELP, "probe" },
	{ "version", OPTS_VERSION, NULL },
	{ "-V", OPTS_VERSION, NULL },
	{ "--version", OPTS_VERSION, NULL },
	{ "run -V", OPTS_VERSION, "run" },
	{ "probe", OPTS_PROBE, "probe" },
	{ "probe --json", OPTS_PROBE, "probe" },
	{ "help calibrate", OPTS_HELP, "calibrate" },
	{ "calibrate -h", OPTS_HELP, "calibrate" },
	{ "calibrate", OPTS_CALIBRATE, "calibrate" },
	{ "calibrate --json -n 3", OPTS_CALIBRATE, "calibrate" },
};

START_TEST(commands_are_told_apart)
{
	int ret = parse(commands[_i].line);

	if ((int)commands[_i].command < 0) {
		ck_assert_int_eq(ret, -1);
		return;
	}
	ck_assert_int_eq(ret, 0);
	ck_assert_int_eq(o.command, commands[_i].command);
	ck_assert_pstr_eq(o.topic, commands[_i].topic);
	ck_assert(o.json == !!strstr(commands[_i].line, "--json"));
}
END_TEST

/* A mistake, and two words that its message must hold: what was wrong, what would do. */
static const struct {
	const char *line, *names, *says;
} mistakes[] = {
	{ "", "no command", "usage" },
	{ "boot", "'boot'", "run, exec, probe" },
	{ "help me", "'me'", "run, exec, probe" },
	{ "run", "no kernel", "auto" },
	{ "run K L", "'L'", "--help" },
	{ "run K --unpack never", "--unpack never", "guest" },
	{ "run -- K L", "'L'", "--help" },
	{ "probe -- K", "'K'", "duet probe --help" },
	{ "run --frob -k K", "--frob", "--help" },
	{ "run -Z -k K", "-Z", "--help" },
	{ "run -k", "-k", "value" },
	{ "run --kernel", "--kernel", "value" },
	{ "run -k K --quiet=yes", "--quiet=yes", "--help" },
	{ "exec", "no command", "COMMAND" },
	{ "exec -k K --", "no command", "COMMAND" },
	{ "exec --timeout 0 true", "--timeout 0", "1 to 1000000" },
	{ "exec --timeout 1h true", "--timeout 1h", "1 to 1000000" },
	{ "exec --limit 3G true", "--limit 3G", "2G" },
	{ "exec --limit much true", "--limit much", "2G" },
	{ "exec --dry-run true", "--dry-run", "duet run" },
	{ "exec --file F:../x true", "--file F:../x", "'../x'" },
	{ "exec --file F:/a/../b true", "--file F:/a/../b", "'/a/../b'" },
	{ "exec --file F:a//b true", "'a//b'", "empty parts" },
	{ "exec --file F://a true", "'//a'", "empty parts" },
	{ "exec --file F:a/ true", "'a/'", "empty parts" },
	{ "exec --file F:./a true", "'./a'", "empty parts" },
	{ "exec --file F: true", "''", "empty parts" },
	{ "exec --file F:/ true", "'/'", "empty parts" },
	{ "exec --file .. true", "'..'", "empty parts" },
	{ "exec --file d/ true", "--file d/", "empty parts" },
	{ "exec --file :x true", "--file :x", "HOST" },
	{ "exec --file a:/x --file b:/x true", "--file b:/x", "another --file is '/x'" },
	{ "exec --file a/x --file b/x true", "--file b/x", "another --file is 'x'" },
	{ "run K --file F", "--file", "run --help" },
	{ "run K --dry-run=yes", "--dry-run=yes", "--help" },
	{ "exec --serial2 F true", "--serial2", "exec --help" },
	{ "exec -n e1000 true", "tap=", "null" },
	{ "run -k K --dir D", "--dir", "run --help" },
	{ "run -k K --log-level loud", "--log-level loud", "debug" },
	{ "run -k K stray", "'stray'", "--help" },
	{ "probe -k K", "-k", "duet probe --help" },
	{ "run -k K -m 0", "--memory 0", "16M" },
	{ "run -k K -m 1M", "--memory 1M", "16M" },
	{ "run -k K -m 2T", "--memory 2T", "1T" },
	{ "run -k K -m 99999999999999999999G", "99999999999999999999G", "1T" },
	{ "run -k K -m 18014398509481984K", "18014398509481984K", "1T" },
	{ "run -k K -m 16385K", "--memory 16385K", "4K" },
	{ "run -k K -m lots", "--memory lots", "512M" },
	{ "run -k K -m -512M", "--memory -512M", "512M" },
	{ "run -k K -m 1.5G", "--memory 1.5G", "512M" },
	{ "run -k K -m _", "--memory", "512M" },
	{ "run -k K -d _", "--disk", "FILE,ro" },
	{ "run -k K -d ,ro", "--disk", "FILE,ro" },
	{ "run -k K --disk", "--disk", "value" },
	{ "run -k K -d 1 -d 2 -d 3 -d 4 -d 5 -d 6 -d 7 -d 8 -d 9", "--disk 9", "at most 8" },
	{ "run -k K --rng=yes", "--rng=yes", "--help" },
	{ "run -k K -c 0", "--cpus 0", "1 to 16" },
	{ "run -k K -c 17", "--cpus 17", "1 to 16" },
	{ "run -k K -c 1000", "--cpus 1000", "1 to 16" },
	{ "run -k K -c abc", "--cpus abc", "1 to 16" },
	{ "run -k K -c 2x", "--cpus 2x", "1 to 16" },
	{ "run -k K -c 4294967297", "--cpus 4294967297", "1 to 16" },
	{ "run -k K -n _", "model", "e1000, virtio" },
	{ "run -k K -n ne2000,null", "ne2000", "e1000, virtio" },
	{ "run -k K -n e1000", "no backend", "tap=IFNAME" },
	{ "run -k K -n e1000,mac=02:00:00:00:00:01", "no backend", "loop" },
	{ "run -k K -n e1000,tap", "tap", "value" },
	{ "run -k K -n e1000,tap=", "tap=", "15" },
	{ "run -k K -n e1000,tap=abcdefghijklmnop", "abcdefghijklmnop", "15" },
	{ "run -k K -n e1000,fd=2", "fd=2", "3 or more" },
	{ "run -k K -n e1000,fd=x", "fd=x", "3 or more" },
	{ "run -k K -n e1000,fd=4294967299", "fd=4294967299", "3 or more" },
	{ "run -k K -n e1000,fd=7 -n virtio,fd=07", "0 and 1", "fd=7" },
	{ "run -k K -n e1000,fd=7,tap=tap0", "fd and tap", "one" },
	{ "run -k K -n e1000,user=1", "user=1", "no value" },
	{ "run -k K -n e1000,hostfwd=tcp:1:1,user", "hostfwd=tcp:1:1", "only after user" },
	{ "run -k K -n e1000,tap=tap0,hostfwd=tcp:1:1", "hostfwd=tcp:1:1", "only after user" },
	{ "run -k K -n e1000,user,hostfwd=", "hostfwd=", "tcp:PORT:GUESTPORT" },
	{ "run -k K -n e1000,user,hostfwd=tcp", "hostfwd=tcp", "tcp:PORT:GUESTPORT" },
	{ "run -k K -n e1000,user,hostfwd=tcp:", "hostfwd=tcp:", "tcp:PORT:GUESTPORT" },
	{ "run -k K -n e1000,user,hostfwd=tcp:22", "hostfwd=tcp:22", "tcp:PORT:GUESTPORT" },
	{ "run -k K -n e1000,user,hostfwd=sctp:1:1", "hostfwd=sctp:1:1", "tcp:PORT:GUESTPORT" },
	{ "run -k K -n e1000,user,hostfwd=tcp:0:22", "hostfwd=tcp:0:22", "tcp:PORT:GUESTPORT" },
	{ "run -k K -n e1000,user,hostfwd=tcp:1:65536", "tcp:1:65536", "tcp:PORT:GUESTPORT" },
	{ "run -k K -n e1000,user,hostfwd=tcp::1:2", "tcp::1:2", "tcp:PORT:GUESTPORT" },
	{ "run -k K -n e1000,user,hostfwd=tcp:a/b:1:2", "tcp:a/b:1:2", "tcp:PORT:GUESTPORT" },
	{ "run -k K -n e1000,stream=", "stream=", "1 to 107" },
	{ "run -k K -n e1000,listen", "listen", "value" },
	{ "run -k K -n e1000,listen=/x -n virtio,listen=/x", "0 and 1", "listen=/x" },
	{ "run -k K -n e1000,null=1", "null=1", "no value" },
	{ "run -k K -n e1000,null,loop", "null and loop", "one" },
	{ "run -k K -n e1000,null,color=red", "'color'", "mac=" },
	{ "run -k K -n e1000,null,mac", "mac", "value" },
	{ "run -k K -n e1000,null,mac=52:54:00:12:34", "52:54:00:12:34", "unicast" },
	{ "run -k K -n e1000,null,mac=zz:54:00:12:34:56", "zz:54", "unicast" },
	{ "run -k K -n e1000,null,mac=01:54:00:12:34:56", "01:54", "unicast" },
	{ "run -k K -n e1000,null,mac=00:00:00:00:00:00", "00:00", "unicast" },
	{ "run -k K -n e1000,null,pcap", "pcap", "value" },
	{ "run -k K -n e1000,null,pcap=", "pcap=", "1 to 255" },
	{ "run -k K -n e1000,null,mtu=67", "mtu=67", "68 to 65535" },
	{ "run -k K -n e1000,null,mtu=65536", "mtu=65536", "68 to 65535" },
	{ "run -k K -n e1000,null,mtu=big", "mtu=big", "68 to 65535" },
	{ "run -k K -n e1000,null,ladder", "ladder", "value" },
	{ "run -k K -n e1000,null,ladder=", "ladder=", "qemu, best" },
	{ "run -k K -n e1000,null,ladder=top", "ladder=top", "qemu, best" },
	{ "run -k K -n e1000,null,ladder=qemu+kick", "ladder=qemu+kick", "qemu, best" },
	{ "run -k K -n e1000,null,kick", "kick", "kick=on or kick=off" },
	{ "run -k K -n e1000,null,kick=", "kick=", "kick=on or kick=off" },
	{ "run -k K -n e1000,null,kick=1", "kick=1", "kick=on or kick=off" },
	{ "run -k K -n e1000,null,kicks=on", "'kicks'", "ladder=" },
	{ "run -k K -n virtio,null,itr=on", "virtio,itr", "e1000 only" },
	{ "run -k K -n virtio,null,ram=off", "virtio,ram", "e1000 only" },
	{ "run -k K -n e1000,null,worker=off", "poll=on", "worker=on" },
	{ "run -k K -n virtio,null,worker=off", "poll=on", "worker=on" },
	{ "run -k K -n e1000,null,poll=off", "ram=on", "poll=on" },
	{ "run -k K -n e1000,null,poll-us=0", "poll-us=0", "1 to 100000" },
	{ "run -k K -n e1000,null,poll-us=100001", "poll-us=100001", "1 to 100000" },
	{ "run -k K -n e1000,null,poll-us=long", "poll-us=long", "1 to 100000" },
	{ "run -k K -n e1000,null,poll-us", "poll-us", "value" },
	{ "run -k K -n e1000,null,exits", "exits", "value" },
	{ "run -k K -n e1000,null,exits=", "exits=", "0 to 1000" },
	{ "run -k K -n e1000,null,exits=1001", "exits=1001", "0 to 1000" },
	{ "run -k K -n virtio,null,exits=-1", "exits=-1", "0 to 1000" },
	{ "run -k K -n virtio,null,exits=few", "exits=few", "0 to 1000" },
	{ "run -k K -n virtio,tap=t,vhost", "vhost", "value" },
	{ "run -k K -n virtio,tap=t,vhost=yes", "vhost=yes", "vhost=on or vhost=off" },
	{ "run -k K -n e1000,tap=t,vhost=on", "e1000,tap=t,vhost=on", "for virtio" },
	{ "run -k K -n virtio,vhost=on,user", "vhost=on,user", "tap=IFNAME or fd=N" },
	{ "run -k K -n virtio,vhost=on,null", "vhost=on,null", "tap=IFNAME or fd=N" },
	{ "run -k K -n virtio,tap=t,vhost=on,pcap=f", "not pcap=", "kernel" },
	{ "run -k K -n virtio,tap=t,vhost=on,exits=1", "not exits=", "kernel" },
	{ "run -k K -n virtio,tap=t,vhost=on,ladder=best", "not ladder=", "kernel" },
	{ "run -k K -n virtio,tap=t,kick=off,vhost=on", "not kick ", "kernel" },
	{ "run -k K -n virtio,tap=t,poll-us=5,vhost=on", "not poll-us=", "kernel" },
	{ "calibrate -n", "-n", "value" },
	{ "calibrate -n 0", "--samples 0", "1 to 10000" },
	{ "calibrate -n 10001", "--samples 10001", "1 to 10000" },
	{ "calibrate --samples=many", "--samples many", "1 to 10000" },
	{ "calibrate -k K", "-k", "duet calibrate --help" },
	{ "calibrate stray", "'stray'", "--help" },
	{ "run -k K -n e1000,null -n virtio,null,mac=52:54:00:12:34:56", "52:54:00:12:34:56",
	  "0 and 1" },
	{ "run -k K -n e1000,tap=tap0 -n virtio,tap=tap0", "tap=tap0", "0 and 1" },
	{ "run -k K -n e1000,null -n e1000,null -n e1000,null -n e1000,null -n e1000,null "
	  "-n e1000,null -n e1000,null -n e1000,null -n virtio,loop",
	  "virtio,loop", "at most 8" },
	{ "run -k K --trace nett", "'nett'", "net" },
	{ "run -k K --trace net,", "''", "mmio" },
	{ "run -k K --accounting yes", "--accounting yes", "on or off" },
	{ "run -k K --sandbox no", "--sandbox no", "on or off" },
	{ "run -k K --trace-file F", "--trace-file F", "--trace" },
	{ "run -k K --serial2 fd:", "fd:", "number" },
	{ "run -k K --serial2 fd:x", "fd:x", "number" },
	{ "run -k K --serial2 fd:99999999999", "fd:99999999999", "number" },
	{ "run -k K --serial2 _", "--serial2", "file" },
};

START_TEST(mistake_names_itself_and_the_remedy)
{
	ck_assert_int_eq(parse(mistakes[_i].line), -1);
	ck_assert_msg(strstr(o.why, mistakes[_i].names) && strstr(o.why, mistakes[_i].says),
		      "'%s' gives '%s'", mistakes[_i].line, o.why);
	ck_assert_ptr_null(strchr(o.why, '\n'));
}
END_TEST

START_TEST(net_of_any_length_is_bounded)
{
	char line[1200] = "run -k K -n e1000,null,mac=";

	memset(line + strlen(line), 'f', 1100);
	ck_assert_int_eq(parse(line), -1);
	ck_assert_ptr_nonnull(strstr(o.why, "too long"));
}
END_TEST

START_TEST(help_fits_the_terminal_and_names_every_option)
{
	static const char *const topics[] = { NULL, "run", "probe", "calibrate" };
	static const char *const words[] = { "--kernel",     "--initrd",    "--append",
					     "--memory",     "--cpus",      "--net",
					     "--stats",      "--trace ",    "--trace-file",
					     "--serial2",    "--log-level", "--quiet",
					     "--help",       "--version",   "exits",
					     "mmio",         "exit status", "--stats-table",
					     "ladder=",      "poll-us=",    "--marks",
					     "--accounting", "--sandbox",   "--user",
					     "--chroot",     "--unpack" };
	char *text = NULL;
	size_t size, col = 0;
	FILE *out = open_memstream(&text, &size);

	opts_help(out, topics[_i]);
	fclose(out);
	for (const char *p = text; *p; p++) {
		col = *p == '\n' ? 0 : col + 1;
		ck_assert_uint_le(col, 80);
	}
	for (size_t i = 0; _i < 2 && i < sizeof(words) / sizeof(words[0]); i++)
		ck_assert_msg(strstr(text, words[i]), "no %s", words[i]);
	for (unsigned r = 0; _i < 2 && r < RUNG_NR; r++)
		ck_assert(strstr(text, ladder_name((enum ladder_rung)r)) &&
			  strstr(text, ladder_help((enum ladder_rung)r)));
	ck_assert(_i == 1 || strstr(text, "--json"));
	ck_assert(_i != 3 || strstr(text, "--samples"));
	ck_assert(_i > 1 || strstr(text, "exits:"));
	free(text);
}
END_TEST

static const struct test_entry tests[] = {
	T(run_has_defaults),
	TLOOP(run_takes_every_option_in_both_forms, 0, 2),
	TLOOP(kernel_is_a_word_or_an_option, 0, ARRAY_SIZE(kernels)),
	TLOOP(memory_has_units, 0, ARRAY_SIZE(sizes)),
	T(nics_keep_their_order_and_get_addresses),
	TLOOP(ladder_is_a_word_and_switches, 0, ARRAY_SIZE(ladders)),
	T(rung_of_one_card_is_no_other_cards),
	T(polling_time_has_a_default_and_bounds),
	T(nics_make_artificial_exits_when_asked),
	T(virtio_on_a_tap_may_have_the_kernel_move_frames),
	T(calibrate_has_a_number_of_samples),
	T(disk_may_have_commas_in_its_name),
	T(serial2_takes_a_descriptor),
	TLOOP(commands_are_told_apart, 0, ARRAY_SIZE(commands)),
	TLOOP(mistake_names_itself_and_the_remedy, 0, ARRAY_SIZE(mistakes)),
	T(net_of_any_length_is_bounded),
	TLOOP(help_fits_the_terminal_and_names_every_option, 0, 4),
};

CHECK_MAIN("opts", tests)
