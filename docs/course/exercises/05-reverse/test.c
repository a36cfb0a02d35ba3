/* SPDX-License-Identifier: MIT */
/* test.c: the device around reverse_serve(), and a driver that asks it. */
#include "exercise.h"
#include "tests/check_main.h"
#include "tests/rig/server_rig.h"

#include <string.h>

#define IN_AT  SERVER_MEM            /* what the device reads */
#define OUT_AT (SERVER_MEM + 0x8000) /* what it writes */

static struct server_rig s;
static struct vserver device;

static void no_json(struct vserver *v, struct json *j)
{
	(void)v, (void)j;
}

static void no_lines(struct vserver *v, FILE *f)
{
	(void)v, (void)f;
}

static const struct vserver_ops ops = {
	.model = "reverse",
	.type = REVERSE_TYPE,
	.class_code = 0xff0000,
	.serve = reverse_serve,
	.stats_json = no_json,
	.stats_print = no_lines,
};

static void up(void)
{
	struct vserver_config cfg = { .name = "reverse0" };

	server_rig_up(&s);
	memset(&device, 0, sizeof(device));
	cfg.loop = s.r.m->f->m.loop;
	ck_assert_int_eq(vserver_init(&device, &ops, &s.r.m->f->m, s.r.m->pci, SERVER_SLOT, &cfg),
			 0);
	server_rig_plug(&s, &device);
	rig_fill(&s.r, OUT_AT, '.', 0x8000);
}

static void down(void)
{
	vserver_fini(&device);
	server_rig_down(&s);
}

static int64_t ask(const char *text, size_t split, uint32_t room)
{
	uint32_t len = (uint32_t)strlen(text), first = (uint32_t)split;
	struct ring_buf b[] = { { IN_AT, first, false },
				{ IN_AT + first, len - first, false },
				{ OUT_AT, room, true } };
	/* A buffer of nothing is no buffer. */
	bool one = !first || first == len;

	if (one)
		b[0] = (struct ring_buf){ IN_AT, len, false }, b[1] = b[2];
	rig_poke(&s.r, IN_AT, text, len);
	return server_rig_ask(&s, b, one ? 2 : 3, false);
}

static void expect_out(const char *text)
{
	char got[32];

	rig_peek(&s.r, OUT_AT, got, strlen(text));
	ck_assert_mem_eq(got, text, strlen(text));
}

START_TEST(bytes_come_back_backwards)
{
	up();
	ck_assert_int_eq(ask("stressed", 0, 32), 8);
	expect_out("desserts.");
	down();
}
END_TEST

START_TEST(buffers_are_one_request)
{
	up();
	ck_assert_int_eq(ask("drawer", 2, 32), 6);
	expect_out("reward.");
	down();
}
END_TEST

START_TEST(little_room_takes_the_first_bytes)
{
	up();
	ck_assert_int_eq(ask("abcdef", 0, 3), 3);
	expect_out("cba.");
	down();
}
END_TEST

START_TEST(long_requests_are_cut)
{
	struct ring_buf b[] = { { IN_AT, 0x4000, false }, { OUT_AT, 0x4000, true } };

	up();
	ck_assert_int_eq(server_rig_ask(&s, b, 2, false), REVERSE_MAX);
	down();
}
END_TEST

START_TEST(half_a_request_is_a_fault)
{
	struct ring_buf b[] = { { IN_AT, 8, false }, { OUT_AT, 8, true } };

	up();
	ck_assert_int_eq(server_rig_ask(&s, b, 1, false), 0);
	ck_assert_uint_eq(server_rig_faults(&s), 1);
	ck_assert_int_eq(server_rig_ask(&s, b + 1, 1, false), 0);
	ck_assert_uint_eq(server_rig_faults(&s), 2);
	ck_assert(!server_rig_needs_reset(&s));
	down();
}
END_TEST

static const struct test_entry tests[] = {
	T(bytes_come_back_backwards),         T(buffers_are_one_request),
	T(little_room_takes_the_first_bytes), T(long_requests_are_cut),
	T(half_a_request_is_a_fault),
};

CHECK_MAIN("reverse", tests)
