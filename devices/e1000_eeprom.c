/* SPDX-License-Identifier: MIT */
/*
 * e1000_eeprom.c: the 64-word Microwire EEPROM (93C46) [5], read word by word through
 * EERD or bit by bit through EECD. It holds the MAC address and a checksum over it all.
 * It cannot be written: erase and write commands are shifted in and ignored.
 */
#include "devices/e1000.h"

/* Word addresses [5.6]. */
#define EE_COMPAT    3
#define EE_LED       4
#define EE_PBA_HIGH  8
#define EE_PBA_LOW   9
#define EE_INIT1     10
#define EE_SUBSYS    11
#define EE_SUBVENDOR 12
#define EE_DEVICE    13
#define EE_VENDOR    14
#define EE_INIT2     15
#define EE_INIT3     36
#define EE_CHECKSUM  63
#define EE_SUM       0xbaba

#define MW_COMMAND_BITS 9 /* start, opcode (2), address (6) */
#define MW_READ         6 /* start bit and opcode 10 */

void e1000_eeprom_init(struct e1000 *e)
{
	const uint8_t *mac = e->nic.cfg.mac;
	uint16_t *ee = e->eeprom, sum = 0;

	for (unsigned i = 0; i < E1000_EEPROM_WORDS; i++)
		ee[i] = 0xffff; /* unused words, as the manual has them */
	for (unsigned i = 0; i < 3; i++)
		ee[i] = (uint16_t)(mac[2 * i] | mac[2 * i + 1] << 8);
	ee[EE_COMPAT] = 0x0000;
	ee[EE_LED] = 0xffff; /* default LEDs */
	ee[EE_PBA_HIGH] = 0x0000;
	ee[EE_PBA_LOW] = 0x0000;
	ee[EE_INIT1] = 0x4408; /* signature 01, subsystem and device id are below */
	ee[EE_SUBSYS] = 0x001e;
	ee[EE_SUBVENDOR] = 0x8086;
	ee[EE_DEVICE] = 0x100e;
	ee[EE_VENDOR] = 0x8086;
	ee[EE_INIT2] = 0xb040; /* asymmetric and symmetric PAUSE advertised */
	ee[EE_INIT3] = 0x0000; /* no wake-up */
	for (unsigned i = 0; i < EE_CHECKSUM; i++)
		sum = (uint16_t)(sum + ee[i]);
	ee[EE_CHECKSUM] = (uint16_t)(EE_SUM - sum);
}

void e1000_eerd_write(struct e1000 *e, unsigned w, uint32_t val)
{
	uint8_t addr = (uint8_t)(val >> E1000_EERD_ADDR_SHIFT);
	uint32_t reg = (uint32_t)addr << E1000_EERD_ADDR_SHIFT;

	if (val & E1000_EERD_START)
		reg |= E1000_EERD_DONE | (uint32_t)e->eeprom[addr & (E1000_EEPROM_WORDS - 1)]
						 << E1000_EERD_DATA_SHIFT;
	e1000_set(e, w * 4, reg);
}

/* A rising edge of SK, chip selected: a bit in, a bit out. */
static void e1000_microwire_clock(struct e1000 *e, bool di)
{
	struct e1000_microwire *mw = &e->mw;

	if (mw->bits == MW_COMMAND_BITS) {
		mw->out <<= 1;
		return;
	}
	if (!mw->bits && !di)
		return; /* zeros before the start bit */
	mw->in = (uint16_t)(mw->in << 1 | di);
	if (++mw->bits == MW_COMMAND_BITS && mw->in >> 6 == MW_READ)
		mw->out = e->eeprom[mw->in & 0x3f]; /* bit 16: the 0 that comes first */
}

void e1000_eecd_write(struct e1000 *e, unsigned w, uint32_t val)
{
	struct e1000_microwire *mw = &e->mw;
	bool rising = (val & E1000_EECD_SK) && !mw->sk;

	(void)w;
	if (!(val & E1000_EECD_CS))
		*mw = (struct e1000_microwire){ .bits = 0 };
	else if (rising)
		e1000_microwire_clock(e, val & E1000_EECD_DI);
	mw->sk = val & E1000_EECD_SK;
}

uint32_t e1000_eecd_read(struct e1000 *e, unsigned w)
{
	uint32_t reg = e1000_get(e, w * 4);
	bool idle = e->mw.bits < MW_COMMAND_BITS; /* DO floats, pulled up */

	if (idle || (e->mw.out & BIT(16)))
		reg |= E1000_EECD_DO;
	if (reg & E1000_EECD_REQ) /* nobody else wants the EEPROM */
		reg |= E1000_EECD_GNT;
	return reg;
}
