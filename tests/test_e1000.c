/* SPDX-License-Identifier: MIT */
/*
 * test_e1000.c: the registers of the 82540EM, row by row, and what hangs on them: EEPROM,
 * PHY, statistics, the I/O BAR. Interrupts are the subject of test_e1000_irq.c, frames of
 * test_e1000_tx.c, test_e1000_rx.c and of the scenarios that both NICs take.
 */
#include "devices/e1000.h"
#include "tests/check_main.h"
#include "tests/rig/exam.h"
#include "tests/rig/ring_e1000.h"

#include <linux/mii.h>
#include <string.h>

static struct e1000 *dev(struct nic_rig *r)
{
	return container_of(r->nic, struct e1000, nic);
}

/* A card just out of reset. */
static struct nic_rig *card(void)
{
	struct nic_rig *r = nic_rig_new(RIG_E1000, NULL);

	ew32(r, E1000_CTRL, E1000_CTRL_RST);
	rig_run(r);
	return r;
}

/* --- the table ------------------------------------------------------------------- */

static uint32_t row_offset(const struct e1000_reg *row, unsigned k)
{
	return row->off + k * row->stride;
}

static unsigned row_count(const struct e1000_reg *row)
{
	return row->count ? row->count : 1;
}

/* Rows that are more than storage have tests of their own below. */
static bool row_is_special(const struct e1000_reg *row)
{
	static const uint32_t special[] = { E1000_EECD, E1000_EERD, E1000_MDIC, E1000_STATUS };

	for (unsigned i = 0; i < ARRAY_SIZE(special); i++)
		if (row->off == special[i])
			return true;
	return false;
}

START_TEST(rows_are_sorted_and_found_by_their_offsets)
{
	for (unsigned i = 0; i < e1000_table_rows; i++) {
		const struct e1000_reg *row = &e1000_table[i];

		ck_assert(!i || row[-1].off < row->off);
		ck_assert_uint_eq(row->off % 4, 0);
		for (unsigned k = 0; k < row_count(row); k++) {
			ck_assert_uint_lt(row_offset(row, k), E1000_REG_END);
			ck_assert_ptr_eq(e1000_table_row(row_offset(row, k) / 4), row);
		}
	}
	ck_assert_ptr_null(e1000_table_row(0x0004 / 4));
	ck_assert_ptr_null(e1000_table_row((E1000_MTA - 4) / 4));
	ck_assert_ptr_null(e1000_table_row((E1000_RAH + 8 * 16) / 4));
	ck_assert_ptr_null(e1000_table_row(E1000_REG_END / 4));
}
END_TEST

START_TEST(every_register_has_its_reset_value)
{
	struct nic_rig *r = card();

	for (unsigned i = 0; i < e1000_table_rows; i++) {
		const struct e1000_reg *row = &e1000_table[i];

		for (unsigned k = 0; k < row_count(row); k++) {
			bool station = !k && (row->off == E1000_RAL || row->off == E1000_RAH);
			uint32_t v = er32(r, row_offset(row, k));

			if (!station && !row_is_special(row))
				ck_assert_msg(v == row->reset, "%s[%u]: %#x", row->name, k, v);
		}
	}
	ck_assert_uint_eq(er32(r, E1000_RAH), (uint32_t)(r->mac[5] << 8 | r->mac[4]) | BIT(31));
	nic_rig_free(r);
}
END_TEST

static void exam_storage(struct nic_rig *r, const struct e1000_reg *row, uint32_t off)
{
	uint32_t once = row->off == E1000_CTRL ? E1000_CTRL_RST | E1000_CTRL_PHY_RST : 0;
	uint32_t fixed = row->reset & ~row->mask;

	ew32(r, off, ~once);
	ck_assert_msg(er32(r, off) == (row->mask | fixed), "%s: %#x after ones", row->name,
		      er32(r, off));
	ew32(r, off, 0x5a5a5a5a & ~once);
	ck_assert_uint_eq(er32(r, off), (0x5a5a5a5a & row->mask) | fixed);
	ew32(r, off, 0);
	ck_assert_msg(er32(r, off) == fixed, "%s: %#x after zeros", row->name, er32(r, off));
}

