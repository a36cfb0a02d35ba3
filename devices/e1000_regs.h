/* SPDX-License-Identifier: MIT */
/*
 * e1000_regs.h: numbers of the Intel 82540EM, in the words of the "PCI/PCI-X Family of
 * Gigabit Ethernet Controllers Software Developer's Manual" (8254x, 317453). Numbers in
 * brackets are its sections. The kernel has no UAPI header for this chip, so these are
 * ours; the registers' access classes, masks and reset values are in e1000_table.c.
 */
#ifndef DUET_E1000_REGS_H
#define DUET_E1000_REGS_H

#include "vmm/util.h"

/* --- register offsets [13.4 to 13.7] --- */
#define E1000_CTRL     0x00000 /* device control */
#define E1000_STATUS   0x00008 /* link, speed, duplex */
#define E1000_EECD     0x00010 /* EEPROM, bit by bit */
#define E1000_EERD     0x00014 /* EEPROM, word by word */
#define E1000_CTRL_EXT 0x00018 /* extended device control */
#define E1000_MDIC     0x00020 /* PHY registers */
#define E1000_FCAL     0x00028 /* flow control address, type */
#define E1000_FCAH     0x0002c /* the rest of that address */
#define E1000_FCT      0x00030 /* EtherType of PAUSE frames */
#define E1000_VET      0x00038 /* VLAN EtherType */
#define E1000_ICR      0x000c0 /* interrupt cause read */
#define E1000_ITR      0x000c4 /* interrupt throttling */
#define E1000_ICS      0x000c8 /* interrupt cause set */
#define E1000_IMS      0x000d0 /* interrupt mask set */
#define E1000_IMC      0x000d8 /* interrupt mask clear */
#define E1000_RCTL     0x00100 /* receive control */
#define E1000_FCTTV    0x00170 /* time that a PAUSE frame asks for */
#define E1000_TXCW     0x00178 /* auto-negotiation: what is sent */
#define E1000_RXCW     0x00180 /* and what came */
#define E1000_TCTL     0x00400 /* transmit control */
#define E1000_TIPG     0x00410 /* gaps between frames sent */
#define E1000_AIFS     0x00458 /* AIT: adaptive inter-frame spacing */
#define E1000_LEDCTL   0x00e00 /* lamps */
#define E1000_PBA      0x01000 /* packet buffer allocation */
#define E1000_FCRTL    0x02160 /* receive FIFO below this: XON */
#define E1000_FCRTH    0x02168 /* above this: XOFF */
#define E1000_RDFH     0x02410 /* receive FIFO, diagnostic [13.8] */
#define E1000_RDFT     0x02418
#define E1000_RDFHS    0x02420
#define E1000_RDFTS    0x02428
#define E1000_RDFPC    0x02430
#define E1000_RDBAL    0x02800 /* receive ring */
#define E1000_RDBAH    0x02804 /* upper half */
#define E1000_RDLEN    0x02808 /* bytes */
#define E1000_RDH      0x02810 /* head: the card's */
#define E1000_RDT      0x02818 /* tail: the driver's, its doorbell */
#define E1000_RDTR     0x02820 /* receive interrupt delay */
#define E1000_RXDCTL   0x02828 /* descriptor thresholds */
#define E1000_RADV     0x0282c /* receive interrupt delay, absolute */
#define E1000_RSRPD    0x02c00 /* small packets */
#define E1000_TXDMAC   0x03000 /* prefetching of descriptors */
#define E1000_TDFH     0x03410 /* transmit FIFO, diagnostic */
#define E1000_TDFT     0x03418
#define E1000_TDFHS    0x03420
#define E1000_TDFTS    0x03428
#define E1000_TDFPC    0x03430
#define E1000_TDBAL    0x03800 /* transmit ring */
#define E1000_TDBAH    0x03804 /* upper half */
#define E1000_TDLEN    0x03808 /* bytes */
#define E1000_TDH      0x03810 /* head: the card's */
#define E1000_TDT      0x03818 /* tail: the driver's, its doorbell */
#define E1000_TIDV     0x03820 /* transmit interrupt delay */
#define E1000_TXDCTL   0x03828 /* descriptor thresholds */
#define E1000_TADV     0x0382c /* transmit interrupt delay, absolute */
#define E1000_TSPMT    0x03830 /* padding between segments */
#define E1000_CRCERRS  0x04000 /* statistics [13.7] */
#define E1000_ALGNERRC 0x04004 /* alignment errors */
#define E1000_SYMERRS  0x04008 /* symbol errors */
#define E1000_RXERRC   0x0400c /* receive errors */
#define E1000_MPC      0x04010 /* missed: no room in the receive FIFO */
#define E1000_SCC      0x04014 /* single collisions */
#define E1000_ECOL     0x04018 /* excessive collisions */
#define E1000_MCC      0x0401c /* multiple collisions */
#define E1000_LATECOL  0x04020 /* late collisions */
#define E1000_COLC     0x04028 /* collisions */
#define E1000_DC       0x04030 /* deferred */
#define E1000_TNCRS    0x04034 /* sent without carrier */
#define E1000_SEC      0x04038 /* sequence errors */
#define E1000_CEXTERR  0x0403c /* carrier extension errors */
#define E1000_RLEC     0x04040 /* length errors */
#define E1000_XONRXC   0x04048 /* XON received */
#define E1000_XONTXC   0x0404c /* XON sent */
#define E1000_XOFFRXC  0x04050 /* XOFF received */
#define E1000_XOFFTXC  0x04054 /* XOFF sent */
#define E1000_FCRUC    0x04058 /* flow control frames, not understood */
#define E1000_PRC64    0x0405c /* good frames received, by size; five more follow */
#define E1000_PRC1522  0x04070
#define E1000_GPRC     0x04074 /* good frames received */
#define E1000_BPRC     0x04078 /* of those: broadcast */
#define E1000_MPRC     0x0407c /* of those: multicast */
#define E1000_GPTC     0x04080 /* good frames sent */
#define E1000_GORCL    0x04088 /* good bytes received */
#define E1000_GORCH    0x0408c /* upper half */
#define E1000_GOTCL    0x04090 /* good bytes sent */
#define E1000_GOTCH    0x04094 /* upper half */
#define E1000_RNBC     0x040a0 /* a frame waited for a buffer */
#define E1000_RUC      0x040a4 /* undersized */
#define E1000_RFC      0x040a8 /* fragments */
#define E1000_ROC      0x040ac /* oversized */
#define E1000_RJC      0x040b0 /* jabber */
#define E1000_MGTPRC   0x040b4 /* management frames received */
#define E1000_MGTPDC   0x040b8 /* dropped */
#define E1000_MGTPTC   0x040bc /* sent */
#define E1000_TORL     0x040c0 /* bytes received */
#define E1000_TORH     0x040c4 /* upper half */
#define E1000_TOTL     0x040c8 /* bytes sent */
#define E1000_TOTH     0x040cc /* upper half */
#define E1000_TPR      0x040d0 /* frames received */
#define E1000_TPT      0x040d4 /* frames sent */
#define E1000_PTC64    0x040d8 /* frames sent, by size; five more follow */
#define E1000_PTC1522  0x040ec
#define E1000_MPTC     0x040f0 /* multicast frames sent */
#define E1000_BPTC     0x040f4 /* broadcast frames sent */
#define E1000_TSCTC    0x040f8 /* TSO contexts sent */
#define E1000_TSCTFC   0x040fc /* TSO contexts that failed */
#define E1000_RXCSUM   0x05000 /* receive checksums: which, from where */
#define E1000_MTA      0x05200 /* multicast table, 128 words */
#define E1000_RAL      0x05400 /* receive addresses, 16 pairs of RAL and RAH */
#define E1000_RAH      0x05404
#define E1000_VFTA     0x05600 /* VLAN filter table, 128 words */
#define E1000_WUC      0x05800 /* wake-up */
#define E1000_WUFC     0x05808 /* wake-up filters */
#define E1000_WUS      0x05810 /* wake-up status */
#define E1000_MANC     0x05820 /* management control */
#define E1000_IPAV     0x05838 /* addresses that are valid */
#define E1000_WUPL     0x05900 /* wake-up packet length */
#define E1000_REG_END  0x06000 /* no register of ours from here up */

