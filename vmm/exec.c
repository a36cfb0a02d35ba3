/* SPDX-License-Identifier: MIT */
/*
 * exec.c: from a command and a directory to a machine that runs the one in the other: an
 * initramfs is put together in memory, with guest/exec-init as its process 1, and booted
 * like any. Board and UARTs do the rest: ttyS1 is stdout, ttyS0 stderr.
 */
#include "vmm/exec.h"

#include "vmm/board.h"
#include "vmm/cpio.h"
#include "vmm/kernel_find.h"
#include "vmm/log.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define EXEC_SLACK (UINT64_C(16) << 20) /* busybox and our own files, beyond the user's limit */

static const unsigned char exec_init[] = {
#include "guest/exec-init.hex"
};

/* `s` as a word for a shell. */
static void exec_quote(FILE *f, const char *s)
{
	fputs(" '", f);
	for (; *s; s++)
		if (*s == '\'')
			fputs("'\\''", f);
		else
			fputc(*s, f);
	fputc('\'', f);
}

bool exec_at_terminal(const struct opts *o)
{
	return !o->exec.input && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
}

/* Where each --file, which is packed by its number, belongs. */
static void exec_places(FILE *f, const struct opts *o)
{
	for (unsigned i = 0; i < o->exec.n_files; i++) {
		fprintf(f, "\nplace %u", i);
		exec_quote(f, o->exec.file[i].guest);
	}
}

/* What guest/exec-init reads as its own words. */
static int exec_command(struct cpio *c, const struct opts *o)
{
	struct winsize w = { .ws_row = 24, .ws_col = 80 };
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	int err = -1;

	if (f) {
		fputs("set --", f);
		for (char *const *arg = o->exec.argv; *arg; arg++)
			exec_quote(f, *arg);
		exec_places(f, o);
		if (o->exec.input)
			fputs("\ninput=/duet/input", f);
		if (exec_at_terminal(o) && !ioctl(STDIN_FILENO, TIOCGWINSZ, &w))
			fprintf(f, "\nwindow='rows %u cols %u'", w.ws_row, w.ws_col);
		fputc('\n', f);
		if (!fclose(f))
			err = cpio_bytes(c, "duet/command", 0644, text, len);
	}
	if (!text)
		snprintf(c->why, sizeof(c->why), "the command: %s", strerror(errno));
	free(text);
	return err;
}

/* Does the program need an interpreter (ld.so)? The guest would have none. */
static bool exec_interpreted(const char *path)
{
	FILE *f = fopen(path, "re");
	Elf64_Phdr p = { .p_type = PT_NULL };
	Elf64_Ehdr e;
	bool found = false;

	if (!f)
		return false;
	if (fread(&e, sizeof(e), 1, f) == 1 && !fseek(f, (long)e.e_phoff, SEEK_SET))
		for (unsigned i = 0; i < e.e_phnum && !found; i++)
			found = fread(&p, sizeof(p), 1, f) == 1 && p.p_type == PT_INTERP;
	fclose(f);
	return found;
}

/* The archive's own part; the user's is bounded by what he said. */
static int exec_own(struct cpio *c, const struct opts *o)
{
	const char *busybox = access("/bin/busybox", F_OK) ? "/usr/bin/busybox" : "/bin/busybox";

	if (exec_interpreted(busybox) || cpio_file(c, "duet/busybox", busybox) < 0) {
		snprintf(c->why, sizeof(c->why),
			 "%s: missing or not static, and the guest is made of it: "
			 "apt-get install busybox-static",
			 busybox);
		return -1;
	}
	if (cpio_bytes(c, "init", 0755, exec_init, sizeof(exec_init)) < 0)
		return -1;
	return exec_command(c, o);
}

/* Packed by number, and moved by the guest, which knows what its directories and links are by
 * then: a directory in an archive would take the place of a link of that name. */