static void exam_read_only(struct nic_rig *r, const struct e1000_reg *row, uint32_t off)
{
	e1000_set(dev(r), off, 0x12345678);
	ew32(r, off, ~UINT32_C(0));
	ck_assert_msg(er32(r, off) == 0x12345678, "%s is writable", row->name);
	ck_assert_msg(er32(r, off) == (row->access == E1000_RC ? 0 : 0x12345678), "%s: cleared?",
		      row->name);
}

START_TEST(every_register_keeps_to_its_access_class)
{
	struct nic_rig *r = card();

	for (unsigned i = 0; i < e1000_table_rows; i++) {
		const struct e1000_reg *row = &e1000_table[i];

		if (row_is_special(row) || row->off == E1000_ICR)
			continue;
		for (unsigned k = 0; k < row_count(row); k++) {
			if (row->access == E1000_RW)
				exam_storage(r, row, row_offset(row, k));
			else if (row->access == E1000_RO || row->access == E1000_RC)
				exam_read_only(r, row, row_offset(row, k));
		}
		rig_run(r); /* whatever that enabled: the rings are nonsense */
	}
	rig_restart(r);
	exam_works(r);
	nic_rig_free(r);
}
END_TEST

/* A second opinion on masks: what the manual calls reserved, written as ones. */
START_TEST(reserved_bits_stay_zero)
{
	static const struct {
		uint32_t off, ones;
	} t[] = {
		{ E1000_FCAH, 0x0000ffff },    { E1000_ITR, 0x0000ffff },
		{ E1000_RCTL, 0x06dfb3fe },    { E1000_TIPG, 0x3fffffff },
		{ E1000_FCRTL, 0x8000fff8 },   { E1000_FCRTH, 0x0000fff8 },
		{ E1000_RDBAL, 0xfffffff0 },   { E1000_RDLEN, 0x000fff80 },
		{ E1000_RDH, 0x0000ffff },     { E1000_RDTR, 0x0000ffff },
		{ E1000_RADV, 0x0000ffff },    { E1000_TDBAL, 0xfffffff0 },
		{ E1000_TDLEN, 0x000fff80 },   { E1000_TDT, 0x0000ffff },
		{ E1000_TADV, 0x0000ffff },    { E1000_RXCSUM, 0x000007ff },
		{ E1000_RAH + 8, 0x8003ffff }, { E1000_VET, 0x0000ffff },
	};
	struct nic_rig *r = card();

	for (unsigned i = 0; i < ARRAY_SIZE(t); i++) {
		ew32(r, t[i].off, ~UINT32_C(0));
		ck_assert_msg(er32(r, t[i].off) == t[i].ones, "%#x: %#x", t[i].off,
			      er32(r, t[i].off));
	}
	nic_rig_free(r);
}
END_TEST

START_TEST(places_without_a_register_read_zero_and_take_writes)
{
	struct nic_rig *r = card();
	static const uint32_t none[] = { 0x0004, 0x00cc, 0x1234, 0x5ffc, 0x6000, 0x1fffc };

	for (unsigned i = 0; i < ARRAY_SIZE(none); i++) {
		ew32(r, none[i], ~UINT32_C(0));
		ck_assert_uint_eq(er32(r, none[i]), 0);
	}
	rig_write32(r, r->bar[0] + 2, 1); /* unaligned */
	ck_assert_uint_eq(rig_read32(r, r->bar[0] + 2), 0xffffffff);
	ck_assert_uint_eq(rig_stat(r, guest_faults), 1);
	nic_rig_free(r);
}
END_TEST

