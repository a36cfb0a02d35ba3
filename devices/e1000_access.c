/* SPDX-License-Identifier: MIT */
/*
 * e1000_access.c: an account for every row of the register table. The bus does the
 * counting; here is said which account an address belongs to. A register reached
 * through the I/O BAR is the same register.
 */
#include "devices/e1000.h"

static struct access *e1000_other_account(struct e1000 *e, unsigned which)
{
	return &e->access[E1000_ROWS_MAX + which];
}

struct access *e1000_mem_account(void *dev, uint64_t off)
{
	struct e1000 *e = dev;
	const struct e1000_reg *r = e1000_table_row((unsigned)off / 4);

	return r ? &e->access[r - e1000_table] : e1000_other_account(e, E1000_ACCESS_NONE);
}

struct access *e1000_io_account(void *dev, uint64_t off)
{
	struct e1000 *e = dev;
	uint32_t addr = atomic_load(&e->ioaddr);

	if (off == E1000_IOADDR)
		return e1000_other_account(e, E1000_ACCESS_IOADDR);
	return off == E1000_IODATA && addr < E1000_MEM_SIZE
		       ? e1000_mem_account(e, addr)
		       : e1000_other_account(e, E1000_ACCESS_NONE);
}

void e1000_accounts(struct nic *n, access_fn *fn, void *ctx)
{
	struct e1000 *e = container_of(n, struct e1000, nic);

	for (unsigned i = 0; i < e1000_table_rows; i++)
		fn(ctx, e1000_table[i].name, &e->access[i]);
	fn(ctx, "IOADDR", e1000_other_account(e, E1000_ACCESS_IOADDR));
	fn(ctx, "none", e1000_other_account(e, E1000_ACCESS_NONE));
}
