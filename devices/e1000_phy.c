/* SPDX-License-Identifier: MIT */
/*
 * e1000_phy.c: the PHY inside the 82540EM, a Marvell 88E1011 as its driver knows it,
 * behind MDIC [13.4.7, 13.4.8 "PHY Registers"]. The link partner is a gigabit switch
 * that can do everything, and negotiation is over at once.
 */
#include "devices/e1000.h"

#include <linux/mii.h>

/* Vendor registers. */
#define PHY_PSCR  16 /* specific control */
#define PHY_PSSR  17 /* specific status */
#define PHY_EPSCR 20 /* extended specific control */
#define PHY_PAGE  29
#define PHY_DATA  30

#define PSSR_SPEED_SHIFT 14 /* 0: 10, 1: 100, 2: 1000 */
#define PSSR_DUPLEX      0x2000
#define PSSR_RESOLVED    0x0800
#define PSSR_LINK        0x0400

struct e1000_phy_reg {
	uint16_t reset, mask; /* mask: bits a write stores */
};

static const struct e1000_phy_reg e1000_phy_table[E1000_PHY_REGS] = {
	[MII_BMCR] = { BMCR_ANENABLE | BMCR_SPEED1000 | BMCR_FULLDPLX, 0x7de0 },
	[MII_BMSR] = { 0x7949, 0 }, /* 10 and 100, extended status, can negotiate */
	[MII_PHYSID1] = { 0x0141, 0 },
	[MII_PHYSID2] = { 0x0c20, 0 }, /* 88E1011: what the driver wants on an 82540 */
	[MII_ADVERTISE] = { 0x01e1, 0xadff },
	[MII_LPA] = { 0x4de1, 0 }, /* 10 and 100, both duplexes, PAUSE both ways, acknowledged */
	[MII_EXPANSION] = { 0x000d, 0 },
	[MII_CTRL1000] = { ADVERTISE_1000FULL, 0xff00 },
	[MII_STAT1000] = { LPA_1000LOCALRXOK | LPA_1000REMRXOK | LPA_1000FULL, 0 },
	[MII_ESTATUS] = { ESTATUS_1000_TFULL | ESTATUS_1000_THALF, 0 },
	[PHY_PSCR] = { 0x0068, 0xffff },
	[PHY_PSSR] = { 0, 0 },
	[18] = { 0, 0xffff }, /* interrupt enable: the line leads nowhere */
	[PHY_EPSCR] = { 0x0d60, 0xffff },
	[22] = { 0, 0xffff },
	[24] = { 0x4100, 0xffff }, /* LED control */
	[PHY_PAGE] = { 0, 0xffff },
	[PHY_DATA] = { 0, 0xffff },
};

bool e1000_phy_loopback(const struct e1000 *e)
{
	return e->phy[MII_BMCR] & BMCR_LOOPBACK;
}

void e1000_phy_reset(struct e1000 *e)
{
	for (unsigned i = 0; i < E1000_PHY_REGS; i++)
		e->phy[i] = e1000_phy_table[i].reset;
}

static bool e1000_phy_link(const struct e1000 *e)
{
	return !(e->phy[MII_BMCR] & BMCR_PDOWN) && (e->link || e1000_phy_loopback(e));
}

void e1000_link_changed(void *nic)
{
	struct e1000 *e = nic;

	e1000_drain(e);
	lock_take(&e->nic.lock);
	e->link = net_link_up(e->nic.be);
	e1000_irq_page_wrote(e, E1000_STATUS);
	e1000_irq_raise(e, E1000_ICR_LSC);
	lock_drop(&e->nic.lock);
}