/* What `ethtool -t` does in the stock driver: pattern & write is read back & mask. */
START_TEST(self_test_of_the_stock_driver_passes)
{
	static const struct {
		uint32_t off, mask, write;
		unsigned count, stride;
	} t[] = {
		{ E1000_FCAL, 0xffffffff, 0xffffffff, 1, 0 },
		{ E1000_FCAH, 0x0000ffff, 0xffffffff, 1, 0 },
		{ E1000_FCT, 0x0000ffff, 0xffffffff, 1, 0 },
		{ E1000_VET, 0x0000ffff, 0xffffffff, 1, 0 },
		{ E1000_RDTR, 0x0000ffff, 0xffffffff, 1, 0 },
		{ E1000_RDBAH, 0xffffffff, 0xffffffff, 1, 0 },
		{ E1000_RDLEN, 0x000fff80, 0x000fffff, 1, 0 },
		{ E1000_RDH, 0x0000ffff, 0x0000ffff, 1, 0 },
		{ E1000_RDT, 0x0000ffff, 0x0000ffff, 1, 0 },
		{ E1000_FCRTH, 0x0000fff8, 0x0000fff8, 1, 0 },
		{ E1000_FCTTV, 0x0000ffff, 0x0000ffff, 1, 0 },
		{ E1000_TIPG, 0x3fffffff, 0x3fffffff, 1, 0 },
		{ E1000_TDBAH, 0xffffffff, 0xffffffff, 1, 0 },
		{ E1000_TDLEN, 0x000fff80, 0x000fffff, 1, 0 },
		{ E1000_RDBAL, 0xfffffff0, 0xffffffff, 1, 0 },
		{ E1000_TXCW, 0xc000ffff, 0x0000ffff, 1, 0 },
		{ E1000_TDBAL, 0xfffffff0, 0xffffffff, 1, 0 },
		{ E1000_TIDV, 0x0000ffff, 0x0000ffff, 1, 0 },
		{ E1000_RAH, 0x8003ffff, 0xffffffff, 15, 8 },
		{ E1000_MTA, 0xffffffff, 0xffffffff, 128, 4 },
	};
	static const uint32_t pattern[] = { 0x5a5a5a5a, 0xa5a5a5a5, 0, 0xffffffff };
	struct nic_rig *r = card();
	uint32_t before = er32(r, E1000_STATUS);

	ew32(r, E1000_STATUS, 0xfffff833);
	ck_assert_uint_eq(er32(r, E1000_STATUS), before);
	for (unsigned i = 0; i < ARRAY_SIZE(t); i++) {
		for (unsigned k = 0; k < t[i].count * ARRAY_SIZE(pattern); k++) {
			uint32_t off = t[i].off + k / 4 * t[i].stride;
			uint32_t val = t[i].write & pattern[k % 4];

			ew32(r, off, val);
			ck_assert_msg(er32(r, off) == (val & t[i].mask), "%#x: %#x", off,
				      er32(r, off));
		}
	}
	ew32(r, E1000_RCTL, 0);
	ck_assert_uint_eq(er32(r, E1000_RCTL), 0);
	ew32(r, E1000_RCTL, 0x06dfb3fe & 0x003ffffb);
	ck_assert_uint_eq(er32(r, E1000_RCTL), 0x06dfb3fe & 0x003ffffb);
	ew32(r, E1000_TCTL, 0);
	ck_assert_uint_eq(er32(r, E1000_TCTL), 0);
	ew32(r, E1000_RCTL, 0x06dfb3fe);
	ck_assert_uint_eq(er32(r, E1000_RCTL), 0x06dfb3fe);
	rig_restart(r);
	exam_works(r);
	nic_rig_free(r);
}
END_TEST

/* --- the I/O BAR ------------------------------------------------------------------- */

static void io_write(struct nic_rig *r, unsigned off, uint32_t val)
{
	bus_write(&r->m->f->m.pio, r->bar[2] + off, 4, val);
}

static uint32_t io_read(struct nic_rig *r, unsigned off)
{
	return (uint32_t)bus_read(&r->m->f->m.pio, r->bar[2] + off, 4);
}

