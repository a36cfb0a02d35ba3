/* SPDX-License-Identifier: MIT */
/*
 * acpi_pm.c: the fixed hardware of ACPI that a machine without buttons, batteries and
 * sleep states still needs (ACPI 6.4, section 4.8.3):
 *
 *   +0 PM1a_STS  write 1 to clear; no event source exists, so it always reads 0
 *   +2 PM1a_EN   kept as written
 *   +4 PM1a_CNT  SCI_EN reads 1 (ACPI mode is on from the start: the FADT names no
 *                SMI command); SLP_TYP with SLP_EN powers off
 *   +8 PM_TMR    32 bits counting at 3.579545 MHz
 *
 * The SCI is therefore never raised. The timer's carry (TMR_STS) is left out: systems
 * that use the timer read it more often than it wraps (20 minutes).
 */
#include "devices/acpi_pm.h"

#include "vmm/layout.h"
#include "vmm/trace.h"

#include <errno.h>
#include <string.h>

#define ACPI_PM_SIZE  12
#define ACPI_PM1_EN   2 /* offset of the enable half of PM1a_EVT */
#define ACPI_SCI_EN   BIT(0)
#define ACPI_SLP_EN   BIT(13)
#define ACPI_SLP_TYP  10     /* shift; 3 bits */
#define ACPI_PM1_EN_W 0x4721 /* TMR, GBL, PWRBTN, SLPBTN, RTC, PCIEXP_WAKE_DIS */

struct acpi_pm {
	/* fixed: */
	struct machine *m;
	struct region region;
	uint64_t epoch; /* loop_now() at reset: the timer's zero */
	pthread_mutex_t lock;
	/* lock: */
	uint16_t pm1_en, pm1_cnt;
};

static uint32_t acpi_pm_timer(const struct acpi_pm *p)
{
	uint64_t ns = loop_now() - p->epoch, s = ns / 1000000000;

	/* Seconds and the rest apart, so that nothing overflows for centuries. */
	return (uint32_t)(s * ACPI_PM_TIMER_HZ + ns % 1000000000 * ACPI_PM_TIMER_HZ / 1000000000);
}

static uint64_t acpi_pm_read(void *dev, uint64_t off, unsigned size)
{
	struct acpi_pm *p = dev;
	uint8_t image[ACPI_PM_SIZE] = { 0 };
	uint32_t timer = acpi_pm_timer(p), v = 0;

	pthread_mutex_lock(&p->lock);
	memcpy(&image[ACPI_PM1_EN], &p->pm1_en, sizeof(p->pm1_en));
	memcpy(&image[ACPI_PM1_CNT], &p->pm1_cnt, sizeof(p->pm1_cnt));
	memcpy(&image[ACPI_PM_TMR], &timer, sizeof(timer));
	pthread_mutex_unlock(&p->lock);
	memcpy(&v, &image[off], size);
	return v;
}

/* One byte of *reg, of which `mask` may be written. */
static void acpi_pm_store(uint16_t *reg, unsigned byte, uint8_t val, uint16_t mask)
{
	uint16_t lane = (uint16_t)(0xff << (8 * byte)) & mask;

	*reg = (uint16_t)((*reg & ~lane) | ((unsigned)val << (8 * byte) & lane));
}

static void acpi_pm_write_byte(struct acpi_pm *p, unsigned off, uint8_t val)
{
	if (off / 2 == ACPI_PM1_EN / 2)
		acpi_pm_store(&p->pm1_en, off % 2, val, ACPI_PM1_EN_W);
	if (off / 2 == ACPI_PM1_CNT / 2)
		acpi_pm_store(&p->pm1_cnt, off % 2, val, (uint16_t)~ACPI_SCI_EN);
}

static void acpi_pm_write(void *dev, uint64_t off, unsigned size, uint64_t val)
{
	struct acpi_pm *p = dev;
	unsigned cnt;

	pthread_mutex_lock(&p->lock);
	for (unsigned i = 0; i < size; i++)
		acpi_pm_write_byte(p, (unsigned)off + i, (uint8_t)(val >> (8 * i)));
	cnt = p->pm1_cnt;
	p->pm1_cnt &= (uint16_t)~ACPI_SLP_EN; /* write-only: reads 0 */
	pthread_mutex_unlock(&p->lock);
	if (!(cnt & ACPI_SLP_EN))
		return;
	if ((cnt >> ACPI_SLP_TYP & 7) == ACPI_SLP_TYP_S5)
		p->m->stop(p->m, STOP_POWEROFF, 0);
	else
		trace(GUEST, "acpi: sleep type %u is not one that _Sx objects offer",
		      cnt >> ACPI_SLP_TYP & 7);
}

static const struct region_ops acpi_pm_ops = {
	.read = acpi_pm_read,
	.write = acpi_pm_write,
	.sizes = 1 | 2 | 4,
};

struct acpi_pm *acpi_pm_new(struct machine *m)
{
	struct acpi_pm *p = calloc(1, sizeof(*p));
	int err;

	if (!p)
		return NULL;
	p->m = m;
	p->epoch = loop_now();
	p->pm1_cnt = ACPI_SCI_EN;
	pthread_mutex_init(&p->lock, NULL);
	p->region = (struct region){
		.name = "acpi-pm", .ops = &acpi_pm_ops, .dev = p, .size = ACPI_PM_SIZE
	};
	err = bus_map(&m->pio, &p->region, PORT_ACPI_PM);
	if (err) {
		acpi_pm_free(p);
		errno = -err;
		return NULL;
	}
	return p;
}

void acpi_pm_free(struct acpi_pm *p)
{
	if (!p)
		return;
	bus_unmap(&p->m->pio, &p->region);
	pthread_mutex_destroy(&p->lock);
	free(p);
}
