/* SPDX-License-Identifier: MIT */
/*
 * board_kernel.c: what a guest begins with: firmware tables, kernel, initrd and command line;
 * and, without --append, a command line that brings a panic to our exit status.
 */
#include "firmware/firmware.h"
#include "vmm/board.h"
#include "vmm/boot.h"

/*
 * console=ttyS0: the only console there is. panic=-1: nobody is there to look at a halted
 * machine; reset it at once, which ends us. reboot=panic_warm: a reset after a panic, and no
 * other, is a warm one, as which Linux marks it where a PC's BIOS would look.
 */
#define CMDLINE_DEFAULT "console=ttyS0 panic=-1 reboot=panic_warm"
#define BIOS_RESET_FLAG UINT64_C(0x472)
#define BIOS_RESET_WARM 0x1234

/* Before KVM is opened: a wrong file is a wrong file on every host. */
int board_make_kernel(struct board *b)
{
	const struct opts *o = b->o;
	char why[700], cache[PATH_MAX];
	struct boot_want want = { .cmdline = o->append ? o->append : CMDLINE_DEFAULT,
				  .unpack = o->unpack };
	gpa_t rsdp;
	int err;

	if (!o->kernel)
		return 0;
	if (kernel_choose(&b->files, o->kernel, o->initrd, why, sizeof(why)) < 0)
		return board_fail(EXIT_USAGE, "%s", why);
	rsdp = acpi_write(&b->m.mem, o->cpus);
	if (!rsdp)
		return board_fail(EXIT_USAGE, "--memory: too little for the firmware's tables");
	if (!o->dry_run && kernel_cache(cache, sizeof(cache))) /* which would make a directory */
		want.cache = cache;
	want.kernel = b->files.kernel;
	want.initrd = b->files.initrd;
	err = boot_load(&b->boot, &b->m.mem, &want, rsdp, &b->entry);
	b->boot.want = NULL;
	return err ? board_fail(EXIT_USAGE, "%s", b->boot.why) : 0;
}

bool board_panicked(const struct board *b)
{
	uint16_t flag = 0;

	/* Who gives a command line may want warm resets of another kind. */
	return b->why == STOP_RESET && b->o->kernel && !b->o->append &&
	       !gm_read(&b->m.mem, BIOS_RESET_FLAG, &flag, sizeof(flag)) && flag == BIOS_RESET_WARM;
}