START_TEST(registers_are_reached_through_the_io_bar)
{
	struct nic_rig *r = card();

	ck_assert_uint_eq(fake_pci_read(r->m->f, r->slot, PCI_BASE_ADDRESS_2, 4) & 3, 1);
	io_write(r, 0, E1000_VET);
	ck_assert_uint_eq(io_read(r, 0), E1000_VET);
	ck_assert_uint_eq(io_read(r, 4), 0x8100);
	io_write(r, 4, 0x1234);
	ck_assert_uint_eq(er32(r, E1000_VET), 0x1234);
	io_write(r, 0, E1000_CTRL); /* as the stock driver resets the chip */
	io_write(r, 4, E1000_CTRL_RST);
	ck_assert_uint_eq(er32(r, E1000_VET), 0x8100);
	io_write(r, 0, 0x20000); /* beyond */
	io_write(r, 4, 1);
	ck_assert_uint_eq(io_read(r, 4), 0xffffffff);
	nic_rig_free(r);
}
END_TEST

/* --- EEPROM -------------------------------------------------------------------------- */

static void eecd_clock(struct nic_rig *r, uint32_t bits)
{
	ew32(r, E1000_EECD, bits);
	ew32(r, E1000_EECD, bits | E1000_EECD_SK);
	ew32(r, E1000_EECD, bits);
}

/* Microwire: start bit and opcode, 6 bits of address, a 0, 16 bits of data. */
static uint16_t eecd_command(struct nic_rig *r, unsigned op, unsigned addr)
{
	uint32_t cs = E1000_EECD_REQ | E1000_EECD_CS, word = op << 6 | addr;
	uint16_t val = 0;

	ew32(r, E1000_EECD, cs);
	for (int i = 8; i >= 0; i--)
		eecd_clock(r, cs | (word >> i & 1 ? E1000_EECD_DI : 0));
	if (op == 6)
		ck_assert_uint_eq(er32(r, E1000_EECD) & E1000_EECD_DO, 0);
	for (int i = 0; i < 16; i++) {
		eecd_clock(r, cs);
		val = (uint16_t)(val << 1 | !!(er32(r, E1000_EECD) & E1000_EECD_DO));
	}
	ew32(r, E1000_EECD, 0);
	return val;
}

START_TEST(eeprom_reads_the_same_either_way_and_sums_up)
{
	struct nic_rig *r = card();
	uint16_t sum = 0;

	for (unsigned i = 0; i < 64; i++) {
		uint32_t v;

		ew32(r, E1000_EERD, i << E1000_EERD_ADDR_SHIFT | E1000_EERD_START);
		v = er32(r, E1000_EERD);
		ck_assert(v & E1000_EERD_DONE);
		ck_assert_uint_eq(v >> 16, eecd_command(r, 6, i));
		sum = (uint16_t)(sum + (v >> 16));
		if (i < 3)
			ck_assert_uint_eq(v >> 16, r->mac[2 * i] | r->mac[2 * i + 1] << 8);
	}
	ck_assert_uint_eq(sum, 0xbaba);
	nic_rig_free(r);
}
END_TEST

START_TEST(eeprom_is_granted_on_request_and_cannot_be_written)
{
	struct nic_rig *r = card();
	uint16_t was = eecd_command(r, 6, 3);

	ck_assert(er32(r, E1000_EECD) & E1000_EECD_PRES);
	ck_assert(!(er32(r, E1000_EECD) & E1000_EECD_GNT));
	ew32(r, E1000_EECD, E1000_EECD_REQ);
	ck_assert(er32(r, E1000_EECD) & E1000_EECD_GNT);
	eecd_command(r, 5, 3); /* write */
	eecd_command(r, 7, 3); /* erase */
	ck_assert_uint_eq(eecd_command(r, 6, 3), was);
	/* A command cut short leaves nothing behind. */
	ew32(r, E1000_EECD, E1000_EECD_CS);
	eecd_clock(r, E1000_EECD_CS | E1000_EECD_DI);
	ew32(r, E1000_EECD, 0);
	ck_assert_uint_eq(eecd_command(r, 6, 3), was);
	nic_rig_free(r);
}
END_TEST

/* --- PHY -------------------------------------------------------------------------------- */

static uint32_t mdic(struct nic_rig *r, uint32_t op, unsigned phy, unsigned reg, uint16_t data)
{
	ew32(r, E1000_MDIC, op | phy << E1000_MDIC_PHY_SHIFT | reg << E1000_MDIC_REG_SHIFT | data);
	return er32(r, E1000_MDIC);
}

