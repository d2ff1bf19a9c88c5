package path_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"multihop/internal/netlab"
)

// zeroChecksums: datagrams whose UDP checksum is the 0 that is sent as 0xffff
// (RFC 768), at the sender or once translated. Where it became 0, an IPv6 host
// would drop them.
func zeroChecksums(t *testing.T, c *running, s *side, f family) {
	tun, hop := c.addr(t, f), s.client.Of(f.like)
	there, here := listen(t, s.target), listen(t, c.Client)
	out := dial(t, c.Client, netip.AddrPortFrom(s.addr(sizing, f.like), there.port), dontDF)
	in := dial(t, s.target, netip.AddrPortFrom(hop, here.port), dontDF)
	for _, tt := range []struct {
		name     string
		from     *sender
		to       *sink
		src, dst netip.AddrPort
	}{
		{"out, at the TUN", out, there, netip.AddrPortFrom(tun, out.local(t).Port()), out.to},
		{"out, translated", out, there, netip.AddrPortFrom(hop, out.local(t).Port()), out.to},
		{"in, at the relay", in, here, in.local(t), in.to},
		{"in, translated", in, here, in.local(t), netip.AddrPortFrom(tun, here.port)},
	} {
		payload := make([]byte, 100)
		d := netlab.Datagram(tt.src, tt.dst, payload)
		copy(payload, d[f.header()-2:f.header()]) // the sum of all words but this is its complement
		if d = netlab.Datagram(tt.src, tt.dst, payload); binary.BigEndian.Uint16(d[f.header()-2:]) != 0xffff {
			t.Fatalf("%s: the payload is wrong", tt.name)
		}
		if got := exchange(tt.from, tt.to, payload, time.Second); !got.delivered {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

// local is the sender's own address.
func (s *sender) local(t *testing.T) netip.AddrPort {
	t.Helper()
	sa, err := unix.Getsockname(s.fd)
	if err != nil {
		t.Fatal(os.NewSyscallError("getsockname", err))
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port))
	}
	panic(fmt.Sprintf("path: a socket address of type %T", sa))
}
