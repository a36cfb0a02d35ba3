/* SPDX-License-Identifier: MIT */
/* test_report.c: what duet tells its user: JSON, traces, and MAC parsing errors. */
#include "devices/nic.h"
#include "tests/check_main.h"
#include "vmm/stats.h"
#include "vmm/trace.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

START_TEST(json_nests_escapes_and_separates)
{
	char text[512] = "";
	struct json j = { .f = fmemopen(text, sizeof(text), "w") };

	json_open(&j, NULL, '{');
	json_str(&j, "quote", "a\"b\\c\n");
	json_open(&j, "list", '[');
	json_u64(&j, NULL, UINT64_MAX);
	json_bool(&j, NULL, 1);
	json_close(&j, ']');
	json_open(&j, "empty", '{');
	json_close(&j, '}');
	json_double(&j, "pi", 3.25);
	json_close(&j, '}');
	fclose(j.f);
	ck_assert_str_eq(text, "{\n"
			       "  \"quote\": \"a\\\"b\\\\c\\u000a\",\n"
			       "  \"list\": [\n"
			       "    18446744073709551615,\n"
			       "    true\n"
			       "  ],\n"
			       "  \"empty\": {},\n"
			       "  \"pi\": 3.25\n"
			       "}\n");
}
END_TEST

START_TEST(json_on_one_line_has_one_line_break)
{
	char text[128] = "";
	struct json j = { .f = fmemopen(text, sizeof(text), "w"), .one_line = true };

	json_open(&j, NULL, '{');
	json_u64(&j, "n", 1);
	json_open(&j, "list", '[');
	json_open(&j, NULL, '{');
	json_str(&j, "s", "a\nb");
	json_close(&j, '}');
	json_close(&j, ']');
	json_close(&j, '}');
	fclose(j.f);
	ck_assert_str_eq(text, "{\"n\": 1,\"list\": [{\"s\": \"a\\u000ab\"}]}\n");
}
END_TEST

START_TEST(trace_classes_add_up)
{
	trace_mask = 0;
	ck_assert_int_eq(trace_enable("net,irq", NULL), 0);
	ck_assert_uint_eq(trace_mask, BIT(TRACE_NET) | BIT(TRACE_IRQ));
	ck_assert_int_eq(trace_enable("all", NULL), 0);
	ck_assert_uint_eq(trace_mask, BIT(TRACE_NR) - 1);
}
END_TEST

START_TEST(unknown_trace_class_is_pointed_at_and_changes_nothing)
{
	const char *bad = NULL;

	trace_mask = 0;
	ck_assert_int_eq(trace_enable("net,nett", &bad), -EINVAL);
	ck_assert_str_eq(bad, "nett");
	ck_assert_int_eq(trace_enable("", NULL), -EINVAL);
	ck_assert_int_eq(trace_enable("net,", NULL), -EINVAL);
	ck_assert_uint_eq(trace_mask, 0);
}
END_TEST

START_TEST(trace_line_has_class_function_and_text)
{
	char path[] = "/tmp/duet-trace-XXXXXX", line[256] = "";
	int fd = mkstemp(path);
	FILE *f;

	ck_assert_int_ge(fd, 0);
	trace_mask = BIT(TRACE_NET);
	ck_assert_int_eq(trace_open(path), 0);
	trace(NET, "frame %d", 7);
	trace(IRQ, "not this one");
	trace_close();
	trace_mask = 0;
	f = fdopen(fd, "r");
	ck_assert_ptr_nonnull(fgets(line, sizeof(line), f));
	ck_assert_ptr_nonnull(strstr(line, "] NET "));
	ck_assert_ptr_nonnull(strstr(line, ": frame 7\n"));
	ck_assert_ptr_null(fgets(line, sizeof(line), f));
	fclose(f);
	unlink(path);
}
END_TEST

START_TEST(trace_file_that_cannot_be_written_is_an_error)
{
	ck_assert_int_eq(trace_open("/nonexistent/trace"), -ENOENT);
}
END_TEST

START_TEST(mac_is_six_bytes)
{
	uint8_t mac[6];

	ck_assert_int_eq(nic_parse_mac("52:54:00:aB:cD:eF", mac), 0);
	ck_assert_mem_eq(mac, "\x52\x54\x00\xab\xcd\xef", 6);
}
END_TEST

static const char *const bad_macs[] = {
	"",
	"52:54:00:12:34",
	"52:54:00:12:34:",
	"52:54:00:12:34:5",
	"52:54:00:12:34:56:78",
	"52-54-00-12-34-56",
	"5254.0012.3456",
	"52:54:00:12:34:5g",
	"0x52:54:00:12:34:56",
	"00:00:00:00:00:00",
	"01:00:5e:00:00:01",
	"ff:ff:ff:ff:ff:ff",
};

START_TEST(malformed_mac_is_refused)
{
	uint8_t mac[6];

	ck_assert_int_eq(nic_parse_mac(bad_macs[_i], mac), -EINVAL);
}
END_TEST

static const struct test_entry tests[] = {
	T(json_nests_escapes_and_separates),
	T(json_on_one_line_has_one_line_break),
	T(trace_classes_add_up),
	T(unknown_trace_class_is_pointed_at_and_changes_nothing),
	T(trace_line_has_class_function_and_text),
	T(trace_file_that_cannot_be_written_is_an_error),
	T(mac_is_six_bytes),
	TLOOP(malformed_mac_is_refused, 0, ARRAY_SIZE(bad_macs)),
};

CHECK_MAIN("report", tests)