static uint16_t phy_read(struct nic_rig *r, unsigned reg)
{
	uint32_t v = mdic(r, E1000_MDIC_OP_READ, 1, reg, 0);

	ck_assert(v & E1000_MDIC_R);
	ck_assert(!(v & E1000_MDIC_E));
	return (uint16_t)v;
}

static void phy_write(struct nic_rig *r, unsigned reg, uint16_t val)
{
	ck_assert(mdic(r, E1000_MDIC_OP_WRITE, 1, reg, val) & E1000_MDIC_R);
}

START_TEST(phy_is_an_88e1011_with_a_gigabit_link)
{
	struct nic_rig *r = card();

	ck_assert_uint_eq(phy_read(r, MII_PHYSID1), 0x0141);
	ck_assert_uint_eq(phy_read(r, MII_PHYSID2), 0x0c20);
	ck_assert_uint_eq(phy_read(r, MII_BMSR) & (BMSR_LSTATUS | BMSR_ANEGCOMPLETE),
			  BMSR_LSTATUS | BMSR_ANEGCOMPLETE);
	ck_assert_uint_eq(er32(r, E1000_STATUS),
			  E1000_STATUS_FD | E1000_STATUS_LU | 2 << 6 | 2 << 8);
	phy_write(r, MII_PHYSID1, 0);
	ck_assert_uint_eq(phy_read(r, MII_PHYSID1), 0x0141);
	ck_assert(mdic(r, E1000_MDIC_OP_READ, 2, 0, 0) & E1000_MDIC_E);
	nic_rig_free(r);
}
END_TEST

START_TEST(phy_speed_is_what_the_driver_forces)
{
	static const struct {
		uint16_t bmcr, status;
	} t[] = {
		{ BMCR_SPEED100 | BMCR_FULLDPLX, 1 << 6 | 1 << 8 | 1 },
		{ BMCR_SPEED1000 | BMCR_FULLDPLX, 2 << 6 | 2 << 8 | 1 },
		{ 0, 0 },
	};
	struct nic_rig *r = card();

	for (unsigned i = 0; i < ARRAY_SIZE(t); i++) {
		phy_write(r, MII_BMCR, t[i].bmcr);
		ck_assert_uint_eq(er32(r, E1000_STATUS), t[i].status | E1000_STATUS_LU);
	}
	phy_write(r, MII_BMCR, BMCR_PDOWN);
	ck_assert(!(er32(r, E1000_STATUS) & E1000_STATUS_LU));
	phy_write(r, MII_BMCR, BMCR_RESET | BMCR_ANENABLE | BMCR_FULLDPLX | BMCR_SPEED1000);
	ck_assert_uint_eq(phy_read(r, MII_BMCR), BMCR_ANENABLE | BMCR_FULLDPLX | BMCR_SPEED1000);
	ck_assert(er32(r, E1000_STATUS) & E1000_STATUS_LU);
	nic_rig_free(r);
}
END_TEST

START_TEST(phy_events_are_interrupt_causes)
{
	struct nic_rig *r = card();

	er32(r, E1000_ICR);
	mdic(r, E1000_MDIC_OP_READ | E1000_MDIC_I, 1, 0, 0);
	ck_assert_uint_eq(er32(r, E1000_ICR), E1000_ICR_MDAC);
	phy_write(r, MII_BMCR, BMCR_ANENABLE | BMCR_ANRESTART);
	ck_assert_uint_eq(er32(r, E1000_ICR), E1000_ICR_LSC);
	ck_assert(!(phy_read(r, MII_BMCR) & BMCR_ANRESTART));
	nic_rig_free(r);
}
END_TEST

START_TEST(link_is_down_when_the_backend_says_so)
{
	struct rig_machine *m;
	struct nic_rig *r = card();
	struct fake_net *f = fake_net_new(r->m->f->m.loop, 0);
	struct nic_config cfg = { .name = "down", .mac = { 2 }, .rungs = LADDER_BEST };
	struct nic *n;
	struct e1000 *e;

	m = r->m;
	f->link = false;
	n = e1000_new(&m->f->m, m->pci, 9, &cfg, &f->net);
	ck_assert_ptr_nonnull(n);
	e = container_of(n, struct e1000, nic);
	ck_assert_uint_eq(e1000_reg_read(e, E1000_STATUS) & E1000_STATUS_LU, 0);
	nic_destroy(n);
	nic_rig_free(r);
}
END_TEST