#define E1000_MTA_WORDS  128
#define E1000_VFTA_WORDS 128
#define E1000_RA_PAIRS   16

/* --- CTRL [13.4.1] --- */
#define E1000_CTRL_FD       BIT(0)
#define E1000_CTRL_SLU      BIT(6)
#define E1000_CTRL_SPD_1000 BIT(9)
#define E1000_CTRL_RST      BIT(26)
#define E1000_CTRL_VME      BIT(30) /* VLAN mode: insert, strip */
#define E1000_CTRL_PHY_RST  BIT(31)

/* --- STATUS [13.4.2] --- */
#define E1000_STATUS_FD          BIT(0)
#define E1000_STATUS_LU          BIT(1)
#define E1000_STATUS_SPEED_SHIFT 6 /* 0: 10, 1: 100, 2: 1000 Mb/s */
#define E1000_STATUS_ASDV_SHIFT  8 /* the same, auto-detected */

/* --- EECD, EERD [13.4.3, 13.4.4] --- */
#define E1000_EECD_SK         BIT(0)
#define E1000_EECD_CS         BIT(1)
#define E1000_EECD_DI         BIT(2)
#define E1000_EECD_DO         BIT(3)
#define E1000_EECD_FWE_DIS    BIT(4)
#define E1000_EECD_REQ        BIT(6)
#define E1000_EECD_GNT        BIT(7)
#define E1000_EECD_PRES       BIT(8)
#define E1000_EERD_START      BIT(0)
#define E1000_EERD_DONE       BIT(4)
#define E1000_EERD_ADDR_SHIFT 8
#define E1000_EERD_DATA_SHIFT 16