static int exec_files(struct cpio *c, const struct opts *o, const char **what)
{
	static char path[PATH_MAX];
	char name[32];
	int err = cpio_dir(c, "duet/file");

	*what = path;
	for (unsigned i = 0; i < o->exec.n_files && !err; i++) {
		const struct opts_file *file = &o->exec.file[i];

		snprintf(name, sizeof(name), "duet/file/%u", i);
		snprintf(path, sizeof(path), "%.*s", file->host_len, file->host);
		err = cpio_file(c, name, path);
	}
	return err;
}

static int exec_users(struct cpio *c, const struct opts *o)
{
	const char *tree = o->exec.root; /* what is being packed */
	int err = 0;

	c->max = o->exec.limit;
	if (tree)
		err = cpio_tree(c, "", tree);
	if (!err && !o->exec.no_dir)
		err = cpio_tree(c, "work", tree = o->exec.dir);
	if (!err && o->exec.n_files)
		err = exec_files(c, o, &tree);
	if (!err && o->exec.input)
		err = cpio_stream(c, "duet/input", STDIN_FILENO);
	if (err && c->full)
		snprintf(c->why, sizeof(c->why),
			 "%s and what else is packed are more than %llu MiB: --limit SIZE allows "
			 "more "
			 "(and --memory twice that), --no-dir packs no directory",
			 o->exec.input ? "stdin" : tree, (unsigned long long)o->exec.limit >> 20);
	c->max = c->size + EXEC_SLACK;
	return err;
}

/* The archive that --initrd names comes first: what is in ours takes its place. */
static int exec_base(struct cpio *c, const char *path)
{
	static const char zeros[512];
	FILE *f = path ? fopen(path, "re") : NULL;
	char buf[4096];
	size_t n;

	if (path && !f) {
		snprintf(c->why, sizeof(c->why), "--initrd %s: %s", path, strerror(errno));
		return -1;
	}
	while (f && (n = fread(buf, 1, sizeof(buf), f)) > 0 && fwrite(buf, n, 1, c->out) == 1)
		;
	if (f)
		fclose(f);
	/* The kernel looks for the next archive at a multiple of four. */
	fwrite(zeros, (size_t)(-ftell(c->out) & 511), 1, c->out);
	return 0;
}

int exec_image(const struct opts *o, char *why, size_t len)
{
	int fd = memfd_create("initramfs", MFD_CLOEXEC), copy = fd < 0 ? -1 : dup(fd);
	struct cpio c = { .out = copy < 0 ? NULL : fdopen(copy, "w"), .max = o->exec.limit };
	int err = -1;

	if (!c.out)
		snprintf(c.why, sizeof(c.why), "the initramfs: %s", strerror(errno));
	else if (!exec_base(&c, o->initrd) && !cpio_dir(&c, ".") && !cpio_dir(&c, "duet") &&
		 !exec_users(&c, o) && !exec_own(&c, o))
		err = cpio_end(&c);
	if (c.out)
		fclose(c.out);
	if (!err && lseek(fd, 0, SEEK_SET) == 0)
		return fd;
	snprintf(why, len, "%s", c.why);
	if (fd >= 0)
		close(fd);
	return -1;
}

int exec_run(const struct opts *o)
{
	static struct opts guest; /* what `duet run` would have been told */
	static char append[4096], initrd[32], why[PATH_MAX + 256];
	int fd = exec_image(o, why, sizeof(why)), status;

	if (fd < 0) {
		log_error("exec: %s", why);
		return EXIT_EXEC;
	}
	guest = *o;
	snprintf(initrd, sizeof(initrd), "/proc/self/fd/%d", fd);
	/* Panics are said at any level but 0; all else only to those who ask. */
	snprintf(append, sizeof(append), "console=ttyS0 panic=-1 %s %s",
		 o->log_level == LOG_LEVEL_DEBUG ? "" : "quiet loglevel=1",
		 o->append ? o->append : "");
	guest.initrd = initrd;
	guest.append = append;
	if (!guest.kernel)
		guest.kernel = KERNEL_AUTO;
	if (guest.log_level == LOG_LEVEL_INFO)
		log_set_level(LOG_LEVEL_WARNING); /* stderr is COMMAND's */
	status = board_run(&guest);
	close(fd);
	return status;
}