START_TEST(link_that_goes_and_comes_is_said)
{
	struct nic_rig *r = card();

	er32(r, E1000_ICR);
	for (int up = 0; up < 2; up++) {
		r->net->link = up;
		r->net->net.client.link_changed(r->net->net.client.nic);
		ck_assert_uint_eq(er32(r, E1000_STATUS) & E1000_STATUS_LU,
				  up ? E1000_STATUS_LU : 0);
		ck_assert_uint_eq(phy_read(r, MII_BMSR) & BMSR_LSTATUS, up ? BMSR_LSTATUS : 0);
		ck_assert_uint_eq(er32(r, E1000_ICR) & E1000_ICR_LSC, E1000_ICR_LSC);
	}
	nic_rig_free(r);
}
END_TEST

/* --- statistics ------------------------------------------------------------------------------ */

START_TEST(counter_of_64_bits_clears_with_its_upper_half)
{
	static const uint32_t low[] = { E1000_GORCL, E1000_GOTCL, E1000_TORL, E1000_TOTL };
	struct nic_rig *r = card();

	for (unsigned i = 0; i < ARRAY_SIZE(low); i++) {
		e1000_set(dev(r), low[i], 7);
		e1000_set(dev(r), low[i] + 4, 9);
		ck_assert_uint_eq(er32(r, low[i]), 7);
		ck_assert_uint_eq(er32(r, low[i]), 7);
		ck_assert_uint_eq(er32(r, low[i] + 4), 9);
		ck_assert_uint_eq(er32(r, low[i]), 0);
		ck_assert_uint_eq(er32(r, low[i] + 4), 0);
	}
	nic_rig_free(r);
}
END_TEST

START_TEST(counter_sticks_at_its_maximum)
{
	struct nic_rig *r = nic_rig_new(RIG_E1000, NULL);

	e1000_set(dev(r), E1000_GPTC, UINT32_MAX - 1);
	e1000_set(dev(r), E1000_GOTCL, UINT32_MAX - 1);
	e1000_set(dev(r), E1000_GOTCH, UINT32_MAX);
	e1000_set(dev(r), E1000_TOTL, UINT32_MAX - 1);
	exam_burst(r, 3, 1);
	ck_assert_uint_eq(er32(r, E1000_GPTC), UINT32_MAX);
	ck_assert_uint_eq(er32(r, E1000_GOTCL), UINT32_MAX);
	ck_assert_uint_eq(er32(r, E1000_GOTCH), UINT32_MAX);
	ck_assert_uint_eq(er32(r, E1000_TOTL), 3 * 104 - 2); /* carried */
	ck_assert_uint_eq(er32(r, E1000_TOTH), 1);
	nic_rig_free(r);
}
END_TEST

static const struct test_entry tests[] = {
	T(rows_are_sorted_and_found_by_their_offsets),
	T(every_register_has_its_reset_value),
	T(every_register_keeps_to_its_access_class),
	T(reserved_bits_stay_zero),
	T(places_without_a_register_read_zero_and_take_writes),
	T(self_test_of_the_stock_driver_passes),
	T(registers_are_reached_through_the_io_bar),
	T(eeprom_reads_the_same_either_way_and_sums_up),
	T(eeprom_is_granted_on_request_and_cannot_be_written),
	T(phy_is_an_88e1011_with_a_gigabit_link),
	T(phy_speed_is_what_the_driver_forces),
	T(phy_events_are_interrupt_causes),
	T(link_is_down_when_the_backend_says_so),
	T(link_that_goes_and_comes_is_said),
	T(counter_of_64_bits_clears_with_its_upper_half),
	T(counter_sticks_at_its_maximum),
};

CHECK_MAIN("e1000", tests)
