/* SPDX-License-Identifier: MIT */
/*
 * sandbox_drop.c: the process's root directory, user, groups and capabilities. Users are looked
 * up in /etc/passwd itself: a static program has no plug-ins for other directories.
 */
#include "vmm/sandbox.h"

#include "vmm/util.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DROP_ONLY_ROOT "only root may: leave it out, or start duet as root"

/* A whole decimal number. The largest one means "unchanged" to the kernel. */
static bool drop_number(const char *s, unsigned *n)
{
	unsigned long val;
	char *end;

	if (*s < '0' || *s > '9')
		return false;
	errno = 0;
	val = strtoul(s, &end, 10);
	*n = (unsigned)val;
	return !*end && !errno && val < UINT32_MAX;
}

/* By `name`, or when that is NULL by u->uid. */
static bool drop_passwd(const char *name, struct sandbox_user *u)
{
	FILE *f = fopen("/etc/passwd", "re");
	struct passwd *p = NULL;

	while (f && (p = fgetpwent(f)))
		if (name ? !strcmp(p->pw_name, name) : p->pw_uid == u->uid)
			break;
	if (p)
		*u = (struct sandbox_user){ p->pw_uid, p->pw_gid };
	if (f)
		fclose(f);
	return p;
}

int sandbox_find_user(const char *spec, struct sandbox_user *u, char *why, size_t size)
{
	size_t len = strcspn(spec, ":");
	const char *group = spec[len] ? spec + len + 1 : NULL;
	char name[64];
	bool number, known;
	gid_t gid = 0;

	snprintf(name, sizeof(name), "%.*s", (int)MIN(len, sizeof(name) - 1), spec);
	if (group && !drop_number(group, &gid)) {
		snprintf(why, size, "%s is not a group's number", group);
		return -1;
	}
	number = drop_number(name, &u->uid);
	known = len < sizeof(name) && drop_passwd(number ? NULL : name, u);
	if (!number && !known) {
		snprintf(why, size, "no such user in /etc/passwd; a number will do: UID:GID");
		return -1;
	}
	if (!known && !group) {
		snprintf(why, size, "/etc/passwd does not say its group: say %s:GID", name);
		return -1;
	}
	if (group)
		u->gid = gid;
	return 0;
}

static int drop_fail(char *why, size_t size, const char *what)
{
	snprintf(why, size, "%s: %s", what, errno == EPERM ? DROP_ONLY_ROOT : strerror(errno));
	return -1;
}

static int drop_capabilities(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };

	return (int)syscall(SYS_capset, &head, none);
}

int sandbox_drop(const struct sandbox_user *u, const char *root, char *why, size_t size)
{
	char what[512];

	snprintf(what, sizeof(what), "--chroot %s", root ? root : "");
	if (root && (chroot(root) < 0 || chdir("/") < 0))
		return drop_fail(why, size, what);
	if (u && (setgroups(0, NULL) < 0 || setresgid(u->gid, u->gid, u->gid) < 0 ||
		  setresuid(u->uid, u->uid, u->uid) < 0))
		return drop_fail(why, size, "--user");
	/* What a program with capabilities of its own could give back, no_new_privs denies. */
	if (drop_capabilities() < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return drop_fail(why, size, "cannot give up privileges");
	return 0;
}