/* 0: 10, 1: 100, 2: 1000 Mb/s. */
static unsigned e1000_phy_speed(const struct e1000 *e)
{
	uint16_t bmcr = e->phy[MII_BMCR];

	if (bmcr & BMCR_ANENABLE) {
		if (e->phy[MII_CTRL1000] & ADVERTISE_1000FULL)
			return 2;
		return e->phy[MII_ADVERTISE] & (ADVERTISE_100FULL | ADVERTISE_100HALF) ? 1 : 0;
	}
	return bmcr & BMCR_SPEED1000 ? 2 : bmcr & BMCR_SPEED100 ? 1 : 0;
}

static bool e1000_phy_full_duplex(const struct e1000 *e)
{
	uint16_t full = e1000_phy_speed(e) == 1 ? ADVERTISE_100FULL : ADVERTISE_10FULL;

	if (!(e->phy[MII_BMCR] & BMCR_ANENABLE))
		return e->phy[MII_BMCR] & BMCR_FULLDPLX;
	return e1000_phy_speed(e) == 2 || (e->phy[MII_ADVERTISE] & full);
}

uint32_t e1000_status_read(struct e1000 *e, unsigned w)
{
	uint32_t speed = e1000_phy_speed(e);

	(void)w;
	return (e1000_phy_full_duplex(e) ? E1000_STATUS_FD : 0) |
	       (e1000_phy_link(e) ? E1000_STATUS_LU : 0) | speed << E1000_STATUS_SPEED_SHIFT |
	       speed << E1000_STATUS_ASDV_SHIFT;
}

static uint16_t e1000_phy_read(const struct e1000 *e, unsigned reg)
{
	bool link = e1000_phy_link(e);

	if (reg == MII_BMSR)
		return e->phy[reg] | (link ? BMSR_LSTATUS : 0) |
		       (link && (e->phy[MII_BMCR] & BMCR_ANENABLE) ? BMSR_ANEGCOMPLETE : 0);
	if (reg == PHY_PSSR)
		return (uint16_t)(e1000_phy_speed(e) << PSSR_SPEED_SHIFT |
				  (e1000_phy_full_duplex(e) ? PSSR_DUPLEX : 0) |
				  (link ? PSSR_LINK | PSSR_RESOLVED : 0));
	return e->phy[reg];
}

static void e1000_phy_write(struct e1000 *e, unsigned reg, uint16_t val)
{
	uint16_t mask = e1000_phy_table[reg].mask;

	/* BMCR's reset is done when the write is; like a new negotiation, it takes the
	 * link down and up. Other bits of the same write hold. */
	if (reg == MII_BMCR && (val & BMCR_RESET))
		e1000_phy_reset(e);
	e->phy[reg] = (uint16_t)((e->phy[reg] & ~mask) | (val & mask));
	if (reg == MII_BMCR)
		e1000_wake(e); /* loopback on or off */
	if (reg == MII_BMCR && (val & (BMCR_RESET | BMCR_ANRESTART))) {
		e->phy[reg] &= (uint16_t)~BMCR_ANRESTART;
		if (e1000_phy_link(e))
			e1000_irq_raise(e, E1000_ICR_LSC);
	}
}

void e1000_mdic_write(struct e1000 *e, unsigned w, uint32_t val)
{
	unsigned reg = (val >> E1000_MDIC_REG_SHIFT) & 0x1f;
	unsigned phy = (val >> E1000_MDIC_PHY_SHIFT) & 0x1f;
	uint32_t done = (val & 0x2fffffff) | E1000_MDIC_R;

	if (phy != E1000_PHY_ADDR)
		done |= E1000_MDIC_E;
	else if ((val & E1000_MDIC_OP_MASK) == E1000_MDIC_OP_READ)
		done = (done & ~0xffffu) | e1000_phy_read(e, reg);
	else if ((val & E1000_MDIC_OP_MASK) == E1000_MDIC_OP_WRITE)
		e1000_phy_write(e, reg, (uint16_t)val);
	e1000_set(e, w * 4, done);
	if (val & E1000_MDIC_I)
		e1000_irq_raise(e, E1000_ICR_MDAC);
}