/* --- MDIC [13.4.7] --- */
#define E1000_MDIC_REG_SHIFT 16
#define E1000_MDIC_PHY_SHIFT 21
#define E1000_MDIC_OP_MASK   (BIT(26) | BIT(27))
#define E1000_MDIC_OP_WRITE  BIT(26)
#define E1000_MDIC_OP_READ   BIT(27)
#define E1000_MDIC_R         BIT(28) /* ready */
#define E1000_MDIC_I         BIT(29) /* interrupt when ready */
#define E1000_MDIC_E         BIT(30) /* no such PHY */
#define E1000_PHY_ADDR       1

/* --- ICR, ICS, IMS, IMC [13.4.17]; bits 5 and 8 are reserved but the stock driver's
 * self-test finds them behave like the rest --- */
#define E1000_ICR_TXDW   BIT(0)
#define E1000_ICR_TXQE   BIT(1)
#define E1000_ICR_LSC    BIT(2)
#define E1000_ICR_RXDMT0 BIT(4)
#define E1000_ICR_RXO    BIT(6)
#define E1000_ICR_RXT0   BIT(7)
#define E1000_ICR_MDAC   BIT(9)
#define E1000_ICR_ALL    0x0001ffffu

/* --- RCTL [13.4.22] --- */
#define E1000_RCTL_EN          BIT(1)
#define E1000_RCTL_UPE         BIT(3)
#define E1000_RCTL_MPE         BIT(4)
#define E1000_RCTL_LPE         BIT(5)
#define E1000_RCTL_LBM_MAC     BIT(6)
#define E1000_RCTL_RDMTS_SHIFT 8
#define E1000_RCTL_MO_SHIFT    12
#define E1000_RCTL_BAM         BIT(15)
#define E1000_RCTL_BSIZE_SHIFT 16
#define E1000_RCTL_VFE         BIT(18)
#define E1000_RCTL_CFIEN       BIT(19)
#define E1000_RCTL_CFI         BIT(20)
#define E1000_RCTL_BSEX        BIT(25)
#define E1000_RCTL_SECRC       BIT(26)

