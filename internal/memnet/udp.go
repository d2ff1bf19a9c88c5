package memnet

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"syscall"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"multihop/packet"
	"multihop/tun"
)

const firstPort = 49152 // of those that a bind does not choose itself (RFC 6335)

// A udpHost has addresses and, on them, UDP ports.
type udpHost struct {
	*Host
	addrs []netip.Addr

	mu    sync.RWMutex
	ports map[uint16]*tun.Memory // IP packets for each open port
}

// udpHost returns the host of these addresses, made at the first call.
func (n *Net) udpHost(addrs []netip.Addr) (*udpHost, error) {
	if len(addrs) == 0 {
		return nil, errors.New("memnet: a bind needs an address")
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if u := n.udp[addrs[0]]; u != nil {
		if !slices.Equal(u.addrs, addrs) {
			return nil, fmt.Errorf("memnet: the host of %v has the addresses %v, not %v", addrs[0], u.addrs, addrs)
		}
		return u, nil
	}
	u := &udpHost{addrs: addrs, ports: make(map[uint16]*tun.Memory)}
	u.Host = &Host{net: n, name: addrs[0].String(), deliver: u.deliver}
	if err := n.addLocked(u.Host, whole(addrs)); err != nil {
		return nil, err
	}
	n.udp[addrs[0]] = u
	return u, nil
}

// whole returns the prefix of each single address.
func whole(addrs []netip.Addr) []netip.Prefix {
	prefixes := make([]netip.Prefix, len(addrs))
	for i, a := range addrs {
		prefixes[i] = netip.PrefixFrom(a, a.BitLen())
	}
	return prefixes
}

// open makes the queue of a port; 0 chooses one that is free.
func (u *udpHost) open(port uint16) (*tun.Memory, uint16, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if port == 0 {
		for port = firstPort; u.ports[port] != nil; port++ {
			if port == 65535 {
				return nil, 0, fmt.Errorf("memnet: %s: no port is free", u.name)
			}
		}
	}
	if u.ports[port] != nil {
		return nil, 0, fmt.Errorf("memnet: %s: port %d: %w", u.name, port, syscall.EADDRINUSE)
	}
	q := tun.NewMemory(&tun.MemoryOptions{Batch: batchSize, Slots: udpSlots})
	u.ports[port] = q
	return q, port, nil
}

func (u *udpHost) close(port uint16) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if q := u.ports[port]; q != nil {
		_ = q.Close()
		delete(u.ports, port)
	}
}

// deliver is the host's end of the wire. It takes what a kernel would hand to a
// socket: whole UDP packets with right checksums, to a port that is open.
func (u *udpHost) deliver(pkts [][]byte) int {
	took := 0
	runs(pkts, u.port, func(port uint16, run [][]byte) {
		u.mu.RLock()
		defer u.mu.RUnlock()
		if q := u.ports[port]; q != nil {
			took += q.Inject(run)
		}
	})
	return took
}

// port returns the destination port of a packet, or 0, which is never open.
func (u *udpHost) port(pkt []byte) uint16 {
	var m packet.Meta
	if m.Parse(pkt) != packet.OK {
		return 0
	}
	payload, ok := packet.UDPPayload(pkt, &m)
	if !ok || !checksumsHold(pkt, &m, payload) {
		return 0
	}
	return m.DstPort
}

// checksumsHold asks gVisor, so that packet does not judge its own sums. As in
// a kernel, IPv4 may leave the UDP checksum out.
func checksumsHold(pkt []byte, m *packet.Meta, payload []byte) bool {
	if m.Version == 4 && !header.IPv4(pkt).IsChecksumValid() {
		return false
	}
	udp := header.UDP(pkt[m.L4:m.Len])
	if m.Version == 4 && udp.Checksum() == 0 {
		return true
	}
	src, dst := tcpip.AddrFromSlice(m.Src.AsSlice()), tcpip.AddrFromSlice(m.Dst.AsSlice())
	return udp.IsChecksumValid(src, dst, checksum.Checksum(payload, 0))
}
