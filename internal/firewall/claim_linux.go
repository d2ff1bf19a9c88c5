package firewall

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Flags of a table (linux/netfilter/nf_tables.h). OWNER: only the socket that
// made it may change it. PERSIST: it outlives that socket, without OWNER then,
// and another socket may claim it by both flags.
const (
	tableOwner   = 0x2
	tablePersist = 0x4
)

// claimLocked makes the table, empty, if it does not exist, and makes its owner
// the socket of f if it has none and the kernel knows owners. It returns the
// flags that the table has then. The socket that writes the rules must be the one
// that claims, and package nftables writes no flags: hence a message of our own.
func (f *Firewall) claimLocked(table string) (flags uint32, err error) {
	if !f.plain {
		flags = tableOwner | tablePersist
		err = f.newTableLocked(table, flags)
	}
	// EINVAL: a kernel before owners (5.12). EOPNOTSUPP: one before persist, or
	// the table is there without flags, as something else made it.
	if f.plain || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL) {
		flags = 0
		err = f.newTableLocked(table, flags)
	}
	return flags, f.whyLocked(table, err)
}

// newTableLocked is "add table" with flags, as a transaction.
func (f *Firewall) newTableLocked(table string, flags uint32) error {
	ae := netlink.NewAttributeEncoder()
	ae.ByteOrder = binary.BigEndian
	ae.String(unix.NFTA_TABLE_NAME, table)
	ae.Uint32(unix.NFTA_TABLE_FLAGS, flags)
	attrs, err := ae.Encode()
	if err != nil {
		return err
	}
	_, err = f.raw.SendMessages([]netlink.Message{
		batchMessage(unix.NFNL_MSG_BATCH_BEGIN),
		{
			Header: netlink.Header{
				Type:  unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_NEWTABLE,
				Flags: netlink.Request | netlink.Acknowledge | netlink.Create,
			},
			Data: append(genHeader(uint8(family), 0), attrs...),
		},
		batchMessage(unix.NFNL_MSG_BATCH_END),
	})
	if err != nil {
		return err
	}
	_, err = f.raw.Receive()
	return err
}

func batchMessage(kind netlink.HeaderType) netlink.Message {
	return netlink.Message{
		Header: netlink.Header{Type: kind, Flags: netlink.Request},
		Data:   genHeader(unix.AF_UNSPEC, unix.NFNL_SUBSYS_NFTABLES),
	}
}

// genHeader is struct nfgenmsg.
func genHeader(family uint8, id uint16) []byte {
	return binary.BigEndian.AppendUint16([]byte{family, unix.NFNETLINK_V0}, id)
}

// whyLocked says more of an EPERM, which has two reasons: the table has an owner,
// or we may not change any. The socket is empty, and will be.
func (f *Firewall) whyLocked(table string, err error) error {
	if !errors.Is(err, unix.EPERM) {
		return err
	}
	t, lerr := f.conn.ListTableOfFamily(table, family)
	switch {
	case lerr == nil && flagsOf(t)&tableOwner != 0:
		return fmt.Errorf("%w: %w", ErrOwned, err)
	case errors.Is(lerr, unix.EPERM):
		return fmt.Errorf("needs CAP_NET_ADMIN: %w", err)
	}
	return err
}

// flagsOf returns the flags of a listed table. Package nftables reads them in the
// host's byte order (v0.3.0); they are small and sent in the network's.
func flagsOf(t *nftables.Table) uint32 { return min(t.Flags, bits.ReverseBytes32(t.Flags)) }