/* --- TCTL [13.4.33], RXCSUM [13.4.46], RAH [13.5.3] --- */
#define E1000_TCTL_EN       BIT(1)
#define E1000_RXCSUM_PCSS   0xffu
#define E1000_RXCSUM_IPOFLD BIT(8)
#define E1000_RXCSUM_TUOFLD BIT(9)
#define E1000_RAH_AV        BIT(31)

/* --- lengths; a frame's include the 4 bytes of CRC on the wire --- */
#define E1000_CRC_LEN   4
#define E1000_FRAME_MIN 64
#define E1000_FRAME_MAX 1522  /* without RCTL.LPE */
#define E1000_LONG_MAX  16384 /* with it */
#define E1000_TX_MAX    16288 /* largest packet without TSO [3.3.3] */

/*
 * --- transmit descriptors [3.3] --- 16 bytes; the second half as two words:
 *
 *           31    24 23   20 19      16 15         8 7          0
 *   legacy  CMD      CSO                LENGTH
 *   data    DCMD     DTYP=1  DTALEN
 *   context TUCMD    DTYP=0  PAYLEN
 *           ----------------------------------------------------
 *   legacy  SPECIAL                     CSS          RSV | STA
 *   data    SPECIAL                     POPTS        RSV | STA
 *   context MSS                         HDRLEN       RSV | STA
 *
 * A context's first half: IPCSS, IPCSO, IPCSE (2 bytes), TUCSS, TUCSO, TUCSE (2).
 */
#define E1000_TXD_EOP        BIT(24)
#define E1000_TXD_IC         BIT(26) /* legacy: insert checksum */
#define E1000_TXD_TSE        BIT(26) /* data and context: segmentation */
#define E1000_TXD_RS         BIT(27)
#define E1000_TXD_DEXT       BIT(29)
#define E1000_TXD_VLE        BIT(30)
#define E1000_TXD_IDE        BIT(31) /* TXDW may wait for TIDV */
#define E1000_TXD_DTYP_SHIFT 20
#define E1000_TXD_DTYP_CTX   0
#define E1000_TXD_DTYP_DATA  1
#define E1000_TXD_LEN        0xfffffu /* DTALEN, PAYLEN; legacy: 16 bits */
#define E1000_TXD_TUCMD_TCP  BIT(24)
#define E1000_TXD_TUCMD_IP   BIT(25) /* IPv4 */
#define E1000_TXD_POPTS_IXSM BIT(0)
#define E1000_TXD_POPTS_TXSM BIT(1)
#define E1000_TXD_STA_OFF    12 /* byte of STA in a descriptor */
#define E1000_TXD_STA_DD     0x01

/* --- receive descriptors [3.2.3]; the second half as one 64-bit word --- */
#define E1000_RXD_CSUM_SHIFT    16
#define E1000_RXD_STATUS_SHIFT  32
#define E1000_RXD_ERRORS_SHIFT  40
#define E1000_RXD_SPECIAL_SHIFT 48
#define E1000_RXD_DD            0x01
#define E1000_RXD_EOP           0x02
#define E1000_RXD_IXSM          0x04 /* ignore checksum bits */
#define E1000_RXD_VP            0x08
#define E1000_RXD_TCPCS         0x20
#define E1000_RXD_IPCS          0x40
#define E1000_RXD_PIF           0x80 /* passed an inexact filter only */
#define E1000_RXD_IPE           0x40

#define E1000_DESC_SIZE 16

#endif
