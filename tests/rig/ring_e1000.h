/* SPDX-License-Identifier: MIT */
/*
 * ring_e1000.h: the 82540EM as a driver sees it. Numbers are written out here on
 * purpose, apart from the device's: registers from chapter 13 of Intel's Software
 * Developer's Manual for the 8254x family, descriptors from chapter 3.
 */
#ifndef DUET_RING_E1000_H
#define DUET_RING_E1000_H

#include "tests/rig/nic_rig.h"

enum {
	CTRL = 0x0000,
	STATUS = 0x0008,
	EERD = 0x0014,
	ICR = 0x00c0,
	IMS = 0x00d0,
	IMC = 0x00d8,
	RCTL = 0x0100,
	TCTL = 0x0400,
	TIPG = 0x0410,
	RDBAL = 0x2800,
	RDBAH = 0x2804,
	RDLEN = 0x2808,
	RDH = 0x2810,
	RDT = 0x2818,
	RDTR = 0x2820,
	TDBAL = 0x3800,
	TDBAH = 0x3804,
	TDLEN = 0x3808,
	TDH = 0x3810,
	TDT = 0x3818,
	TIDV = 0x3820,
	RXCSUM = 0x5000,
	MTA = 0x5200,
	RAL = 0x5400,
	RAH = 0x5404,
	VFTA = 0x5600,
};

#define CTRL_ASDE BIT(5)
#define CTRL_SLU  BIT(6)
#define CTRL_RST  BIT(26)
#define CTRL_VME  BIT(30)
#define STATUS_LU BIT(1)

#define RCTL_EN    BIT(1)
#define RCTL_UPE   BIT(3)
#define RCTL_MPE   BIT(4)
#define RCTL_LPE   BIT(5)
#define RCTL_BAM   BIT(15)
#define RCTL_VFE   BIT(18)
#define RCTL_BSEX  BIT(25)
#define TCTL_EN    BIT(1)
#define TCTL_PSP   BIT(3)
#define TCTL_LINUX (TCTL_EN | TCTL_PSP | 0xf << 4 | 0x40 << 12)

/* RXT0, RXDMT0, RXSEQ, LSC, TXDW: what Linux unmasks. */
#define IMS_LINUX 0x9d

/* Upper half of a descriptor; legacy, context and data differ in the lower bytes. */
struct tx_desc {
	uint64_t addr;
	uint16_t len; /* data: DTALEN 15:0; context: PAYLEN 15:0 */
	uint8_t cso;  /* data: DTALEN 19:16 | DTYP << 4 */
	uint8_t cmd;
	uint8_t status;
	uint8_t css;      /* data: POPTS; context: HDRLEN */
	uint16_t special; /* context: MSS */
};

struct tx_context {
	uint8_t ipcss, ipcso;
	uint16_t ipcse;
	uint8_t tucss, tucso;
	uint16_t tucse;
	uint32_t paylen_cmd; /* PAYLEN 19:0, DTYP 23:20, TUCMD 31:24 */
	uint8_t status, hdrlen;
	uint16_t mss;
};

#define TXD_EOP    0x01
#define TXD_IFCS   0x02
#define TXD_TSE    0x04
#define TXD_RS     0x08
#define TXD_DEXT   0x20
#define TXD_VLE    0x40
#define TUCMD_TCP  0x01
#define TUCMD_IP   0x02
#define DTYP_DATA  0x10 /* in tx_desc.cso */
#define POPTS_IXSM 0x01
#define POPTS_TXSM 0x02

struct rx_desc {
	uint64_t addr;
	uint16_t len, csum;
	uint8_t status, errors;
	uint16_t special;
};

#define RXD_DD    0x01
#define RXD_EOP   0x02
#define RXD_IXSM  0x04
#define RXD_VP    0x08
#define RXD_TCPCS 0x20
#define RXE_CSUM  0x60 /* IPE, TCPE */
#define RXE_FRAME 0x97 /* CE, SE, SEQ, CXE, RXE */

#define FCS_LEN 4 /* RCTL.SECRC is off, as in Linux: the length includes it */

uint32_t er32(struct nic_rig *r, unsigned reg);
void ew32(struct nic_rig *r, unsigned reg, uint32_t val);
/* Put a descriptor (16 bytes of any type) at the tail; the device is not told yet. */
void ring_e1000_put_tx(struct nic_rig *r, const void *desc, bool eop);
void ring_e1000_kick(struct nic_rig *r);

#define RING_E1000_SABOTAGE 17
extern const struct rig_sabotage ring_e1000_sabotage[RING_E1000_SABOTAGE];

#endif
