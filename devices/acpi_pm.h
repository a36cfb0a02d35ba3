/* SPDX-License-Identifier: MIT */
/*
 * acpi_pm.h: ACPI fixed hardware (ACPI 6.4, section 4.8): the PM1a event block, the
 * PM1a control register that powers the machine off, and the PM timer.
 */
#ifndef DUET_ACPI_PM_H
#define DUET_ACPI_PM_H

#include "vmm/device.h"

#define ACPI_PM_TIMER_HZ 3579545

struct acpi_pm;

/* Map it on the port bus. NULL and errno on failure. */
struct acpi_pm *acpi_pm_new(struct machine *m);
void acpi_pm_free(struct acpi_pm *p);

#endif
